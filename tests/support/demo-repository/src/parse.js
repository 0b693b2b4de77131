import { DurationError } from "./errors.js";
import { UNITS } from "./units.js";

const PART = new RegExp(`\\s*(\\d+(?:\\.\\d+)?)\\s*(${[...UNITS.keys()].join("|")})`, "y");

/**
 * Reads a duration such as "1h30m", "2d 4h" or "1.5h".
 *
 * @param {string} text
 * @returns {number} milliseconds, rounded to a whole number
 * @throws {DurationError} if the text is not a duration
 */
export function parseDuration(text) {
  const end = text.trimEnd().length;
  const seen = new Set();
  let total = 0;
  let position = 0;
  while (position < end) {
    PART.lastIndex = position;
    const match = PART.exec(text);
    if (match === null) {
      throw new DurationError(`expected a number and a unit at "${text.slice(position)}"`, position);
    }
    const [, number, unit] = match;
    if (seen.has(unit)) {
      throw new DurationError(`the unit "${unit}" stands there twice`, position);
    }
    seen.add(unit);
    total += Number(number) * UNITS.get(unit);
    position = PART.lastIndex;
  }
  if (seen.size === 0) {
    throw new DurationError("the text is empty", 0);
  }
  return Math.round(total);
}
