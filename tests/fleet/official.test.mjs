// The exactness run over official nodes: that it works, and finds what is known to go wrong there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./support/run.mjs";

test("official nodes recover sessions, in their way", async (t) => {
  const kinds = ["official", "official"];
  const report = await run(t, { kinds, clients: 12, rooms: 6, rate: 1_000, claims: 60, nodeEveryMs: Infinity });
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.silent, 0);
  assert.ok(report.outcomes.recovered > 0, "nobody was recovered");
  // What two of them emit at a time comes in another order than that of the stream (H21).
  assert.ok(report.violations.official.inverted > 0, "nothing was out of order");
});
