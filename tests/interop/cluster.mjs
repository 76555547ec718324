// The official adapter over a Redis that is a few functions. It says what the adapter writes and
// what a client would get of it, and then what clients get of the entries that arrive on stdin.

import readline from "node:readline";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Encoder } from "socket.io-parser";

const added = [];
const published = [];
const stored = new Map();
const waiting = []; // readers
const entries = [];
const subscribers = [];
let reads = 0;

// What `redis` 5 has, as far as the adapter calls it.
const client = {
  sSubscribe() {},
  on() {},
  async connect() {},
  duplicate: () => client,
  async xAdd(_stream, _id, fields) {
    added.push(fields);
    return "1-1";
  },
  xRead([{ id }]) {
    reads += 1;
    const next = entries.findIndex((entry) => entry.id === id) + 1;
    if (next < entries.length) {
      return Promise.resolve([{ messages: [entries[next]] }]);
    }
    return new Promise((resolve) => waiting.push(() => resolve(null)));
  },
  async xRange(_stream, start, end) {
    return start === end ? entries.slice(0, 1) : [];
  },
  subscribe(_channels, listener) {
    subscribers.push(listener);
  },
  async publish(_channel, payload) {
    published.push(payload);
  },
  async set(key, value) {
    stored.set(key, value);
  },
  multi() {
    let value;
    const multi = {
      get(key) {
        value = stored.get(key) ?? null;
        return multi;
      },
      del: () => multi,
      exec: async () => [value, 1],
    };
    return multi;
  },
  async sendCommand() {
    return ["", "1"];
  },
};

// What clients would get.
const sent = [];
const encoder = {
  encode(packet) {
    const encoded = new Encoder().encode(packet);
    sent.push(encoded.map((part) => (typeof part === "string" ? part : hex(part))));
    return encoded;
  },
};
const namespace = {
  name: "/",
  sockets: new Map(),
  _ids: 0,
  server: { encoder, opts: { connectionStateRecovery: undefined } },
};
const adapter = createAdapter(client)(namespace);
await adapter.init?.();

const say = (line) => console.log(JSON.stringify(line));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const options = (rooms = [], except = [], flags = {}) => ({
  rooms: new Set(rooms),
  except: new Set(except),
  flags,
});

const bytes = Buffer.from([1, 2, 3]);
const nested = (levels, inner) => (levels === 0 ? inner : [nested(levels - 1, inner)]);
const values = [
  ["plain", 1, { a: "x" }],
  ["plain", -0, 1.5, 1e21, 1e-7, 5e-324, 2 ** 53, NaN, new Date(0), "é😀\u2028\"\\\n\u0001\u007f"],
  [42, "a number as a name"],
  ["bytes", bytes],
  ["empty", Buffer.alloc(0), new Uint8Array([7])],
  ["numbers", bytes, 0, -0, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1],
  ["numbers", bytes, -1, -32, -33, -128, -129, -32768, -32769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53)],
  ["numbers", bytes, 1.5, -0.1, 1e20, 1e21, -1.5e300, 1e-6, 1.5e-7, 5e-324, 2 ** 53, 2 ** 60, 2 ** 64],
  ["numbers", bytes, NaN, Infinity, -Infinity, Number.MAX_VALUE, 0.1 + 0.2, 123456.789],
  ["texts", bytes, "", "é😀\u2028\"\\\n\u0001\u007f", "x".repeat(31), "x".repeat(32), "é".repeat(300)],
  ["long", bytes, "x".repeat(70_000)],
  ["words", bytes, null, undefined, true, false],
  ["times", bytes, new Date(0), new Date(1709210096123), new Date(2 ** 34 * 1000), new Date(-1)],
  ["times", bytes, new Date(8.64e15), new Date(-8.64e15), new Date(253402300800000)],
  ["maps", bytes, { 10: 1, 2: { b: bytes }, "": [], "a\"b": {} }],
  ["maps", Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, bytes]))],
  ["lists", Array.from({ length: 15 }, () => 1), Array.from({ length: 70_000 }, () => 0), [bytes]],
  ["deep", nested(90, bytes)],
  ["placeholder", { _placeholder: true, num: 0 }],
];

for (const data of values) {
  sent.length = added.length = 0;
  await adapter.broadcast({ type: 2, data }, options(["a", 7], ["b"], { volatile: true }));
  say({ fields: Object.entries(added[0]).flat(), sent: sent[0] });
}
for (const data of values) {
  sent.length = published.length = 0;
  adapter.broadcastWithAck({ type: 2, data }, options(["a", 7], ["b"], { timeout: 1 }), () => {}, () => {});
  // Each node gives the event an id of its own.
  sent.length = 0;
  encoder.encode({ type: 2, data, nsp: "/" });
  say({ payload: hex(published[0]), sent: sent[0] });
}
namespace.server.opts.connectionStateRecovery = { maxDisconnectionDuration: 1000 };
const session = {
  sid: "bhZwQSdakf0anWUIAAAA",
  pid: "MHb4Fpcq3jbRzad2AAAB",
  rooms: ["bhZwQSdakf0anWUIAAAA", "r1", 7],
  data: { a: [1.5, null, "é"], b: bytes },
};
adapter.persistSession(session);
say({ session: stored.get(`sio:session:${session.pid}`) });
namespace.server.opts.connectionStateRecovery = undefined;
say({ end: true });

// What the other side writes.
sent.length = 0;
const lines = readline.createInterface({ input: process.stdin });
for await (const line of lines) {
  const { fields, payload, session } = JSON.parse(line);
  if (fields !== undefined) {
    const message = {};
    for (let i = 0; i < fields.length; i += 2) {
      message[fields[i]] = fields[i + 1];
    }
    entries.push({ id: `5-${entries.length}`, message });
  }
  if (payload !== undefined) {
    subscribers.forEach((listener) => listener(Buffer.from(payload, "hex")));
    say({ sent: sent.splice(0) });
  }
  if (session !== undefined) {
    stored.set(`sio:session:${session.pid}`, session.value);
    const { missedPackets, ...restored } = await adapter.restoreSession(session.pid, "5-0");
    restored.data.b = hex(restored.data.b);
    say({ session: restored });
  }
}
// One entry a read, from the first to the last, and then one that waits: none is read twice.
reads = 0;
waiting.splice(0).forEach((resume) => resume());
const deadline = Date.now() + 10_000;
while (waiting.length === 0 && Date.now() < deadline && reads < 10 * entries.length) {
  await new Promise((resolve) => setImmediate(resolve));
}
say({ reads, entries: entries.length, sent });
