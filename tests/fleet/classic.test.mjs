// One official node with the classic adapter, or with the sharded one, and one of ours, in both directions, and a session of each. `mixed.test.mjs` has the rest.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startNodes } from "./support/nodes.mjs";
import { Peer, settle } from "./support/peer.mjs";
import { Redis } from "./support/redis.mjs";
import { until } from "./support/wait.mjs";

async function fleet(t, kinds, SCHEME) {
  const redis = await Redis.start(t);
  const nodes = await startNodes(t, kinds, redis, { SCHEME });
  const peers = await Promise.all(nodes.map((node) => Peer.connect(t, node)));
  for (const peer of peers) {
    await until(async () => (await peer.call("count-servers")) === peers.length, "the nodes");
  }
  return { nodes, peers };
}

for (const scheme of ["redis+pubsub", "redis+sharded"]) {
  test(`an official node and ours are one over ${scheme}`, async (t) => {
    const { nodes, peers } = await fleet(t, ["official", "ours"], scheme);
    peers.forEach((peer, i) => peer.socket.on("question", (n, ack) => ack?.(`${i} ${n}`)));
    for (const [from, sender] of peers.entries()) {
      const to = 1 - from;
      sender.emit("broadcast", null, "m", Buffer.from([from]), { a: [1.5, null] });
      await settle(sender, peers[to]);
      const [, bytes, value] = peers[to].events.findLast(([name]) => name === "m");
      assert.deepEqual([bytes, value], [Buffer.from([from]), { a: [1.5, null] }]);
      sender.emit("sockets-join", peers[to].id, `room ${from}`);
      sender.emit("broadcast", `room ${from}`, "joined", from);
      await peers[to].hears("joined", from);
      assert.deepEqual((await sender.call("fetch", null)).map(({ id }) => id), peers.map(({ id }) => id).sort());
      assert.deepEqual(await sender.call("server-side", "x"), [`${nodes[to].name}:x`]);
      const answers = await sender.call("broadcast-with-ack", null, 30_000, "question", from);
      assert.deepEqual(answers, { responses: [`0 ${from}`, `1 ${from}`], missing: 0 });
    }
    // The sharded adapter knows only its own.
    const rooms = scheme === "redis+pubsub" && (await peers[0].call("all-rooms"));
    assert.deepEqual(rooms, scheme === "redis+pubsub" && [...peers.map(({ id }) => id), "room 0", "room 1"].sort());
  });

  test(`what an official node emits over ${scheme} is recovered at nodes of ours, in one order`, async (t) => {
    const { nodes, peers } = await fleet(t, ["official", "ours", "ours"], scheme);
    const traveller = await Peer.connect(t, nodes[1]);
    let n = 0;
    const say = () => peers[n % 3].emit("broadcast", null, "m", (n += 1));
    for (let round = 0; round < 10; round += 1) {
      for (let i = 0; i < 5; i += 1) {
        say();
      }
      await traveller.away();
      for (let i = 0; i < 10; i += 1) {
        say();
      }
      // It is not missed that they emit, but in which order is Redis's affair.
      await settle(...peers);
      const { recovered } = await traveller.back(nodes[1 + (round % 2)]);
      assert.ok(recovered, `round ${round}`);
    }
    await until(() => traveller.heard("m").length >= n, () => `${n} events after ${traveller.heard("m")}`);
    assert.deepEqual(traveller.heard("m").toSorted((a, b) => a - b), Array.from({ length: n }, (_, i) => i + 1));
    // A client that was there all the time, at a node of ours, has seen the same order.
    assert.deepEqual(traveller.heard("m"), peers[2].heard("m"));
  });
}
