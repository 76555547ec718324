// The real socket.io-client, with a record of everything it received.
import assert from "node:assert/strict";
import { ACCEPTANCE } from "./servers.mjs";
import { until, within } from "./wait.mjs";

// The release of the client is the caller's choice; see `tests/interop`.
const { io } = await import(process.env.CLIENT_PACKAGE ?? "socket.io-client");

/** Whether this release of the client knows connection state recovery (4.6 and later). */
export const RECOVERS = process.env.CLIENT_RECOVERS !== "false";

export const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

export class Peer {
  /** Every event of the socket as it came: `[name, ...arguments]`, offsets included. */
  events = [];
  /** Every time the socket was connected. */
  connections = [];
  disconnections = [];

  constructor(socket) {
    this.socket = socket;
    socket.onAny((...event) => this.events.push(event));
    socket.on("connect", () =>
      this.connections.push({ id: socket.id, recovered: socket.recovered === true }));
    socket.on("disconnect", (reason) => this.disconnections.push(reason));
  }

  get manager() {
    return this.socket.io;
  }

  get id() {
    return this.socket.id;
  }

  get transport() {
    return this.manager.engine.transport.name;
  }

  get sid() {
    return this.manager.engine.id;
  }

  /** Whether the client has the transport that it will stay with, and nothing to be sent. */
  get isSettled() {
    const { engine, opts } = this.manager;
    return this.socket.connected && this.transport === opts.transports.at(-1) && engine.writeBuffer.length === 0;
  }

  /** What another connection needs to claim this session. */
  get claim() {
    return { pid: this.socket._pid, offset: this.socket._lastOffset };
  }

  /** What was heard except `auth`, each without the offset that every recoverable event carries. */
  heard() {
    return this.events.filter(([name]) => name !== "auth").map((event) => {
      const offset = event.at(-1);
      assert.equal(typeof offset, "string", `no offset in ${JSON.stringify(event)}`);
      return event.slice(0, -1);
    });
  }

  async connected() {
    const count = this.connections.length;
    await until(() => this.socket.connected, () => `a connection (${this.disconnections})`);
    await this.upgraded();
    return this.connections[count] ?? this.connections.at(-1);
  }

  /** Waits for the transport that the client will stay with. */
  async upgraded() {
    if (this.manager.opts.transports.includes("websocket")) {
      await until(() => this.transport === "websocket", "the upgrade");
    }
  }

  /** `true` on this peer means that everything emitted to it before has arrived. */
  state() {
    return this.call("get-state");
  }

  call(event, ...args) {
    // `emitWithAck` is younger than the protocol.
    return within(new Promise((resolve) => this.socket.emit(event, ...args, resolve)), event);
  }

  broadcast(room, event, ...args) {
    this.socket.emit("broadcast", room, event, ...args);
  }

  /** Closes the link under the session and stays away until `back`. */
  async away() {
    const count = this.disconnections.length;
    this.manager.reconnection(false);
    this.manager.engine.close();
    await until(() => this.disconnections.length > count, "the disconnection");
    return this.disconnections.at(-1);
  }

  /** Ends `away`; returns how the socket was connected. */
  async back() {
    const count = this.connections.length;
    this.manager.reconnection(true);
    this.manager.open();
    await until(() => this.connections.length > count, "the reconnection");
    await this.upgraded();
    return this.connections.at(-1);
  }
}

/**
 * Connects a client that is closed when the test `t` ends. `transport` is a key of `TRANSPORTS`,
 * `namespace` its first namespace, `url` the server; the rest are the client's own options.
 */
export async function connect(t, { namespace = "/", transport = "websocket", url = ACCEPTANCE, ...options } = {}) {
  const peer = unconnected(t, { namespace, transport, url, ...options });
  peer.socket.connect();
  await peer.connected();
  return peer;
}

export function unconnected(t, { namespace = "/", transport = "websocket", url = ACCEPTANCE, ...options } = {}) {
  const socket = io(`${url}${namespace}`, {
    autoConnect: false,
    forceNew: true,
    transports: TRANSPORTS[transport],
    reconnectionDelay: 20,
    reconnectionDelayMax: 50,
    // The only thing that tells the client of a WebSocket that breaks before the open packet: its manager
    // listens for errors until then, and for closes only afterwards. The default is 20 s.
    timeout: 3_000,
    ...options,
  });
  t.after(() => {
    socket.disconnect();
    socket.io.engine?.close();
  });
  return new Peer(socket);
}

/** Another namespace on the connection of `peer`. */
export async function join(t, peer, namespace) {
  const other = new Peer(peer.manager.socket(namespace));
  t.after(() => other.socket.disconnect());
  other.socket.connect();
  await other.connected();
  return other;
}

/** Waits until everything that `sender` had broadcast has reached `receivers`. */
export async function settle(sender, ...receivers) {
  await sender.state();
  await Promise.all(receivers.map((receiver) => receiver.state()));
}

/** `[event, n]` for each n of from..=to. */
export function numbered(event, from, to) {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => [event, from + i]);
}
