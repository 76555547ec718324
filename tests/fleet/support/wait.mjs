export { pause, within } from "../../interop/support/wait.mjs";
import { PATIENCE_MS, pause } from "../../interop/support/wait.mjs";

/** Waits until `condition`, which may be a promise, holds; fails with `what` when it does not in time. */
export async function until(condition, what) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain for ${typeof what === "function" ? what() : what}`);
    }
    await pause(10);
  }
}
