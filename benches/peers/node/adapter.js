// The adapter of the reference, without sockets: broadcasts, recoveries, memory.
// Usage: node --expose-gc adapter.js broadcast|restore|memory [--quick]
"use strict";

const path = require("node:path");
const { SessionAwareAdapter } = require("socket.io-adapter");
const { Encoder } = require("socket.io-parser");
const { cpuNanos, report, ROUNDS } = require("./harness");
// It is not among what the package exports.
const main = path.dirname(require.resolve("socket.io"));
const { BroadcastOperator } = require(path.join(main, "broadcast-operator.js"));

const PAYLOAD = "x".repeat(100);
const [command, mode] = process.argv.slice(2);
const isQuick = mode === "--quick";

function namespace() {
  const connectionStateRecovery = { maxDisconnectionDuration: 600_000 };
  const server = { encoder: new Encoder(), opts: { connectionStateRecovery } };
  const nsp = { name: "/", sockets: new Map(), _ids: 0, server };
  nsp.adapter = new SessionAwareAdapter(nsp);
  return nsp;
}

const id = (number) => Buffer.from("s" + String(number).padStart(14, "0")).toString("base64");
const emit = (adapter, room, payload) => new BroadcastOperator(adapter).to(room).emit("msg", payload);

// A client whose frames are queued, as a core without sockets has to do as well.
class Client {
  queue = [];
  writeToEngine(encoded, options) {
    for (const data of encoded) this.queue.push({ type: "message", data, options });
  }
}

function broadcast() {
  const BATCH = 4;
  for (const recipients of isQuick ? [10_000] : [1, 100, 10_000, 100_000]) {
    const { adapter, sockets } = namespace();
    const clients = Array.from({ length: recipients }, () => new Client());
    clients.forEach((client, i) => {
      const socket = { id: id(i), client, notifyOutgoingListeners() {} };
      sockets.set(socket.id, socket);
      adapter.addAll(socket.id, new Set([socket.id, "lobby"]));
    });
    const batches = Math.max(1, Math.ceil(250_000 / recipients / BATCH));
    const costs = [];
    for (let round = 0; round < ROUNDS + 4; round++) {
      adapter.packets = [];
      let used = 0;
      for (let batch = 0; batch < batches; batch++) {
        const before = cpuNanos();
        for (let i = 0; i < BATCH; i++) emit(adapter, "lobby", PAYLOAD);
        used += cpuNanos() - before;
        for (const client of clients) client.queue.length = 0;
      }
      if (round >= 4) costs.push(used / batches / BATCH / recipients);
    }
    report(`${recipients}/recovery on, queued`, costs);
  }
}

const MISSED = 10;

async function restore() {
  for (const rooms of [1, 100]) {
    for (const stored of isQuick ? [10_000] : [1_000, 10_000, 100_000, 1_000_000]) {
      // With many rooms a million takes two seconds a call.
      if (rooms * stored > 10_000_000) continue;
      for (const place of ["tail", "head"]) await restoreOne(rooms, stored, place);
    }
  }
}

async function restoreOne(rooms, stored, place) {
  const { adapter } = namespace();
  const names = Array.from({ length: rooms }, (_, i) => `r${i}`);
  adapter.persistSession({ sid: "S", pid: "P", rooms: ["S", ...names], data: {} });
  const isTail = place === "tail";
  const missed = new Set();
  for (let i = 0; i < MISSED; i++) {
    missed.add(isTail ? stored - 1 - i : Math.floor(((i + 1) * (stored - 2)) / MISSED));
  }
  for (let i = 0; i < stored; i++) emit(adapter, missed.has(i) ? "r0" : "other", PAYLOAD);
  const offset = adapter.packets[isTail ? stored - MISSED - 1 : 0].id;
  const once = async () => {
    const session = await adapter.restoreSession("P", offset);
    if (session.missedPackets.length !== MISSED) throw new Error("not what was missed");
  };
  await once();
  const start = cpuNanos();
  await once();
  const calls = Math.max(1, Math.min(3_000, Math.ceil(1e8 / (cpuNanos() - start + 1_000))));
  const costs = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuNanos();
    for (let i = 0; i < calls; i++) adapter.restoreSession("P", offset);
    costs.push((cpuNanos() - before) / calls);
  }
  report(`${rooms} rooms, ${stored} stored, offset at ${place}`, costs);
}

function memory() {
  const packets = isQuick ? 100_000 : 1_000_000;
  const { adapter } = namespace();
  emit(adapter, "lobby", PAYLOAD);
  let before = heap();
  for (let i = 0; i < packets; i++) {
    const payload = Buffer.from("x".repeat(92) + String(i).padStart(8, "0")).toString("latin1");
    emit(adapter, "lobby", payload);
  }
  const perPacket = (heap() - before) / packets;
  if (adapter.packets.length !== packets + 1) throw new Error("not all were stored");
  report("log entry", [perPacket]);

  const sessions = 100_000;
  const names = Array.from({ length: 1_000 }, (_, i) => `room-${i}`);
  const other = namespace().adapter;
  before = heap();
  for (let i = 0; i < sessions; i++) {
    const rooms = [id(i)];
    for (let k = 0; k < 5; k++) rooms.push(names[(i * 7 + k * 131) % names.length]);
    other.persistSession({ sid: rooms[0], pid: id(i + 1e9), rooms, data: {} });
  }
  report("parked session with 5 rooms", [(heap() - before) / sessions]);
}

function heap() {
  global.gc();
  global.gc();
  return process.memoryUsage().heapUsed;
}

const commands = { broadcast, restore, memory };
Promise.resolve(commands[command]()).then(() => process.exit(0));
