// A small exactness run over our nodes; `exactness.mjs` runs larger ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./support/run.mjs";

test("every recovery is exact while links break and clients move between nodes", async (t) => {
  const report = await run(t, { clients: 12, rooms: 6, rate: 300, claims: 60, breakEveryMs: 150, nodeEveryMs: Infinity });
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual(report.violations, {});
  assert.equal(report.silent, 0);
  assert.ok(report.outcomes.recovered >= 40, "hardly anybody was recovered");
});

for (const scheme of ["redis+pubsub", "redis+sharded"]) {
  test(`the same over ${scheme}, without a stream, while subscriptions break as well`, async (t) => {
    const options = { scheme, clients: 12, rooms: 6, rate: 300, claims: 60, breakEveryMs: 150 };
    const report = await run(t, { ...options, nodeEveryMs: Infinity, subscriptionEveryMs: 1_500 });
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.violations, {});
    assert.equal(report.silent, 0);
    assert.ok(report.outcomes.recovered >= 20, "hardly anybody was recovered");
  });
}
