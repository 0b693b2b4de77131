import assert from "node:assert/strict";
import { test } from "node:test";

import { DurationError, parseDuration } from "../src/index.js";

test("reads one unit", () => {
  assert.equal(parseDuration("2d"), 172_800_000);
  assert.equal(parseDuration("3h"), 10_800_000);
  assert.equal(parseDuration("45m"), 2_700_000);
  assert.equal(parseDuration("10s"), 10_000);
});

test("adds up several units, with or without spaces", () => {
  assert.equal(parseDuration("1h30m"), 5_400_000);
  assert.equal(parseDuration(" 1h 30 m "), 5_400_000);
});

test("reads fractions", () => {
  assert.equal(parseDuration("1.5h"), 5_400_000);
});

test("refuses what is not a duration and says where", () => {
  assert.throws(() => parseDuration(""), DurationError);
  assert.throws(() => parseDuration("1h soon"), { name: "DurationError", position: 2 });
  assert.throws(() => parseDuration("1h 2h"), /twice/);
});
