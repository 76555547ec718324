// CPU time (garbage collection and compilation included), the median of rounds, in the format of
// benches/support.
"use strict";

const ROUND_NANOS = 100e6;
const ROUNDS = 7;

function cpuNanos() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function report(name, costs) {
  costs.sort((a, b) => a - b);
  const median = costs[costs.length >> 1];
  const spread = `(${costs[0].toFixed(1)}-${costs.at(-1).toFixed(1)})`;
  console.log(`${name.padEnd(44)} ${median.toFixed(1).padStart(12)} ${spread.padStart(25)}`);
}

// The cost of one call, after a warm-up.
function run(name, call) {
  const start = process.hrtime.bigint();
  let warm = 0;
  while (process.hrtime.bigint() - start < 400_000_000n) {
    for (let i = 0; i < 50; i++) call();
    warm += 50;
  }
  const nanos = Number(process.hrtime.bigint() - start) / warm;
  const calls = Math.max(1, Math.ceil(ROUND_NANOS / nanos));
  const costs = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuNanos();
    for (let i = 0; i < calls; i++) call();
    costs.push((cpuNanos() - before) / calls);
  }
  report(name, costs);
}

module.exports = { cpuNanos, report, run, ROUNDS };
