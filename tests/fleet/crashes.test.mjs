// A small crash run around one file; `crashes.mjs` runs larger ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./support/crashes.mjs";

for (const nodes of [1, 2]) {
  test(`clients come back after SIGKILL with their sessions; processes around the file: ${nodes}`, async (t) => {
    const kills = { kills: 8, twice: 0.5, upMs: 1_000 };
    const report = await run(t, { nodes, ...kills, clients: 16, rooms: 8, rate: 100, changeEveryMs: 200 });
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.violations, {});
    assert.deepEqual(report.contradictions, []);
    assert.equal(report.silent, 0);
    assert.ok(report.outcomes.recovered >= 16, "hardly anybody was recovered");
  });
}
