// What the benches of fleets measure with.
import { readFile, readdir } from "node:fs/promises";

/** Nanoseconds that the process has computed, kernel included. */
export async function cpu(pid) {
  let sum = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8").catch(() => "0");
    sum += Number(text.split(" ")[0]);
  }
  return sum;
}

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
