// `examples/echo`, the smallest server: everything comes back, and nothing is lost with a link.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, RECOVERS, TRANSPORTS } from "./support/peer.mjs";
import { ECHO } from "./support/servers.mjs";
import { until } from "./support/wait.mjs";

for (const transport of Object.keys(TRANSPORTS)) {
  test(`everything comes back over ${transport}`, async (t) => {
    const peer = await connect(t, { transport, url: ECHO });
    const { id } = peer;
    peer.socket.emit("hello", 1, { a: ["b"] });
    peer.socket.emit("bytes", Buffer.from([1, 2, 3]));
    await until(() => peer.events.length === 2, "two events");
    assert.deepEqual(peer.heard(), [["hello", 1, { a: ["b"] }], ["bytes", Buffer.from([1, 2, 3])]]);
    assert.equal(await peer.call("question", 7), 7);

    await peer.away();
    assert.deepEqual(await peer.back(), RECOVERS ? { id, recovered: true } : { id: peer.id, recovered: false });
    peer.socket.emit("again");
    await until(() => peer.events.length === 3, "the third event");
  });
}
