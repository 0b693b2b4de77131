import { UNITS } from "./units.js";

/**
 * Writes a duration with its largest units first, such as "1h 30m".
 *
 * @param {number} milliseconds a whole number, 0 or more
 * @param {{ units?: number }} [options] at most how many units to write; all by default
 * @returns {string}
 */
export function formatDuration(milliseconds, { units = UNITS.size } = {}) {
  if (!Number.isInteger(milliseconds) || milliseconds < 0) {
    throw new RangeError(`not a whole number of milliseconds: ${milliseconds}`);
  }
  const parts = [];
  let rest = milliseconds;
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0 && parts.length < units) {
      parts.push(`${count}${unit}`);
    }
    rest %= size;
  }
  return parts.length > 0 ? parts.join(" ") : "0s";
}
