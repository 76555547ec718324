// What a node of a cluster on Redis Streams costs, ours beside the official one: see README.md.
//
//     node costs.mjs [--kinds ours,official] [--only reading,steady,emitting,claims,latency,connections]
import { parseArgs } from "node:util";
import { cpu, median } from "./measure.mjs";
import { Node } from "../../tests/fleet/support/nodes.mjs";
import { Peer } from "../../tests/fleet/support/peer.mjs";
import { Redis } from "../../tests/fleet/support/redis.mjs";
import { pause, until } from "../../tests/fleet/support/wait.mjs";

const ROUNDS = 5;
const ENTRIES = 20_000;
const BATCH = 200;
const TEXT = "x".repeat(100);

/** Two nodes of one kind, a client of Redis, and where ends are noted. */
async function world(kind, variables = {}) {
  const ends = [];
  const t = { after: (end) => ends.push(end) };
  const redis = await Redis.start(t);
  const all = { MAX_LEN: "10000000", ...variables };
  const nodes = [await Node.start(t, kind, redis, "a", all), await Node.start(t, kind, redis, "b", all)];
  const client = await redis.client(t);
  const end = async () => {
    for (const act of ends.reverse()) {
      await act();
    }
  };
  return { t, redis, nodes, client, end };
}

function append(client, room, args) {
  const data = { packet: { type: 2, data: args }, opts: { rooms: [room], except: [], flags: {} } };
  return client.xAdd("socket.io", "*", { uid: "0123456789abcdef", nsp: "/quiet", type: "3", data: JSON.stringify(data) });
}

/** Appends `count` entries for `room`, as an official node writes them. */
async function fill(client, count, room) {
  for (let n = 0; n < count; n += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, count - n) }, () => append(client, room, ["m", TEXT])));
  }
}

/** Waits until `peer` has read what is in the stream now. */
async function drained(client, peer) {
  const name = Math.random();
  await append(client, peer.id, ["drained", name]);
  await peer.hears("drained", name);
}

/** CPU per entry of a node that reads entries for `receivers` of its clients: others have written them. */
async function reading(kind) {
  const { t, nodes, client, end } = await world(kind);
  const peers = await Promise.all(Array.from({ length: 20 }, () => Peer.connect(t, nodes[1])));
  await Promise.all(peers.map((peer) => peer.call("join", "twenty")));
  await peers[0].call("join", "one");
  peers.forEach((peer) => peer.socket.offAny().on("drained", (name) => peer.events.push(["drained", name])));
  const costs = { nobody: [], one: [], twenty: [] };
  await fill(client, ENTRIES, "nobody");
  await drained(client, peers[0]);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const room of Object.keys(costs)) {
      const before = await cpu(nodes[1].pid);
      await fill(client, ENTRIES, room);
      await drained(client, peers[0]);
      costs[room].push(((await cpu(nodes[1].pid)) - before) / ENTRIES / 1000);
    }
  }
  await end();
  return Object.fromEntries(Object.entries(costs).map(([room, list]) => [`microseconds per entry for ${room}`, median(list)]));
}

/** Appends entries for `room` at a steady rate per second, a few in each millisecond, for two seconds. */
async function trickle(client, rate, room) {
  const start = performance.now();
  const pending = [];
  for (let sent = 0; sent < 2 * rate; ) {
    const due = Math.min(2 * rate, Math.ceil(((performance.now() - start) * rate) / 1000));
    for (; sent < due; sent += 1) {
      pending.push(append(client, room, ["m", TEXT]));
    }
    await pause(1);
  }
  await Promise.all(pending);
}

/** The same as `reading`, of entries that come at a steady rate and not as fast as they can be read. */
async function steady(kind) {
  const { t, nodes, client, end } = await world(kind);
  const peer = await Peer.connect(t, nodes[1]);
  await peer.call("join", "one");
  peer.socket.offAny().on("drained", (name) => peer.events.push(["drained", name]));
  const costs = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const rate of [2_000, 5_000]) {
      for (const room of ["nobody", "one"]) {
        const before = await cpu(nodes[1].pid);
        await trickle(client, rate, room);
        await drained(client, peer);
        const cost = ((await cpu(nodes[1].pid)) - before) / (2 * rate) / 1000;
        // The first round warms up.
        if (round > 0) {
          (costs[`microseconds per entry for ${room} at ${rate} a second`] ??= []).push(cost);
        }
      }
    }
  }
  await end();
  return Object.fromEntries(Object.entries(costs).map(([what, list]) => [what, median(list)]));
}

/** CPU per event of the node whose client emits it and of the other one, each with so many clients in the room. */
async function emitting(kind) {
  const result = {};
  for (const clients of [1, 20, 100]) {
    const costs = await emittingTo(kind, clients);
    ["emitting", "other"].forEach((node, i) => {
      result[`microseconds per event, ${clients} clients at each node, ${node} node`] = median(costs[i]);
    });
  }
  return result;
}

async function emittingTo(kind, clients) {
  const events = Math.max(ENTRIES / clients, 5 * BATCH);
  const { t, nodes, client, end } = await world(kind);
  const peers = await Promise.all(nodes.map((node) => Promise.all(Array.from({ length: clients }, () => Peer.connect(t, node)))));
  const [[sender], [there]] = peers;
  await Promise.all(peers.flat().map((peer) => peer.call("join", "room")));
  peers.flat().forEach(({ socket }) => socket.offAny());
  let heard = 0;
  sender.socket.on("m", () => (heard += 1));
  there.socket.on("drained", (name) => there.events.push(["drained", name]));
  await drained(client, there);
  const costs = [[], []];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const before = await Promise.all(nodes.map(({ pid }) => cpu(pid)));
    const goal = heard + events;
    for (let sent = 0; sent < events; sent += BATCH) {
      for (let n = 0; n < BATCH; n += 1) {
        sender.emit("broadcast", "room", "m", TEXT);
      }
      await until(() => heard >= goal - events + sent, "its own events");
    }
    await until(() => heard >= goal, "its own events");
    await drained(client, there);
    const after = await Promise.all(nodes.map(({ pid }) => cpu(pid)));
    // The first round warms up.
    if (round > 0) {
      after.forEach((now, i) => costs[i].push((now - before[i]) / events / 1000));
    }
  }
  await end();
  return costs;
}

/** A claim at the other node, with 10 missed of `stored` events. */
async function claims(kind) {
  const result = {};
  for (const stored of [10_000, 100_000]) {
    const { t, nodes, client, end } = await world(kind);
    const [near, other] = await Promise.all(nodes.map((node) => Peer.connect(t, node)));
    const wall = [];
    const computed = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const peer = await Peer.connect(t, nodes[0]);
      await peer.call("join", "mine");
      await append(client, "mine", ["begin", round]);
      await peer.hears("begin", round);
      await peer.away();
      await until(async () => (await client.exists(`sio:session:${peer.socket._pid}`)) === 1, "the session");
      await fill(client, stored, "nobody");
      for (let n = 0; n < 10; n += 1) {
        await append(client, "mine", ["missed", n]);
      }
      await Promise.all([drained(client, near), drained(client, other)]);
      await pause(200);
      const before = await cpu(nodes[1].pid);
      const start = performance.now();
      const last = new Promise((resolve) => peer.socket.on("missed", (n) => n === 9 && resolve(performance.now())));
      const { recovered } = await peer.back(nodes[1]);
      if (!recovered) {
        throw new Error(`it was not recovered, with ${stored} stored: ${(await peer.call("get-state")).outcome}`);
      }
      wall.push((await last) - start);
      await pause(50);
      computed.push(((await cpu(nodes[1].pid)) - before) / 1e6);
      peer.socket.disconnect();
      // Both nodes have read what is trimmed; one that had not would end its sessions.
      await client.xTrim("socket.io", "MAXLEN", 100);
    }
    result[`milliseconds, ${stored} stored`] = median(wall);
    result[`milliseconds of CPU, ${stored} stored`] = median(computed);
    await end();
  }
  return result;
}

/** From the emit at one node to the arrival, one at a time. */
async function latency(kind) {
  const { t, redis, nodes, client, end } = await world(kind);
  const [sender, there] = await Promise.all(nodes.map((node) => Peer.connect(t, node)));
  const rounds = async (receiver, act) => {
    const times = [];
    for (let n = 0; n < 500; n += 1) {
      const start = performance.now();
      const arrived = receiver && new Promise((resolve) => receiver.socket.once("m", resolve));
      await act();
      await arrived;
      times.push((performance.now() - start) * 1000);
    }
    return median(times);
  };
  await drained(client, there);
  const reader = await redis.client(t);
  let last = "0";
  const trip = async () => {
    const read = reader.xRead({ key: "trip", id: last }, { BLOCK: 0 });
    last = await client.xAdd("trip", "*", { text: TEXT });
    await read;
  };
  const emit = () => sender.emit("broadcast", null, "m", TEXT);
  const result = {
    "microseconds to a client of the other node": await rounds(there, emit),
    "microseconds to a client of the same node": await rounds(sender, emit),
    "microseconds of an echo without the cluster": await rounds(null, () => sender.call("message-with-ack", TEXT)),
    "microseconds of a PING to Redis": await rounds(null, () => client.ping()),
    "microseconds of an XADD that another connection reads": await rounds(null, trip),
  };
  await end();
  return result;
}

async function connections(kind) {
  const { nodes, client, end } = await world(kind);
  await pause(1_000);
  const list = await client.sendCommand(["CLIENT", "LIST"]);
  const own = 1;
  const count = (list.trim().split("\n").length - own) / nodes.length;
  await end();
  return { "connections per node": count };
}

const SECTIONS = { reading, steady, emitting, claims, latency, connections };

const { values } = parseArgs({ options: { kinds: { type: "string" }, only: { type: "string" } } });
const kinds = (values.kinds ?? "ours,official").split(",");
const figures = {};
for (const section of (values.only ?? Object.keys(SECTIONS).join()).split(",")) {
  for (const kind of kinds) {
    for (const [what, figure] of Object.entries(await SECTIONS[section](kind))) {
      figures[`${section}: ${what}`] ??= {};
      figures[`${section}: ${what}`][kind] = figure;
    }
  }
}
console.log(`| | ${kinds.join(" | ")} |\n| --- |${" ---: |".repeat(kinds.length)}`);
for (const [what, row] of Object.entries(figures)) {
  console.log(`| ${what} | ${kinds.map((kind) => row[kind]?.toPrecision(3) ?? "").join(" | ")} |`);
}
process.exit(0);
