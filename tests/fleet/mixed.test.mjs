// Two official nodes and two of ours on one Redis, PostgreSQL or SecantusDB: everything that a cluster does, in every direction.
// It takes minutes and is run by hand, see `main.rs`. FLEET names other kinds for the four nodes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Emitter as MongoEmitter } from "@socket.io/mongo-emitter";
import { Emitter as PostgresEmitter } from "@socket.io/postgres-emitter";
import { Emitter as OfficialEmitter } from "@socket.io/redis-emitter";
import { Mongodb } from "./support/mongodb.mjs";
import { startNodes } from "./support/nodes.mjs";
import { Peer, settle } from "./support/peer.mjs";
import { Postgres } from "./support/postgres.mjs";
import { Redis } from "./support/redis.mjs";
import { pause, until } from "./support/wait.mjs";

const KINDS = (process.env.FLEET ?? "official,ours,official,ours").split(",");
const OPTIONS = {
  "default options": {},
  "streams, prefixes and channels of one's own, sharded": {
    STREAM_NAME: "events",
    STREAM_COUNT: "3",
    CHANNEL_PREFIX: "channel",
    SESSION_KEY_PREFIX: "session:",
    SHARDED_PUBSUB: "true",
  },
  "the classic adapter": { SCHEME: "redis+pubsub" },
  "the classic adapter with a key of one's own": { SCHEME: "redis+pubsub", CHANNEL_PREFIX: "k" },
  "the sharded adapter": { SCHEME: "redis+sharded" },
  "the sharded adapter with a prefix of one's own": { SCHEME: "redis+sharded", CHANNEL_PREFIX: "k" },
  "PostgreSQL": { SCHEME: "postgres" },
  "PostgreSQL with a prefix of one's own": { SCHEME: "postgres", CHANNEL_PREFIX: "channel" },
  // It has to be installed, which the tests of `drivers/mongodb` do.
  ...(process.env.SECANTUS === undefined ? {} : { "MongoDB": { SCHEME: "mongodb" } }),
};
const SERVERS = { postgres: Postgres, mongodb: Mongodb };

/** Four nodes, and a client at each. */
async function fleet(t, variables = {}) {
  const redis = await (SERVERS[variables.SCHEME] ?? Redis).start(t);
  const nodes = await startNodes(t, KINDS, redis, variables);
  const peers = await Promise.all(nodes.map((node) => Peer.connect(t, node)));
  await known(peers);
  return { redis, nodes, peers, ids: peers.map((peer) => peer.id) };
}

/** Waits until every node knows every other. */
async function known(peers) {
  for (const peer of peers) {
    await until(async () => (await peer.call("count-servers")) === peers.length, "the nodes");
  }
  // A node reads from its start on, and may not have begun (H35).
  for (const peer of peers) {
    for (let n = 1; !peers.every((other) => other.heard("known").includes(peer.id)); n += 1) {
      peer.emit("broadcast", null, "known", peer.id);
      await pause(20);
      assert.ok(n < 500, "a broadcast that never arrives");
    }
  }
}

for (const [title, variables] of Object.entries(OPTIONS)) {
  describe(title, () => {
    test("broadcasts reach whom they are for, on every node", async (t) => {
      const { peers, ids } = await fleet(t, variables);
      await Promise.all(peers.map((peer, i) => peer.call("join", i % 2 === 0 ? "even" : "odd")));
      const expected = peers.map(() => new Set());
      let n = 0;
      for (const [from, sender] of peers.entries()) {
        const send = (options, isFor) => {
          n += 1;
          sender.emit("broadcast-with", options, "m", n);
          peers.forEach((_, to) => isFor(to) && expected[to].add(n));
        };
        send({}, () => true);
        send({ rooms: ["even"] }, (to) => to % 2 === 0);
        send({ rooms: ["even", "odd"] }, () => true);
        send({ rooms: ["even", "odd"], except: ["odd"] }, (to) => to % 2 === 0);
        send({ except: [ids[2], ids[3]] }, (to) => to < 2);
        send({ rooms: [ids[1]] }, (to) => to === 1);
        send({ local: true }, (to) => to === from);
        send({ local: true, rooms: ["even"] }, (to) => to === from && to % 2 === 0);
      }
      await settle(...peers);
      for (const [i, peer] of peers.entries()) {
        await until(() => peer.heard("m").length >= expected[i].size, () => `${expected[i].size} events after ${peer.heard("m")}`);
        assert.deepEqual(peer.heard("m").sort((a, b) => a - b), [...expected[i]]);
      }
    });

    test("volatile broadcasts reach who can be written to", async (t) => {
      const { peers } = await fleet(t, variables);
      await Promise.all(peers.map((peer, i) => i % 2 === 1 && peer.call("join", "odd")));
      for (const [from, sender] of peers.entries()) {
        // One that comes while something else is written is dropped.
        for (const [rooms, name, isFor] of [[[], `all ${from}`, () => true], [["odd"], `odd ${from}`, (to) => to % 2 === 1]]) {
          const receivers = peers.filter((_, to) => isFor(to));
          await until(async () => {
            sender.emit("broadcast-with", { rooms, volatile: true }, "m", name);
            await pause(20);
            return receivers.every((peer) => peer.heard("m").includes(name));
          }, () => `${name} after ${peers.map((peer) => peer.heard("m"))}`);
        }
      }
      assert.deepEqual([peers[0], peers[2]].flatMap((peer) => peer.heard("m").filter((name) => name.startsWith("odd"))), []);
    });

    test("values arrive as they were sent, bytes included", async (t) => {
      const { peers } = await fleet(t, variables);
      const values = [
        [],
        // The classic adapter writes whole numbers above 2^64 as 0.
        [0, -1, 1.5, 2 ** 40, variables.SCHEME === undefined ? 1e300 : 1e-300, true, null, "", "é😀\u2028"],
        [{ a: { b: [1, { c: [] }] }, "": {} }],
        [Buffer.from([0, 255, 7])],
        [{ list: [Buffer.alloc(0), { deep: Buffer.alloc(70_000, 9) }], n: -129 }, Buffer.from("x"), 1.5, null, "last"],
      ];
      for (const sender of peers) {
        values.forEach((args, n) => sender.emit("broadcast", null, `value ${n}`, ...args));
        await settle(sender, ...peers);
      }
      for (const peer of peers) {
        values.forEach((args, n) => {
          const got = peer.events.filter(([name]) => name === `value ${n}`);
          assert.deepEqual(got, peers.map(() => [`value ${n}`, ...args]));
        });
      }
    });

    test("acknowledgements are collected from all nodes", async (t) => {
      const { peers } = await fleet(t, variables);
      peers.forEach((peer, i) => peer.socket.on("question", (n, ack) => ack?.(`${i} ${n}`)));
      await peers[0].call("join", "some");
      await peers[1].call("join", "some");
      for (const [n, asker] of peers.entries()) {
        const all = await asker.call("broadcast-with-ack", null, 30_000, "question", n);
        assert.deepEqual(all, { responses: [0, 1, 2, 3].map((i) => `${i} ${n}`), missing: 0 });
        const some = await asker.call("broadcast-with-ack", "some", 30_000, "question", n);
        assert.deepEqual(some, { responses: [0, 1].map((i) => `${i} ${n}`), missing: 0 });
        const nobody = await asker.call("broadcast-with-ack", "nobody", 30_000, "question", n);
        assert.deepEqual(nobody, { responses: [], missing: 0 });
      }
      for (const [n, asker] of peers.entries()) {
        peers[(n + 1) % 4].socket.off("question").onAny(() => {});
        const part = await asker.call("broadcast-with-ack", null, 1_000, "question", n);
        assert.deepEqual(part.responses, [0, 1, 2, 3].filter((i) => i !== (n + 1) % 4).map((i) => `${i} ${n}`));
        assert.ok(part.missing === null || part.missing === 1, JSON.stringify(part));
        const i = (n + 1) % 4;
        peers[i].socket.on("question", (number, ack) => ack?.(`${i} ${number}`));
      }
    });

    test("sockets are fetched, moved between rooms and disconnected from any node", async (t) => {
      const { nodes, peers, ids } = await fleet(t, variables);
      await Promise.all(peers.map((peer, i) => peer.call("set-data", { name: `client ${i}`, list: [1, null] })));
      for (const [from, sender] of peers.entries()) {
        const everyone = await sender.call("fetch", null);
        const expected = ids.map((id, i) => ({ id, rooms: [id], data: { name: `client ${i}`, list: [1, null] } }));
        assert.deepEqual(everyone, expected.sort((a, b) => (a.id < b.id ? -1 : 1)));
        for (const [to, peer] of peers.entries()) {
          const room = `${from} to ${to}`;
          // An official node of the classic adapter emits to its own clients before they have joined.
          const isEarly = variables.SCHEME !== undefined && KINDS[from] === "official";
          const changed = (isIn) => until(async () => (await peer.call("get-state")).rooms.includes(room) === isIn, room);
          sender.emit("sockets-join", ids[to], room);
          await (isEarly && changed(true));
          sender.emit("broadcast", room, "joined", room);
          await peer.hears("joined", room);
          assert.deepEqual((await sender.call("fetch", room)).map(({ id }) => id), [ids[to]]);
          sender.emit("sockets-leave", room, room);
          await (isEarly && changed(false));
          sender.emit("broadcast", room, "left", room);
          await settle(sender, peer);
          assert.deepEqual(peer.heard("left"), []);
          assert.deepEqual((await peer.call("get-state")).rooms, [ids[to]]);
        }
      }
      for (const [from, sender] of peers.entries()) {
        const others = await Promise.all(nodes.map((node) => Peer.connect(t, node)));
        await Promise.all(others.map((peer) => peer.call("join", "guests")));
        sender.emit("disconnect-sockets", "guests", from % 2 === 0);
        for (const peer of others) {
          await until(() => peer.disconnections.length > 0, "the disconnection");
          // The packet that tells of it may come before the end of the link.
          assert.ok(["io server disconnect", "transport close"].includes(peer.disconnections[0]), peer.disconnections[0]);
        }
        assert.deepEqual(await sender.call("fetch", "guests"), []);
      }
    });

    test("servers ask and tell each other", async (t) => {
      const { nodes, peers } = await fleet(t, variables);
      for (const [from, sender] of peers.entries()) {
        const others = nodes.filter((_, i) => i !== from);
        const answers = await sender.call("server-side", `from ${from}`);
        assert.deepEqual(answers, others.map(({ name }) => `${name}:from ${from}`));
        sender.emit("server-side-tell", `from ${from}`);
        for (const [to, peer] of peers.entries()) {
          if (to !== from) {
            await peer.hears("told", `${nodes[to].name}:from ${from}`);
          }
        }
        assert.ok(!sender.heard("told").includes(`${nodes[from].name}:from ${from}`), "it told itself");
      }
    });

    test("nodes that come and go are counted, and what they are asked is settled", async (t) => {
      const { nodes, peers } = await fleet(t, variables);
      for (const [gone, signal] of [[0, "SIGKILL"], [1, "SIGKILL"], [2, "SIGTERM"], [3, "SIGTERM"]]) {
        await nodes[gone].end(signal);
        const rest = peers.filter((_, i) => i !== gone);
        for (const peer of rest) {
          await until(async () => (await peer.call("count-servers")) === 3, "the end of a node");
        }
        // The official nodes ask whom they have not heard of for ten seconds.
        for (const peer of rest) {
          assert.ok((await peer.call("fetch", null)).length >= 3);
          const names = nodes.filter((node, i) => i !== gone && peer !== peers[i]).map(({ name }) => name);
          assert.deepEqual(await peer.call("server-side", "x"), names.map((name) => `${name}:x`));
        }
        await nodes[gone].start();
        peers[gone] = await Peer.connect(t, nodes[gone]);
        await known(peers);
      }
    });

    // There is none for the sharded adapter.
    test("messages of the official emitter are taken", { skip: variables.SCHEME === "redis+sharded" }, async (t) => {
      const { redis, nodes, peers, ids } = await fleet(t, variables);
      const client = await redis.client(t);
      if (variables.SCHEME === "postgres") {
        await emitOverPostgres(client, variables, { nodes, peers, ids });
        return;
      }
      const emitter = emitterOf(client, variables);
      await emitter.emit(["m", 1]);
      await emitter.emit(["m", 2], { rooms: [ids[1]] });
      await emitter.emit(["m", 3], { except: [ids[1], ids[2]] });
      await emitter.write(4, { opts: { rooms: ids, except: [] }, rooms: ["emitted"] });
      await emitter.emit(["m", 4], { rooms: ["emitted"] });
      await emitter.write(5, { opts: { rooms: [ids[0], ids[1]], except: [] }, rooms: ["emitted"] });
      await emitter.emit(["m", 5], { rooms: ["emitted"] });
      await emitter.write(9, { packet: ["tell", "emitter"] });
      await settle(...peers);
      for (const [i, peer] of peers.entries()) {
        assert.deepEqual(peer.heard("m"), [[1, 3, 4], [1, 2, 4], [1, 4, 5], [1, 3, 4, 5]][i]);
        await peer.hears("told", `${nodes[i].name}:emitter`);
        assert.equal(peer.heard("told").length, 1);
      }
      await emitter.write(6, { opts: { rooms: [ids[0], ids[1]], except: [] }, close: false });
      await until(() => peers[0].disconnections.length > 0 && peers[1].disconnections.length > 0, "the disconnections");
      assert.deepEqual([...peers[2].disconnections, ...peers[3].disconnections], []);
    });

    test("official nodes of the classic adapter are told all rooms", { skip: variables.SCHEME !== "redis+pubsub" }, async (t) => {
      const { peers, ids } = await fleet(t, variables);
      await Promise.all(peers.map((peer, i) => peer.call("join", i < 2 ? "both" : `only ${i}`)));
      for (const [from, peer] of peers.entries()) {
        if (KINDS[from] === "official") {
          assert.deepEqual(await peer.call("all-rooms"), [...ids, "both", "only 2", "only 3"].sort());
        }
      }
    });
  });
}

function emitterOf(client, variables) {
  switch (variables.SCHEME) {
    case undefined:
      return new Emitter(client, variables);
    case "mongodb":
      return new Official(new MongoEmitter(client.db("fleet").collection("events"), "/quiet", { addCreatedAtField: true }));
    default:
      return new Official(new OfficialEmitter(client, { key: variables.CHANNEL_PREFIX ?? "socket.io" }, "/quiet"));
  }
}

/** An official emitter, with the methods of the one for Redis Streams. */
class Official {
  #emitter;

  constructor(emitter) {
    this.#emitter = emitter;
  }

  emit(data, { rooms = [], except = [] } = {}) {
    return this.#emitter.in(rooms).except(except).emit(...data);
  }

  write(type, { opts, rooms, packet, close }) {
    const actions = {
      4: () => this.#emitter.in(opts.rooms).socketsJoin(rooms),
      5: () => this.#emitter.in(opts.rooms).socketsLeave(rooms),
      6: () => this.#emitter.in(opts.rooms).disconnectSockets(close),
      9: () => this.#emitter.serverSideEmit(...packet),
    };
    return actions[type]();
  }
}

/** The official adapter takes nothing of what the official emitter for PostgreSQL sends: our nodes alone do. */
async function emitOverPostgres(client, { CHANNEL_PREFIX }, { nodes, peers, ids }) {
  const ours = peers.filter((_, i) => nodes[i].kind === "ours");
  // Its method `of` loses the options.
  const emitter = new PostgresEmitter(client, "/quiet", { channelPrefix: CHANNEL_PREFIX });
  const [bytes, large] = [Buffer.from([2]), "x".repeat(10_000)];
  emitter.emit("m", 1);
  emitter.emit("bytes", bytes);
  emitter.to(ids[1]).emit("m", 2);
  emitter.except(ids[1]).emit("m", 3);
  emitter.emit("large", large);
  emitter.in(ids).socketsJoin("emitted");
  emitter.to("emitted").emit("m", 4);
  emitter.serverSideEmit("tell", "emitter");
  for (const peer of ours) {
    await peer.hears("large", large);
    await peer.hears("m", 4);
    // What is attached is sent when it is in the table, and others are not held up by that.
    assert.deepEqual(peer.heard("m"), peer.id === ids[1] ? [1, 2, 4] : [1, 3, 4]);
    await until(() => peer.heard("bytes").length > 0, "the bytes");
    assert.deepEqual(peer.heard("bytes"), [bytes]);
    const { name } = nodes[peers.indexOf(peer)];
    await peer.hears("told", `${name}:emitter`);
    assert.equal(peer.heard("told").length, 1);
  }
  emitter.in(ours[0].id).disconnectSockets();
  await until(() => ours[0].disconnections.length > 0, "the disconnection");
}

/** What `@socket.io/redis-streams-emitter`, which is not published, writes into the stream. */
class Emitter {
  #client;
  #stream;

  constructor(client, { STREAM_NAME = "socket.io", STREAM_COUNT = "1" }) {
    this.#client = client;
    // It knows nothing of several streams, and there it reaches nobody (H74). Its user names the right one.
    const hash = [..."/quiet"].reduce((sum, digit) => (sum * 31 + digit.charCodeAt(0)) | 0, 0);
    this.#stream = STREAM_COUNT === "1" ? STREAM_NAME : `${STREAM_NAME}-${hash % Number(STREAM_COUNT)}`;
  }

  emit(data, { rooms = [], except = [] } = {}) {
    return this.write(3, { packet: { type: 2, data, nsp: "/quiet" }, opts: { rooms, except, flags: {} } });
  }

  write(type, data) {
    return this.#client.xAdd(this.#stream, "*", { uid: "emitter", nsp: "/quiet", type: String(type), data: JSON.stringify(data) });
  }
}
