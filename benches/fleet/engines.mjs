// What an event and a claim cost over the other engines, ours beside the official one: see README.md.
//
//     node engines.mjs [--schemes postgres,mongodb,redis+pubsub,redis+sharded] [--only emitting,claims] [--clients 1,20,100] [--events 5000] [--stored 10000,100000]
import { parseArgs } from "node:util";
import { cpu, median } from "./measure.mjs";
import { Mongodb } from "../../tests/fleet/support/mongodb.mjs";
import { Node } from "../../tests/fleet/support/nodes.mjs";
import { Peer } from "../../tests/fleet/support/peer.mjs";
import { Postgres } from "../../tests/fleet/support/postgres.mjs";
import { Redis } from "../../tests/fleet/support/redis.mjs";
import { until } from "../../tests/fleet/support/wait.mjs";

const { values } = parseArgs({
  options: {
    schemes: { type: "string", default: "postgres,mongodb,redis+pubsub,redis+sharded" },
    only: { type: "string", default: "emitting,claims" },
    clients: { type: "string", default: "1,20,100" },
    events: { type: "string", default: "5000" },
    stored: { type: "string", default: "10000,100000" },
  },
});
const EVENTS = Number(values.events);
const ROUNDS = 5;
const BATCH = 100;
const TEXT = "x".repeat(100);
const SERVERS = { postgres: Postgres, mongodb: Mongodb };

/** What has to be ended, also after a failure. */
const open = new Set();

/** Two nodes of one kind, a client of the server, and what ends them. */
async function world(kind, scheme) {
  const ends = [];
  const t = { after: (end) => ends.push(end) };
  open.add(end);
  async function end() {
    open.delete(end);
    for (const act of ends.reverse()) {
      await act();
    }
  }
  const server = await (SERVERS[scheme] ?? Redis).start(t);
  const variables = { SCHEME: scheme };
  const nodes = [await Node.start(t, kind, server, "a", variables), await Node.start(t, kind, server, "b", variables)];
  const client = await server.client(t);
  return { t, nodes, client, end };
}

/** CPU per event of the node whose client emits it and of the other one, each with so many clients that hear it. */
async function emitting(kind, scheme) {
  const result = {};
  for (const clients of values.clients.split(",").map(Number)) {
    const costs = await emittingTo(kind, scheme, clients);
    ["emitting", "other"].forEach((node, i) => {
      result[`microseconds per event, ${clients} clients at each node, ${node} node`] = median(costs[i]);
    });
  }
  return result;
}

async function emittingTo(kind, scheme, clients) {
  const events = Math.max(EVENTS / clients, 5 * BATCH);
  const { t, nodes, end } = await world(kind, scheme);
  const all = await Promise.all(nodes.map((node) => Promise.all(Array.from({ length: clients }, () => Peer.connect(t, node)))));
  all.flat().forEach(({ socket }) => socket.offAny());
  const peers = all.map(([first]) => first);
  await until(async () => (await peers[0].call("count-servers")) === 2 && (await peers[1].call("count-servers")) === 2, "the nodes");
  const heard = [0, 0];
  peers.forEach((peer, i) => peer.socket.on("m", () => (heard[i] += 1)));
  const costs = [[], []];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const before = await Promise.all(nodes.map(({ pid }) => cpu(pid)));
    const goals = heard.map((count) => count + events);
    for (let sent = BATCH; sent <= events; sent += BATCH) {
      for (let n = 0; n < BATCH; n += 1) {
        peers[0].emit("broadcast", null, "m", TEXT);
      }
      await until(() => heard.every((count, i) => count >= goals[i] - events + sent), () => `${heard} of ${goals}`);
    }
    const after = await Promise.all(nodes.map(({ pid }) => cpu(pid)));
    // The first round warms up.
    if (round > 0) {
      after.forEach((now, i) => costs[i].push((now - before[i]) / events / 1000));
    }
  }
  await end();
  return costs;
}

/** Puts so many sessions into the store, which are copies of one that is there. */
const FILL = {
  postgres: (client, count) =>
    client.query(`INSERT INTO socket_io_sessions (pid, version, expires_at, session)
      SELECT 'copy' || g, version, expires_at, session FROM generate_series(1, ${count}) g, (SELECT * FROM socket_io_sessions LIMIT 1) s`),
  mongodb: async (client, count) => {
    const events = client.db("fleet").collection("events");
    const { _id, ...session } = await events.findOne({ type: 13 });
    for (let n = 0; n < count; n += BATCH) {
      const copy = (_, i) => ({ ...session, _id: `copy${n + i}`, data: { ...session.data, pid: `copy${n + i}` } });
      await events.insertMany(Array.from({ length: BATCH }, copy));
    }
  },
  redis: async (client, count) => {
    const key = (await client.keys("*")).find((key) => key.includes("session"));
    const value = await client.get(key);
    for (let n = 0; n < count; n += BATCH) {
      await Promise.all(Array.from({ length: BATCH }, (_, i) => client.set(`${key.slice(0, -10)}${n + i}`, value, { EX: 120 })));
    }
  },
};

/** A claim of a session of a node that has ended, which is in the store among so many others. */
async function claims(kind, scheme) {
  const result = {};
  for (const stored of kind === "ours" ? values.stored.split(",").map(Number) : []) {
    const { t, nodes, client, end } = await world(kind, scheme);
    const peers = [];
    for (let round = 0; round < 2 * ROUNDS; round += 1) {
      peers.push(await Peer.connect(t, nodes[0]));
    }
    peers[0].emit("broadcast", null, "m", TEXT);
    for (const peer of peers) {
      await peer.hears("m", TEXT);
      await peer.away();
    }
    await nodes[0].end("SIGTERM");
    await (FILL[scheme] ?? FILL.redis)(client, stored);
    const wall = [];
    const computed = [];
    for (const peer of peers) {
      const before = await cpu(nodes[1].pid);
      const start = performance.now();
      const { recovered } = await peer.back(nodes[1]);
      if (!recovered) {
        throw new Error(`it was not recovered, with ${stored} stored: ${(await peer.call("get-state")).outcome}`);
      }
      wall.push(performance.now() - start);
      computed.push(((await cpu(nodes[1].pid)) - before) / 1e6);
    }
    result[`milliseconds, ${stored} stored`] = median(wall);
    result[`milliseconds of CPU, ${stored} stored`] = median(computed);
    await end();
  }
  return result;
}

const KINDS = ["ours", "official"];
const SECTIONS = { emitting, claims };

console.log(`| | ${KINDS.join(" | ")} |\n| --- |${" ---: |".repeat(KINDS.length)}`);
try {
  for (const scheme of values.schemes.split(",")) {
    for (const section of values.only.split(",")) {
      const figures = [];
      for (const kind of KINDS) {
        figures.push(await SECTIONS[section](kind, scheme));
      }
      for (const what of Object.keys(figures[0])) {
        console.log(`| ${scheme}, ${section}: ${what} | ${figures.map((row) => row[what]?.toPrecision(3) ?? "").join(" | ")} |`);
      }
    }
  }
} finally {
  for (const end of open) {
    await end();
  }
}
process.exit(0);
