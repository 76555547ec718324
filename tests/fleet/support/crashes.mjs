// The crash run: nodes around a file are killed again and again while official clients are connected to them.
import { Stream } from "./judge.mjs";
import { Member } from "./member.mjs";
import { Node } from "./nodes.mjs";
import { generator } from "./random.mjs";
import { NAMESPACE, Producers, report, settle, target } from "./run.mjs";
import { SqliteFile } from "./sqlite.mjs";
import { pause, until } from "./wait.mjs";

/** Within this a node has opened its file, and mostly serves clients. */
const OPENING_MS = 100;

export const DEFAULTS = {
  /** Processes around the file. */
  nodes: 1,
  clients: 200,
  rooms: 50,
  /** Events per second. */
  rate: 500,
  kills: 500,
  /** A node that was killed is up again for at most so long, before it is killed again. */
  upMs: 2_000,
  /** How often it is killed twice in a row: the second time while it opens the file, or while the first clients come back. */
  twice: 0.2,
  /** How often each client changes something of its session. */
  changeEveryMs: 500,
  seed: Date.now() % 1_000_000,
};

/** Runs, and reports what happened. */
export async function run(t, options) {
  const settings = { ...DEFAULTS, ...options };
  const random = generator(settings.seed);
  const file = await SqliteFile.start(t);
  const variables = { PING_INTERVAL: "2000", PING_TIMEOUT: "2000" };
  const nodes = [];
  for (let index = 0; index < settings.nodes; index += 1) {
    nodes.push(await Node.start(t, "ours", file, `node ${index}`, variables));
  }
  const pick = (list) => list[Math.floor(random() * list.length)];
  const choose = () => pick(nodes.filter((node) => node.isUp)) ?? nodes[0];

  const members = [];
  for (let index = 0; index < settings.clients; index += 1) {
    const transport = ["websocket", "polling", "upgrade", "websocket"][index % 4];
    const rooms = [index, index * 7 + 3].map((number) => `room ${number % settings.rooms}`);
    members.push(await Member.open(t, { transport, namespace: NAMESPACE, rooms, choose, random }));
  }
  await until(() => members.every((member) => member.isReady), "the clients");
  const accounts = members.map((member) => new Account(t, member, settings.changeEveryMs));

  const producers = new Producers(t, nodes, () => target(members, settings, random));
  const stream = new Stream();
  const start = Date.now();
  producers.start(settings.rate);
  let [kills, twice] = [0, 0];
  for (let round = 0; kills < settings.kills; round += 1) {
    await pause(random() * settings.upMs);
    // The file keeps only so many entries.
    if (round % 20 === 0) {
      await file.readInto(stream, NAMESPACE);
    }
    // Each in turn at first, so that everyone loses a connection.
    const node = nodes[round] ?? pick(nodes);
    await node.end("SIGKILL");
    kills += 1;
    await pause(random() * 300);
    if (random() < settings.twice) {
      await node.startFor(random() * OPENING_MS);
      kills += 1;
      twice += 1;
    }
    await node.start();
  }
  producers.stop();
  const seconds = (Date.now() - start) / 1000;
  accounts.forEach((account) => account.stop());

  const ends = await settle(members);
  await file.readInto(stream, NAMESPACE);
  const refused = members.reduce((sum, { sessions }) => sum + sessions.length - 1, 0);
  const recovered = members.reduce((sum, { outcomes }) => sum + (outcomes.get("recovered") ?? 0), 0);
  return {
    kills,
    twice,
    ...report({ settings, members, stream, ends, seconds, sent: producers.sent }),
    recoveredShare: recovered / (recovered + refused),
    /** What was acknowledged, and denied later. */
    contradictions: accounts.flatMap(({ contradictions }) => contradictions),
    acknowledged: accounts.reduce((sum, account) => sum + account.acknowledged, 0),
  };
}

/** Changes data and a room of a session, and checks after each recovery what was acknowledged. */
class Account {
  contradictions = [];
  acknowledged = 0;
  #member;
  #session;
  #number = 0;
  /** What the session may be: more than one while a change is not acknowledged. */
  #possible = [];
  #isChanging = false;
  #timer;

  constructor(t, member, everyMs) {
    this.#member = member;
    this.#begin([INITIAL]);
    member.socket.on("connect", () => this.#connected());
    this.#timer = setInterval(() => this.#change(), everyMs);
    t.after(() => this.stop());
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** Nothing that was asked for before is answered any more. */
  #begin(possible) {
    this.#session = this.#member.session;
    this.#possible = possible;
    this.#isChanging = false;
  }

  /** First the data, then the room. */
  async #change() {
    const { socket } = this.#member;
    if (!socket.connected || this.#isChanging) {
      return;
    }
    this.#number += 1;
    const [{ isOdd }] = this.#possible;
    const next = { number: this.#number, isOdd: this.#number % 2 === 1 };
    this.#isChanging = true;
    const possible = [...this.#possible, { ...next, isOdd }, next];
    this.#possible = possible;
    socket.emit("set-data", { number: next.number }, () => {
      if (this.#possible !== possible) {
        return;
      }
      const changed = [{ ...next, isOdd }, next];
      this.#possible = changed;
      socket.emit(next.isOdd ? "join" : "leave", "odd", () => {
        if (this.#possible === changed) {
          this.acknowledged += 1;
          this.#begin([next]);
        }
      });
    });
  }

  #connected() {
    const { socket, session } = this.#member;
    if (session !== this.#session) {
      this.#begin([INITIAL]);
      return;
    }
    // Until it is known how the session came back, nothing is changed.
    const possible = [...this.#possible];
    this.#begin(possible);
    this.#isChanging = true;
    const check = ({ rooms, data }) => {
      if (this.#possible !== possible) {
        return;
      }
      const found = { number: data.number ?? 0, isOdd: rooms.includes("odd") };
      if (!possible.some(({ number, isOdd }) => number === found.number && isOdd === found.isOdd)) {
        this.contradictions.push({ session: session.id, possible, found });
      }
      this.#begin([found]);
    };
    // What the client has kept while it was away was sent just before this. Such a join takes effect when the
    // node reads it in the channel, and the answer to a change of rooms comes after that.
    socket.emit("leave", "nowhere", () => socket.emit("get-state", check));
  }
}

const INITIAL = { number: 0, isOdd: false };
