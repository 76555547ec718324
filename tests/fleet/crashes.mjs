// The crash run by hand: `node crashes.mjs --kills 500 --clients 200 --nodes 1 --seed 7`.
// Prints a report in JSON; fails if anything that was delivered or acknowledged was contradicted.
import { parseArgs } from "node:util";
import { run } from "./support/crashes.mjs";

const names = ["nodes", "clients", "rate", "kills", "twice", "seed"];
const { values } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
const options = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));

const ends = [];
const t = { after: (end) => ends.push(end) };
let report;
try {
  report = await run(t, options);
} finally {
  for (const end of ends.reverse()) {
    await end();
  }
}
console.log(JSON.stringify(report, null, 2));
const isRight = Object.keys(report.violations).length + report.silent + report.contradictions.length === 0;
process.exit(isRight ? 0 : 1);
