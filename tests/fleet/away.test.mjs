// Redis is away for a while. What was accepted arrives once, and what is not accepted is refused.
// AWAY_MS makes Redis stay away for longer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startNodes } from "./support/nodes.mjs";
import { Peer, settle } from "./support/peer.mjs";
import { Redis } from "./support/redis.mjs";
import { pause, until } from "./support/wait.mjs";

const AWAY_MS = Number(process.env.AWAY_MS ?? 3_000);

async function world(t, options) {
  const redis = await Redis.start(t, options);
  const nodes = await startNodes(t, ["ours", "ours"], redis);
  const peers = await Promise.all([...nodes, ...nodes].map((node) => Peer.connect(t, node)));
  await settle(...peers);
  return { redis, nodes, peers };
}

/**
 * Broadcasts at every node until `isOver`; the numbers that were accepted, by node. It does not wait for the
 * answers: they come behind what was emitted, and so only after Redis is back.
 */
async function pour(peers, isOver) {
  const accepted = [[], []];
  let [answered, refused, n] = [0, 0, 0];
  while (!isOver()) {
    n += 1;
    const [number, sender] = [n, n % 2];
    peers[sender].emit("try-broadcast", null, "m", number, (isAccepted) => {
      answered += 1;
      if (isAccepted) {
        accepted[sender].push(number);
      } else {
        refused += 1;
      }
    });
    await pause(5);
  }
  await until(() => answered === n, () => `${n - answered} of ${n} answers`);
  // The latest answers of all may have found no place behind the events, and have come before others.
  accepted.forEach((numbers) => numbers.sort((a, b) => a - b));
  return { accepted, refused };
}

function assertEach(peers, { accepted }) {
  const all = accepted.flat().sort((a, b) => a - b);
  for (const peer of peers) {
    const heard = peer.heard("m");
    assert.deepEqual([...heard].sort((a, b) => a - b), all, "each that was accepted, once");
    assert.deepEqual(heard, peers[0].heard("m"), "in the same order everywhere");
    for (const [sender, numbers] of accepted.entries()) {
      assert.deepEqual(heard.filter((n) => n % 2 === sender), numbers, "in the order of the sender");
    }
  }
}

for (const [title, leave, comeBack] of [
  ["stands still", (redis) => redis.pause(), (redis) => redis.resume()],
  ["is killed and started again", (redis) => redis.kill(), (redis) => redis.start()],
]) {
  test(`Redis ${title}: nothing that was accepted is lost or doubled, and no session ends`, async (t) => {
    const { redis, peers } = await world(t, { isDurable: true });
    const ids = peers.map((peer) => peer.id);
    let isOver = false;
    const poured = pour(peers, () => isOver);
    await pause(300);
    await leave(redis);
    await pause(AWAY_MS);
    await comeBack(redis);
    await pause(500);
    isOver = true;
    const result = await poured;
    await settle(...peers);
    t.diagnostic(`${result.accepted.flat().length} accepted, ${result.refused} refused`);
    assertEach(peers, result);
    assert.deepEqual(peers.map((peer) => peer.id), ids);
    assert.deepEqual(peers.flatMap((peer) => peer.disconnections), []);
  });
}

test("a Redis that comes back without its data ends the sessions that may have missed something", async (t) => {
  const { redis, nodes, peers } = await world(t);
  peers[0].emit("broadcast", null, "m", 1);
  await Promise.all(peers.map((peer) => peer.hears("m", 1)));
  const ids = peers.map((peer) => peer.id);
  await redis.kill();
  await redis.start();
  const later = await Promise.all(nodes.map((node) => Peer.connect(t, node)));
  await until(async () => {
    later[0].emit("broadcast", null, "again");
    await pause(50);
    return later.every((peer) => peer.events.some(([name]) => name === "again"));
  }, "broadcasts");
  await settle(...later);
  // A session goes on whole, or its client is told that it does not.
  for (const [i, peer] of peers.entries()) {
    await until(() => peer.socket.connected, "the connection");
    assert.deepEqual(peer.heard("m"), [1]);
    if (peer.disconnections.length > 0) {
      assert.equal(peer.connections.at(-1).recovered, false);
      assert.notEqual(peer.id, ids[i]);
    }
  }
});
