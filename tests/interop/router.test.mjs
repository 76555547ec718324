// `examples/router`: handlers with typed arguments, and middlewares, for the official client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, RECOVERS, TRANSPORTS, unconnected } from "./support/peer.mjs";
import { ROUTER } from "./support/servers.mjs";
import { until, within } from "./support/wait.mjs";

async function refusal(t, options) {
  const peer = unconnected(t, { url: ROUTER, reconnection: false, ...options });
  const error = new Promise((resolve) => peer.socket.on("connect_error", resolve));
  peer.socket.connect();
  return within(error, "a refusal");
}

for (const transport of Object.keys(TRANSPORTS)) {
  test(`a middleware lets clients in or rejects them over ${transport}`, async (t) => {
    assert.equal((await refusal(t, { transport })).message, "who are you?");
    const { message, data } = await refusal(t, { transport, auth: { name: "eve" } });
    assert.deepEqual({ message, data }, { message: "not authorized", data: { retry: false } });
    await connect(t, { url: ROUTER, transport, auth: { name: "ann" } });
  });

  test(`handlers answer over ${transport}`, async (t) => {
    const room = `room of ${transport}`;
    const ann = await connect(t, { url: ROUTER, transport, auth: { name: "ann" } });
    const bob = await connect(t, { url: ROUTER, transport, auth: { name: "bob" } });
    bob.socket.on("question", (question, callback) => callback(`${question} ${question}`));
    assert.equal(await bob.call("join", room), 1);
    assert.equal(await ann.call("join", room), 2);
    assert.deepEqual(await ann.call("ask", room, "really?"), ["really? really?"]);
    assert.deepEqual(await ann.call("ask", "nowhere", "really?"), []);
    assert.match((await ann.call("join", { not: "a text" })).error, /^unexpected argument: /);
    assert.match((await ann.call("ask", "too few")).error, /^unexpected argument: /);

    ann.socket.disconnect();
    await until(() => bob.events.length === 3, "three events");
    const [joined, question, left] = bob.events;
    assert.deepEqual(joined.slice(0, 2), ["joined", "ann"]);
    assert.deepEqual(question.slice(0, 2), ["question", "really?"]);
    assert.deepEqual(left.slice(0, 3), ["left", "ann", "client namespace disconnect"]);
  });

  test(`a client that recovers asks the middleware again over ${transport}`, async (t) => {
    const room = `lobby of ${transport}`;
    const ann = await connect(t, { url: ROUTER, transport, auth: { name: "ann" } });
    const bob = await connect(t, { url: ROUTER, transport, auth: { name: "bob" } });
    const { id } = ann;
    await ann.call("join", room);
    await bob.call("join", room);
    await until(() => ann.events.length === 1, "an event");
    await ann.away();
    const cat = await connect(t, { url: ROUTER, transport, auth: { name: "cat" } });
    await cat.call("join", room);
    if (RECOVERS) {
      assert.deepEqual(await ann.back(), { id, recovered: true });
      await until(() => ann.events.length === 2, "the missed event");
      assert.deepEqual(ann.heard(), [["joined", "bob"], ["joined", "cat"]]);
    }
  });
}
