// The exactness run: official clients that are driven from node to node while a stream of events runs.
import { io } from "socket.io-client";
import { judge, Stream } from "./judge.mjs";
import { Member } from "./member.mjs";
import { startNodes } from "./nodes.mjs";
import { generator } from "./random.mjs";
import { Recorder } from "./recorder.mjs";
import { Redis } from "./redis.mjs";
import { pause, until } from "./wait.mjs";

/** On it no events are emitted but those of the run. */
export const NAMESPACE = "/quiet";
const TICK_MS = 10;

export const DEFAULTS = {
  /** `redis` for streams, `redis+pubsub` for the channels of the classic adapter, `redis+sharded` for those of the sharded one. */
  scheme: "redis",
  kinds: ["ours", "ours", "ours"],
  clients: 50,
  rooms: 25,
  /** Events per second. */
  rate: 5_000,
  /** How many claims there are before the run ends. */
  claims: 1_000,
  /** How often a link breaks, and how often something happens to a node; Infinity for never. */
  breakEveryMs: 40,
  nodeEveryMs: 4_000,
  /** How often Redis ends the subscription of a node. */
  subscriptionEveryMs: Infinity,
  seed: Date.now() % 1_000_000,
};

/** Runs, and reports what happened. */
export async function run(t, options) {
  const settings = { ...DEFAULTS, ...options };
  const random = generator(settings.seed);
  const redis = await Redis.start(t);
  const client = await redis.client(t);
  const isRecorded = settings.scheme !== "redis";
  const recorder = isRecorded ? await Recorder.start(t, redis, NAMESPACE, settings.scheme) : undefined;
  const variables = { SCHEME: settings.scheme, MAX_LEN: "100000000", PING_INTERVAL: "2000", PING_TIMEOUT: "2000" };
  const nodes = await startNodes(t, settings.kinds, redis, variables);
  const pick = (list) => list[Math.floor(random() * list.length)];
  // A balancer knows which nodes are up.
  const choose = () => pick(nodes.filter((node) => node.isUp && !node.isPaused)) ?? nodes[0];
  const room = (index) => `room ${index % settings.rooms}`;

  const members = [];
  for (let index = 0; index < settings.clients; index += 1) {
    const transport = ["websocket", "polling", "upgrade", "websocket"][index % 4];
    const rooms = [room(index), room(index * 7 + 3)];
    members.push(await Member.open(t, { transport, namespace: NAMESPACE, rooms, choose, random }));
  }
  await until(() => members.every((member) => member.isReady), "the clients");

  const producers = new Producers(t, nodes, () => target(members, settings, random));
  const start = Date.now();
  producers.start(settings.rate);
  const chaos = new AbortController();
  const trouble = Promise.all([
    every(settings.breakEveryMs, chaos.signal, () => pick(members).break()),
    every(settings.nodeEveryMs, chaos.signal, () => disturb(pick(nodes), random)),
    every(settings.subscriptionEveryMs, chaos.signal, async () => {
      const subscribers = await recorder.subscribers(client);
      await client.sendCommand(["CLIENT", "KILL", "ID", String(pick(subscribers))]);
    }),
  ]);
  const claims = () => members.reduce((sum, { outcomes }) => sum + total(outcomes), 0);
  let [last, lastChange] = [0, Date.now()];
  while (claims() < settings.claims) {
    await pause(100);
    if (claims() > last) {
      [last, lastChange] = [claims(), Date.now()];
    }
    if (Date.now() - lastChange > 60_000) {
      throw new Error(`after ${last} claims nothing goes on, seed ${settings.seed}`);
    }
  }
  chaos.abort();
  await trouble;
  producers.stop();
  const seconds = (Date.now() - start) / 1000;

  const ends = await settle(members);
  const stream = recorder?.stream ?? (await readStream(client, "socket.io"));
  return report({ settings, members, stream, ends, seconds, sent: producers.sent });
}

/** Whom the next event is for. */
export function target(members, { rooms }, random) {
  const luck = random();
  if (luck < 0.005) {
    return null;
  }
  const member = members[Math.floor(random() * members.length)];
  return luck < 0.05 ? (member.session?.id ?? null) : `room ${Math.floor(random() * rooms)}`;
}

/** One connection to each node, over which the events come. */
export class Producers {
  sent = 0;
  #sockets;
  #target;
  #timer;

  constructor(t, nodes, target) {
    this.#target = target;
    this.#sockets = nodes.map((node) =>
      io(`${node.url}${NAMESPACE}`, { forceNew: true, transports: ["websocket"], reconnectionDelay: 20, reconnectionDelayMax: 200 }));
    t.after(() => {
      this.stop();
      this.#sockets.forEach((socket) => socket.disconnect());
    });
  }

  start(rate) {
    const start = performance.now();
    let ticks = 0;
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - start) * rate) / 1000);
      // What cannot be sent in time is not made up for.
      ticks = Math.max(ticks, due - rate / 10);
      const up = this.#sockets.filter((socket) => socket.connected);
      for (; ticks < due; ticks += 1) {
        if (up.length > 0) {
          this.sent += 1;
          up[this.sent % up.length].emit("broadcast", this.#target(), "m", this.sent);
        }
      }
    }, TICK_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** Kills, stops or freezes a node, which is back after a while. */
async function disturb(node, random) {
  const luck = random();
  if (luck < 0.3) {
    node.isPaused = true;
    node.pause();
    await pause(200 + random() * 3_000);
    node.resume();
    node.isPaused = false;
    return;
  }
  await node.end(luck < 0.65 ? "SIGKILL" : "SIGTERM");
  await pause(random() * 1_000);
  await node.start();
}

async function every(ms, signal, act) {
  while (Number.isFinite(ms) && !signal.aborted) {
    await pause(ms);
    await act();
  }
}

/** Waits until everyone has all that is sent to him, if he ever gets it. Answers the ends of the sessions. */
export async function settle(members) {
  const patience = Date.now() + 20_000;
  let round = 0;
  const ends = new Map();
  const isOut = (member) => !ends.has(member) || ends.get(member).session !== member.session;
  while (members.some(isOut) && Date.now() < patience) {
    round += 1;
    const name = `end ${round}`;
    const asked = members.filter(isOut).filter((member) => member.isReady);
    asked.forEach((member) => member.mark(name));
    await pause(1_000);
    for (const member of asked) {
      const offset = member.offsetOf(name);
      if (offset !== undefined) {
        ends.set(member, { session: member.session, offset });
      }
    }
  }
  return ends;
}

async function readStream(client, name) {
  const stream = new Stream();
  for (let next = "-"; ; next = `(${next}`) {
    const entries = await client.xRange(name, next, "+", { COUNT: 10_000 });
    for (const { id, message } of entries) {
      next = id;
      if (message.nsp === NAMESPACE && message.type === "3") {
        stream.push(id, JSON.parse(message.data).opts.rooms);
      }
    }
    if (entries.length === 0) {
      return stream;
    }
  }
}

const total = (outcomes) => [...outcomes.values()].reduce((sum, count) => sum + count, 0);

export function report({ settings, members, stream, ends, seconds, sent }) {
  const outcomes = {};
  const violations = [];
  let delivered = 0;
  for (const member of members) {
    for (const [outcome, count] of member.outcomes) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
    }
    for (const session of member.sessions) {
      const end = ends.get(member);
      delivered += session.log.length;
      const found = judge(session, stream, end?.session === session ? end.offset : undefined);
      violations.push(...found.map((violation) => ({ ...violation, member: members.indexOf(member) })));
    }
  }
  // By the kind of the node that the client was connected to.
  const kinds = {};
  for (const { host, kind } of violations) {
    kinds[host] ??= {};
    kinds[host][kind] = (kinds[host][kind] ?? 0) + 1;
  }
  const recoveries = (isMeant) => new Set(violations.filter(({ recovery, kind }) => recovery >= 0 && isMeant(kind))
    .map(({ session, recovery }) => `${session} ${recovery}`)).size;
  return {
    seed: settings.seed,
    seconds,
    sent,
    entries: stream.entries.length,
    delivered,
    outcomes,
    /** Recoveries after which something was wrong until the next loss, and those of them where it was not the order alone. */
    inexactRecoveries: recoveries(() => true),
    recoveriesWithLossOrDoubling: recoveries((kind) => kind !== "inverted"),
    violations: kinds,
    /** Clients that did not get an event that was sent to them at the end. */
    silent: members.filter((member) => ends.get(member)?.session !== member.session).length,
    examples: violations.slice(0, 5),
  };
}
