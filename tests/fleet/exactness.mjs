// The exactness run by hand: `node exactness.mjs --kinds ours,ours,ours --claims 1000 --rate 5000 --seed 7`.
// Prints a report in JSON; fails if a recovery was inexact.
import { parseArgs } from "node:util";
import { DEFAULTS, run } from "./support/run.mjs";

const number = (value) => (value === undefined ? undefined : Number(value));
const { values } = parseArgs({
  options: {
    scheme: { type: "string" },
    kinds: { type: "string" },
    clients: { type: "string" },
    rate: { type: "string" },
    claims: { type: "string" },
    seed: { type: "string" },
    "break-every-ms": { type: "string" },
    "node-every-ms": { type: "string" },
    "subscription-every-ms": { type: "string" },
  },
});
const options = {
  scheme: values.scheme,
  kinds: values.kinds?.split(","),
  clients: number(values.clients),
  rate: number(values.rate),
  claims: number(values.claims),
  seed: number(values.seed),
  breakEveryMs: number(values["break-every-ms"]),
  nodeEveryMs: number(values["node-every-ms"]),
  subscriptionEveryMs: number(values["subscription-every-ms"]),
};
const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

const ends = [];
const t = { after: (end) => ends.push(end) };
let report;
try {
  report = await run(t, { ...DEFAULTS, ...given });
} finally {
  for (const end of ends.reverse()) {
    await end();
  }
}
console.log(JSON.stringify(report, null, 2));
process.exit(Object.keys(report.violations).length > 0 || report.silent > 0 ? 1 : 0);
