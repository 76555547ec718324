// How long a test waits before it calls something missing. Never a measure of speed.
export const PATIENCE_MS = 60_000;

/** Waits until `condition` holds; fails with `what` (text or function) when it does not in time. */
export async function until(condition, what) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain for ${typeof what === "function" ? what() : what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The outcome of `promise`, or a failure with `what` when it does not come. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
