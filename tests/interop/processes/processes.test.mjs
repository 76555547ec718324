// Official clients of `examples/processes`: several processes on one port, around one file.
import assert from "node:assert/strict";
import { test } from "node:test";
import { io } from "socket.io-client";
import { PATIENCE_MS, until, within } from "../support/wait.mjs";

const URL = process.env.PROCESSES;
const TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]];

class Client {
  heard = [];
  connections = [];

  constructor(t, transports) {
    const options = { transports, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100 };
    this.socket = io(URL, options);
    this.socket.on("said", (text) => this.heard.push(text));
    this.socket.on("connect", () => this.connections.push(this.socket.recovered === true));
    t.after(() => this.socket.close());
  }

  static async all(t, count) {
    const clients = Array.from({ length: count }, (_, i) => new Client(t, TRANSPORTS[i % TRANSPORTS.length]));
    for (const client of clients) {
      await client.connected();
    }
    return clients;
  }

  /** Waits for the connection number `count`. */
  async isBack(count) {
    await until(() => this.connections.length >= count && this.socket.connected, () => `connection ${count}`);
  }

  /** Waits for the connection number `count`, and until the client stays with its transport. */
  async connected(count = 1) {
    const { opts } = this.socket.io;
    await until(
      () => this.connections.length >= count && this.socket.connected
        && this.socket.io.engine.transport.name === opts.transports.at(-1),
      () => `connection ${count} by ${opts.transports}`,
    );
  }

  /** Says something to all. Returns which worker the client is at. */
  say(text) {
    return within(this.socket.timeout(PATIENCE_MS).emitWithAck("say", text), "an answer");
  }

  where() {
    return within(this.socket.timeout(PATIENCE_MS).emitWithAck("where"), "an answer");
  }
}

/** Texts that no other test has said. */
let round = 0;
const texts = (count) => {
  round += 1;
  return Array.from({ length: count }, (_, i) => `${round}.${i}`);
};

async function hearAll(clients, expected) {
  for (const client of clients) {
    await until(() => client.heard.length >= expected, () => `${expected} texts instead of ${client.heard.length}`);
    assert.deepEqual(client.heard, clients[0].heard, "everybody hears the same in the same order");
    assert.equal(client.heard.length, expected);
  }
}

test("clients of all transports and all workers hear everything in one order", async (t) => {
  const clients = await Client.all(t, 18);
  const said = texts(180);
  const places = await Promise.all(said.map((text, i) => clients[i % clients.length].say(text)));
  await hearAll(clients, said.length);
  assert.deepEqual(clients[0].heard.toSorted(), said.toSorted());
  assert.ok(new Set(places.map(({ worker }) => worker)).size > 1, "the kernel has spread them");
});

test("a client recovers at another worker", async (t) => {
  for (const transports of TRANSPORTS) {
    const client = new Client(t, transports);
    const speaker = new Client(t, ["websocket"]);
    await Promise.all([client.connected(), speaker.connected()]);
    const id = client.socket.id;
    const places = new Set();
    let expected = 0;
    for (let tries = 1; places.size < 2 || tries < 5; tries += 1) {
      assert.ok(tries < 100, "the kernel always chooses the same worker");
      const [text] = texts(1);
      client.socket.io.engine.close();
      await speaker.say(text);
      await client.connected(tries + 1);
      expected += 1;
      await until(() => client.heard.length >= expected, () => text);
      assert.equal(client.heard.at(-1), text);
      places.add((await client.where()).worker);
    }
    assert.equal(client.heard.length, expected, "nothing twice");
    assert.deepEqual(client.connections.slice(1), client.connections.slice(1).map(() => true));
    assert.equal(client.socket.id, id);
  }
});

test("a client recovers at another worker when its own is killed", async (t) => {
  const clients = await Client.all(t, 6);
  const ids = clients.map(({ socket }) => socket.id);
  const said = [];
  const moved = new Set();
  for (let tries = 1; moved.size < TRANSPORTS.length || tries <= 5; tries += 1) {
    assert.ok(tries < 100, `the kernel always chooses the same worker: ${[...moved]}`);
    const places = await Promise.all(clients.map((client) => client.where()));
    const victim = places[tries % places.length];
    const isThere = places.map((place) => place.process === victim.process);
    clients.forEach(({ socket }) => socket.io.reconnection(false));
    process.kill(victim.process, "SIGKILL");
    await until(() => isThere.every((isHere, i) => !isHere || !clients[i].socket.connected), "the end of their connections");
    // Its clients miss this.
    const speaker = new Client(t, ["websocket"]);
    await speaker.connected();
    said.push(...texts(1));
    await speaker.say(said.at(-1));
    speaker.socket.close();
    for (const { socket } of clients) {
      socket.io.reconnection(true);
      socket.connect();
    }
    for (const [i, client] of clients.entries()) {
      await client.connected();
      await until(() => client.heard.length >= said.length, () => `${said.at(-1)} by ${client.heard}`);
      if (isThere[i] && (await client.where()).worker !== victim.worker) {
        moved.add(i % TRANSPORTS.length);
      }
    }
  }
  for (const [i, { heard, connections, socket }] of clients.entries()) {
    assert.deepEqual(heard, said, "each once, in order");
    assert.deepEqual(connections.slice(1), connections.slice(1).map(() => true));
    assert.equal(socket.id, ids[i]);
  }
});

test("a restart of all workers, one after another, is a break like any other", async (t) => {
  const clients = await Client.all(t, 6);
  const acknowledged = [];
  let isOver = false;
  const speaking = (async () => {
    for (const text of texts(10_000)) {
      if (isOver) {
        return;
      }
      // What is on its way when the worker ends is not answered. It may have been heard.
      const answer = clients[0].socket.timeout(1_000).emitWithAck("say", text);
      await answer.then(() => acknowledged.push(text), () => clients[0].isBack(1));
    }
  })();
  await until(() => acknowledged.length >= 20, "some texts");
  process.kill(Number(process.env.SUPERVISOR), "SIGHUP");
  for (const client of clients) {
    await client.isBack(2);
  }
  const before = acknowledged.length;
  await until(() => acknowledged.length >= before + 20, "more texts");
  isOver = true;
  await speaking;
  const [last] = texts(1);
  await clients[0].say(last);
  for (const client of clients) {
    await until(() => client.heard.at(-1) === last, () => `${last} instead of ${client.heard.at(-1)}`);
    assert.deepEqual(client.connections.slice(1), client.connections.slice(1).map(() => true));
    assert.deepEqual(client.heard, clients[0].heard);
  }
  const heard = new Set(clients[0].heard);
  assert.equal(heard.size, clients[0].heard.length, "nothing twice");
  assert.deepEqual(acknowledged.filter((text) => !heard.has(text)), [], "what was acknowledged was heard");
});
