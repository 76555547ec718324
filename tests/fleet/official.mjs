// The official server with the official adapter for Redis Streams, or with the classic one if the scheme of
// CLUSTER_URL is `redis+pubsub`, or with the sharded one in static mode if it is `redis+sharded`, or with the one for
// PostgreSQL if it is `postgres`, or with the one for MongoDB if it is `mongodb`, with the event handlers of `tests/fixtures/contract --profile acceptance`, those for clusters included. From the environment, as there:
// PORT, CLUSTER_URL, NODE_NAME, RECOVERY_MS, PING_INTERVAL, PING_TIMEOUT, MAX_LEN, STREAM_COUNT, STREAM_NAME,
// CHANNEL_PREFIX, SESSION_KEY_PREFIX, SHARDED_PUBSUB.
import { createServer } from "node:http";
import { createAdapter as createMongoAdapter } from "@socket.io/mongo-adapter";
import { createAdapter as createPostgresAdapter } from "@socket.io/postgres-adapter";
import { createAdapter as createClassicAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { MongoClient } from "mongodb";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";

const { env } = process;
const number = (name, otherwise) => (env[name] === undefined ? otherwise : Number(env[name]));

const connect = async () => {
  const client = createClient({ url: env.CLUSTER_URL.replace(/\+\w+/, "") });
  // Without a listener an error ends the process; the client connects again by itself.
  client.on("error", () => {});
  return client.connect();
};

/** The adapters by what the URL begins with, each with what closes its connections. */
const ADAPTERS = {
  "redis:": async () => {
    const redis = await connect();
    const adapter = createAdapter(redis, {
      streamName: env.STREAM_NAME ?? "socket.io",
      streamCount: number("STREAM_COUNT", 1),
      maxLen: number("MAX_LEN", 10_000),
      channelPrefix: env.CHANNEL_PREFIX ?? "socket.io",
      sessionKeyPrefix: env.SESSION_KEY_PREFIX ?? "sio:session:",
      useShardedPubSub: env.SHARDED_PUBSUB === "true",
    });
    return { adapter, recovers: true, close: () => redis.close() };
  },
  "redis+pubsub:": async () => {
    const [redis, subscriber] = [await connect(), await connect()];
    const adapter = createClassicAdapter(redis, subscriber, { key: env.CHANNEL_PREFIX ?? "socket.io" });
    return { adapter, recovers: true, close: () => Promise.all([redis.close(), subscriber.close()]) };
  },
  // As the one for PostgreSQL.
  "redis+sharded:": async () => {
    const [redis, subscriber] = [await connect(), await connect()];
    const options = { channelPrefix: env.CHANNEL_PREFIX ?? "socket.io", subscriptionMode: env.SUBSCRIPTION_MODE ?? "static" };
    const adapter = createShardedAdapter(redis, subscriber, options);
    return { adapter, recovers: false, close: () => Promise.all([redis.close(), subscriber.close()]) };
  },
  // With recovery it appends `null` to events of other servers, instead of an offset.
  "postgres:": () => {
    const pool = new pg.Pool({ connectionString: env.CLUSTER_URL, max: 4 });
    pool.on("error", () => {});
    const adapter = createPostgresAdapter(pool, { channelPrefix: env.CHANNEL_PREFIX ?? "socket.io", errorHandler: () => {} });
    return { adapter, recovers: false, close: () => pool.end() };
  },
  "mongodb:": async () => {
    const url = new URL(env.CLUSTER_URL);
    const [database, ...collection] = url.pathname.slice(1).split(".");
    url.pathname = "/";
    const client = await new MongoClient(url.href).connect();
    const adapter = createMongoAdapter(client.db(database).collection(collection.join(".")), { addCreatedAtField: true });
    return { adapter, recovers: true, close: () => client.close() };
  },
};

const { adapter, recovers, close } = await ADAPTERS[new URL(env.CLUSTER_URL).protocol]();
const http = createServer();
const io = new Server(http, {
  adapter,
  connectionStateRecovery: recovers ? { maxDisconnectionDuration: number("RECOVERY_MS", 120_000) } : undefined,
  pingInterval: number("PING_INTERVAL", 25_000),
  pingTimeout: number("PING_TIMEOUT", 20_000),
});

/** The sockets of `namespace` that are in `rooms` and not in `except`, with the flags of the options. */
function audience(namespace, { rooms = [], except = [], local = false, volatile = false }) {
  const flagged = local ? namespace.local : namespace;
  const chosen = flagged.to(rooms).except(except);
  return volatile ? chosen.volatile : chosen;
}

/** Calls `ack` with what `promise` becomes. Where it fails the caller learns it from its own timeout. */
function answer(ack, promise) {
  promise.then((value) => ack?.(value)).catch(() => {});
}

async function state(socket, node) {
  const rooms = [...socket.rooms];
  // This server says nothing of the reason.
  const refused = socket.handshake.auth.pid === undefined ? "new" : "refused";
  const outcome = socket.recovered ? "recovered" : refused;
  return { id: socket.id, rooms, data: socket.data, recovered: socket.recovered, outcome, node };
}

async function fetchSockets(namespace, room) {
  const sockets = await (room === null ? namespace : namespace.in(room)).fetchSockets();
  const facts = sockets.map(({ id, rooms, data }) => ({ id, rooms: [...rooms], data }));
  return facts.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function broadcastWithAck(namespace, room, timeout, event, args) {
  const to = room === null ? namespace : namespace.to(room);
  try {
    const responses = await to.timeout(timeout).emitWithAck(event, ...args);
    return { responses: responses.sort(), missing: 0 };
  } catch (error) {
    // This server does not tell how many are missing.
    return { responses: error.responses.sort(), missing: null };
  }
}

function serve(namespace, socket, node) {
  const on = (event, listener) => socket.on(event, listener);
  on("message", (...args) => socket.emit("message-back", ...args));
  on("message-with-ack", (...args) => args.pop()(...args));
  on("join", (room, ack) => {
    socket.join(room);
    ack?.();
  });
  on("leave", (room, ack) => {
    socket.leave(room);
    ack?.();
  });
  on("broadcast", (room, event, ...args) =>
    (room === null ? namespace : namespace.to(room)).emit(event, ...args));
  on("try-broadcast", (room, event, ...args) => {
    const ack = args.pop();
    (room === null ? namespace : namespace.to(room)).emit(event, ...args);
    ack(true);
  });
  on("broadcast-volatile", (room, event, ...args) =>
    audience(namespace, { rooms: room === null ? [] : [room], volatile: true }).emit(event, ...args));
  on("broadcast-with", (options, event, ...args) => audience(namespace, options).emit(event, ...args));
  on("emit-to-self", (event, ...args) => socket.emit(event, ...args));
  on("set-data", (data, ack) => {
    socket.data = data;
    ack?.();
  });
  on("get-state", (ack) => answer(ack, state(socket, node)));
  on("kick", () => socket.disconnect());
  on("fetch", (room, ack) => answer(ack, fetchSockets(namespace, room)));
  on("all-rooms", (ack) => answer(ack, namespace.adapter.allRooms().then((rooms) => [...rooms].sort())));
  on("count-servers", (ack) => answer(ack, namespace.adapter.serverCount()));
  on("sockets-join", (room, other) => namespace.in(room).socketsJoin(other));
  on("sockets-leave", (room, other) => namespace.in(room).socketsLeave(other));
  on("disconnect-sockets", (room, close) => namespace.in(room).disconnectSockets(close));
  on("server-side", (text, ack) =>
    answer(ack, namespace.serverSideEmitWithAck("ask", text).then((answers) => answers.sort())));
  on("server-side-tell", (text) => namespace.serverSideEmit("tell", text));
  on("broadcast-with-ack", (room, timeout, event, ...args) =>
    answer(args.pop(), broadcastWithAck(namespace, room, timeout, event, args)));
}

await new Promise((resolve) => http.listen(number("PORT", 3300), "127.0.0.1", resolve));
const { port } = http.address();
const node = env.NODE_NAME ?? String(port);
for (const name of ["/", "/custom", "/quiet"]) {
  const namespace = io.of(name);
  namespace.on("connection", (socket) => {
    serve(namespace, socket, node);
    if (name !== "/quiet") {
      socket.emit("auth", socket.handshake.auth);
    }
  });
  namespace.on("ask", (text, ack) => ack(`${node}:${text}`));
  namespace.on("tell", (text) => namespace.local.emit("told", `${node}:${text}`));
}
console.log(`listening ${port}`);

process.once("SIGTERM", async () => {
  await io.close();
  // Sends what is still to be sent first.
  await close();
  process.exit(0);
});
