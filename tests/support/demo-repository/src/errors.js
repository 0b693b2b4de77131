/** Thrown for a text that is not a duration. */
export class DurationError extends Error {
  /**
   * @param {string} message what is wrong
   * @param {number} position where in the text, counted from 0
   */
  constructor(message, position) {
    super(message);
    this.name = "DurationError";
    this.position = position;
  }
}
