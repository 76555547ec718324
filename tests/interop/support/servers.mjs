// Addresses of the running servers, from the environment.
import assert from "node:assert/strict";

/** `--profile acceptance` with its defaults. */
export const ACCEPTANCE = address("CONTRACT_URL");
/** `--profile acceptance` with RECOVERY_MS=4000, PING_INTERVAL=1000, PING_TIMEOUT=3000. */
export const IMPATIENT = address("IMPATIENT_URL");
/** `--profile client`. */
export const CLIENT = address("CLIENT_URL");
/**
 * `--profile interop`: pings after 1 s, for 4 s; 3 s to join, 1.5 s to upgrade. The tests reach these times, and a
 * machine that stands still for two seconds does not.
 */
export const INTEROP = address("INTEROP_URL");
/** `--profile interop` with PING_INTERVAL=25000, PING_TIMEOUT=20000. */
export const PATIENT = address("PATIENT_URL");
/** `examples/echo`. */
export const ECHO = address("ECHO_URL");
/** `examples/router`. */
export const ROUTER = address("ROUTER_URL");

function address(name) {
  const url = process.env[name];
  assert.ok(url, `${name} is not set: start the tests with \`cargo test --test interop\``);
  return url;
}
