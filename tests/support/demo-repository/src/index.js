export { DurationError } from "./errors.js";
export { formatDuration } from "./format.js";
export { parseDuration } from "./parse.js";
