import assert from "node:assert/strict";
import { test } from "node:test";

import { formatDuration } from "../src/index.js";

test("writes the largest units first", () => {
  assert.equal(formatDuration(5_400_000), "1h 30m");
  assert.equal(formatDuration(90_061_001), "1d 1h 1m 1s 1ms");
});

test("writes no more units than asked for", () => {
  assert.equal(formatDuration(5_400_000, { units: 1 }), "1h");
});

test("writes nothing as 0s", () => {
  assert.equal(formatDuration(0), "0s");
});

test("refuses negative numbers and fractions", () => {
  assert.throws(() => formatDuration(-1), RangeError);
  assert.throws(() => formatDuration(0.5), RangeError);
});
