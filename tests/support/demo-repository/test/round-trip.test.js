import assert from "node:assert/strict";
import { test } from "node:test";

import { formatDuration, parseDuration } from "../src/index.js";

for (const milliseconds of [1_000, 61_000, 5_400_000, 90_061_000, 250, 61_001]) {
  test(`${milliseconds} ms survive being written and read`, () => {
    assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds);
  });
}
