// Sessions that move from one node to another, ours and official ones.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startNodes } from "./support/nodes.mjs";
import { Peer, settle } from "./support/peer.mjs";
import { Redis } from "./support/redis.mjs";
import { pause, until } from "./support/wait.mjs";

const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"] };
const DATA = { name: "Ada", tags: [1, null] };

/** A node of each of `kinds`, a client at the last of them that stays, and the keys of stored sessions. */
async function world(t, kinds, variables = {}) {
  const redis = await Redis.start(t);
  const nodes = await startNodes(t, kinds, redis, variables);
  const client = await redis.client(t);
  const other = await Peer.connect(t, nodes.at(-1));
  const stored = () => client.keys("sio:session:*");
  return { redis, nodes, other, client, stored };
}

/** A client with rooms, data, and an event. */
async function settled(t, node, other, options) {
  const peer = await Peer.connect(t, node, options);
  await peer.call("join", "room");
  await peer.call("join", "left before");
  await peer.call("leave", "left before");
  await peer.call("set-data", DATA);
  // The official server recovers nobody who has not heard anything (H01), and its readers begin late (H35).
  await until(async () => {
    other.emit("broadcast", "room", "begin");
    await pause(20);
    return peer.events.some(([name]) => name === "begin");
  }, "the first event");
  await settle(other, peer);
  return peer;
}

/** Five events, of which three are for `peer`, which is away. */
async function miss(other, { id }) {
  other.emit("broadcast", null, "m", 1);
  other.emit("broadcast", "room", "m", 2, Buffer.from([0, 255]));
  other.emit("broadcast", "left before", "m", -1);
  other.emit("broadcast", other.id, "m", -2);
  other.emit("broadcast", id, "m", 3);
  await other.hears("m", -2);
}

async function assertWhole(other, peer, id, outcome = "recovered") {
  other.emit("broadcast", "room", "m", 4);
  await settle(other, peer);
  assert.deepEqual(peer.events.filter(([name]) => name === "m"), [["m", 1], ["m", 2, Buffer.from([0, 255])], ["m", 3], ["m", 4]]);
  const state = await peer.call("get-state");
  assert.deepEqual([state.rooms.sort(), state.data], [[id, "room"].sort(), DATA]);
  assert.equal(state.outcome, outcome);
}

test("bytes in data and in answers are bytes at every node", async (t) => {
  const { nodes, other } = await world(t, ["ours", "ours"]);
  const data = { key: Buffer.from([0, 255]), list: [Buffer.from("a"), Buffer.alloc(0)], n: [1, 2] };
  const peer = await Peer.connect(t, nodes[0]);
  const { id } = peer;
  await peer.call("set-data", data);
  peer.socket.on("question", (ack) => ack(data));
  const answers = await other.call("broadcast-with-ack", id, 5_000, "question");
  assert.deepEqual(answers, { responses: [data], missing: 0 });
  const fetched = [{ id, rooms: [id], data }];
  assert.deepEqual([await peer.call("fetch", id), await other.call("fetch", id)], [fetched, fetched]);
  assert.deepEqual((await peer.call("get-state")).data, data);
  await peer.away();
  assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
  assert.deepEqual((await peer.call("get-state")).data, data);
});

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  describe(`over ${name}`, () => {
    test("one of ours recovers what another had", async (t) => {
      const { nodes, other } = await world(t, ["ours", "ours", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      await peer.away();
      await miss(other, peer);
      assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
      await assertWhole(other, peer, id);
      // And back again, with nothing missed.
      await peer.away();
      assert.deepEqual(await peer.back(nodes[0]), { id, recovered: true });
      other.emit("broadcast", "room", "m", 5);
      await settle(other, peer);
      assert.deepEqual(peer.heard("m"), [1, 2, 3, 4, 5]);
    });

    test("a link that only the client knows to be dead does not keep the session", async (t) => {
      const { nodes, other } = await world(t, ["ours", "ours", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      peer.proxy.freeze();
      await miss(other, peer);
      await peer.away();
      assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
      await assertWhole(other, peer, id);
      assert.equal((await other.call("fetch", "room")).length, 1, "the old socket is gone");
    });

    test("a node that is stopped hands its sessions over", async (t) => {
      const { nodes, other } = await world(t, ["ours", "ours", "ours"]);
      const peers = await Promise.all([1, 2, 3].map(() => settled(t, nodes[0], other, { transports })));
      const ids = peers.map((peer) => peer.id);
      peers.forEach((peer) => (peer.proxy.target = nodes[1].url));
      assert.equal(await nodes[0].end("SIGTERM"), 0);
      await until(() => peers.every((peer) => peer.connections.length === 2), "the clients");
      assert.deepEqual(peers.map((peer) => peer.connections[1]), ids.map((id) => ({ id, recovered: true })));
      await settle(other, ...peers);
      for (const peer of peers) {
        assert.deepEqual((await peer.call("get-state")).rooms.sort(), [peer.id, "room"].sort());
      }
    });

    test("a node that is killed takes the sessions of its connected clients along", async (t) => {
      const { nodes, other } = await world(t, ["ours", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      peer.proxy.target = nodes[1].url;
      await nodes[0].end("SIGKILL");
      await until(() => peer.connections.length === 2, "the client");
      assert.equal(peer.connections[1].recovered, false);
      assert.notEqual(peer.connections[1].id, id);
      assert.notEqual((await peer.call("get-state")).outcome, "new", "the reason is told");
    });

    test("a session that was kicked is recovered nowhere", async (t) => {
      const { nodes, other } = await world(t, ["ours", "ours", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      await peer.away();
      other.emit("disconnect-sockets", id, false);
      await settle(other);
      assert.equal((await peer.back(nodes[1])).recovered, false);
      assert.notEqual(peer.id, id);
      assert.deepEqual((await peer.call("get-state")).rooms, [peer.id]);
    });

    test("joins and leaves reach a session that is away", async (t) => {
      const { nodes, other } = await world(t, ["ours", "ours", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      await peer.away();
      other.emit("sockets-join", id, "new");
      other.emit("broadcast", "new", "m", 1);
      other.emit("sockets-leave", id, "room");
      other.emit("broadcast", "room", "m", -1);
      await settle(other);
      assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
      other.emit("broadcast", "new", "m", 2);
      await settle(other, peer);
      assert.deepEqual(peer.heard("m"), [1, 2]);
      assert.deepEqual((await peer.call("get-state")).rooms.sort(), [id, "new"].sort());
    });

    test("a session that heard nothing is recovered on another node", async (t) => {
      const { nodes } = await world(t, ["ours", "ours"]);
      const peer = await Peer.connect(t, nodes[0], { transports });
      const { id } = peer;
      await peer.away();
      assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
    });

    test("an official node takes over a session of ours, whole", async (t) => {
      const { nodes, other, stored } = await world(t, ["ours", "official", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      await peer.away();
      await until(async () => (await stored()).length === 1, "the stored session");
      await miss(other, peer);
      assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
      await assertWhole(other, peer, id);
      // It is not ours any longer.
      assert.deepEqual((await other.call("fetch", "room")).map((socket) => socket.id), [id]);
    });

    test("a session of an official node is refused, with the reason, and stays where it is", async (t) => {
      const { nodes, other, stored } = await world(t, ["official", "ours", "ours"]);
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      await peer.away();
      await until(async () => (await stored()).length === 1, "the stored session");
      const keys = await stored();
      assert.equal((await peer.back(nodes[1])).recovered, false);
      assert.notEqual(peer.id, id);
      const { outcome, rooms } = await peer.call("get-state");
      assert.ok(!["new", "recovered", "unknown"].includes(outcome), outcome);
      assert.deepEqual(rooms, [peer.id]);
      assert.ok((await stored()).includes(keys[0]), "an official node could still take it");
    });

    test("a session of an official node is recovered where the application wants it, and the outcome says so", async (t) => {
      const { nodes, other, stored } = await world(t, ["official", "ours", "ours"], { OFFICIAL_SESSIONS: "best-effort" });
      const peer = await settled(t, nodes[0], other, { transports });
      const { id } = peer;
      await peer.away();
      await until(async () => (await stored()).length === 1, "the stored session");
      await miss(other, peer);
      assert.deepEqual(await peer.back(nodes[1]), { id, recovered: true });
      await assertWhole(other, peer, id, "best-effort");
      assert.deepEqual(await stored(), [], "of several nodes that try, one gets it");
      // From here on its sessions are ours: exact, and on every node.
      await peer.away();
      other.emit("broadcast", "room", "m", 5);
      await settle(other);
      assert.deepEqual(await peer.back(nodes[2]), { id, recovered: true });
      await settle(other, peer);
      assert.deepEqual(peer.heard("m"), [1, 2, 3, 4, 5]);
      assert.equal((await peer.call("get-state")).outcome, "recovered");
    });
  });
}
