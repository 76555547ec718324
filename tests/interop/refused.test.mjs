// Clients that cannot be served: of another revision, or with another parser. They are told so, in a way that
// they report.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { io } from "socket.io-client";
import { Frames, request } from "./support/raw.mjs";
import { ACCEPTANCE } from "./support/servers.mjs";
import { until } from "./support/wait.mjs";

const require = createRequire(import.meta.url);

/** Connects until there was an error or an end, and returns what the client said about it. */
async function report(t, connect, options) {
  const socket = connect(ACCEPTANCE, { reconnection: false, forceNew: true, ...options });
  t.after(() => socket.disconnect());
  const reports = [];
  socket.on("connect_error", (error) => reports.push(String(error.description?.message ?? error.description ?? error.message)));
  socket.on("disconnect", (reason) => reports.push(reason));
  socket.on("connect", () => reports.push("connected"));
  await until(() => reports.length > 0, "a report");
  return reports[0];
}

test("a client of revision 3 over polling reports the status", async (t) => {
  assert.equal(await report(t, require("socket.io-client-2"), { transports: ["polling"] }), "400");
  const { status, body } = await request("GET", "EIO=3&transport=polling");
  assert.equal(status, 400);
  assert.deepEqual(JSON.parse(body), { code: 5, message: "Unsupported protocol version" });
});

test("a client of revision 3 over WebSocket reports the status", async (t) => {
  const told = await report(t, require("socket.io-client-2"), { transports: ["websocket"] });
  assert.equal(told, "Unexpected server response: 400");
});

for (const transport of ["polling", "websocket"]) {
  test(`a client with the msgpack parser over ${transport} reports a parse error`, async (t) => {
    const options = { parser: require("socket.io-msgpack-parser"), transports: [transport] };
    assert.equal(await report(t, io, options), "parse error");
  });
}

test("the close frame says that the parser is another one", async () => {
  const frames = new Frames("EIO=4&transport=websocket");
  await frames.frame(0);
  frames.send(Buffer.from("83a47479706500a464617461c0a36e7370a12f", "hex"));
  assert.equal(await frames.closed(), 1003);
  assert.match(frames.reason, /default parser/);
});
