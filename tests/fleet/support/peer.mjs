// An official client that can be moved from one node to another.
import { io } from "socket.io-client";
import { Proxy } from "../../interop/support/proxy.mjs";
import { until, within } from "./wait.mjs";

export class Peer {
  /** Every event as it came, without its offset. */
  events = [];
  connections = [];
  disconnections = [];

  static async connect(t, node, { transports = ["websocket"] } = {}) {
    const peer = new Peer();
    peer.proxy = await Proxy.open(t, node.url);
    const socket = io(`${peer.proxy.url}/quiet`, { forceNew: true, transports, reconnectionDelay: 20, reconnectionDelayMax: 50, timeout: 3_000 });
    peer.socket = socket;
    socket.onAny((...event) => peer.#received(event));
    socket.on("connect", () => peer.connections.push({ id: socket.id, recovered: socket.recovered }));
    socket.on("disconnect", (reason) => peer.disconnections.push(reason));
    t.after(() => socket.disconnect().io.engine?.close());
    await until(() => socket.connected, `a connection to ${node.name}`);
    return peer;
  }

  get id() {
    return this.socket.id;
  }

  #received(event) {
    // What is asked for an acknowledgement has no offset.
    const isOffset = typeof event.at(-1) === "string" && /^(\d+-\d+|[0-9a-f]{24})$/.test(event.at(-1));
    this.events.push(isOffset ? event.slice(0, -1) : event);
  }

  /** Answers a call with its first argument. */
  call(event, ...args) {
    return within(new Promise((resolve) => this.socket.emit(event, ...args, resolve)), event);
  }

  emit(event, ...args) {
    this.socket.emit(event, ...args);
  }

  /** The first arguments of the events called `name`. */
  heard(name) {
    return this.events.filter(([event]) => event === name).map(([, first]) => first);
  }

  /** Waits until an event called `name` with the argument `value` has come. */
  async hears(name, value) {
    const isHere = () => this.heard(name).includes(value);
    await until(isHere, () => `${name} ${value} after ${JSON.stringify(this.heard(name))}`);
  }

  /** Closes the link under the session. */
  async away() {
    const count = this.disconnections.length;
    this.socket.io.reconnection(false);
    this.socket.io.engine.close();
    await until(() => this.disconnections.length > count, "the disconnection");
  }

  /** Comes back to `node`, and tells how. */
  async back(node) {
    const count = this.connections.length;
    this.proxy.thaw();
    this.proxy.target = node.url;
    this.socket.io.reconnection(true);
    this.socket.io.open();
    await until(() => this.connections.length > count, `the return to ${node.name}`);
    return this.connections.at(-1);
  }
}

/** Waits until what was emitted before at any of `peers` has reached all of `peers`, as far as it is for them. */
export async function settle(...peers) {
  settle.rounds = (settle.rounds ?? 0) + 1;
  for (const [index, sender] of peers.entries()) {
    const name = settle.rounds * 100 + index;
    sender.emit("broadcast", null, "settle", name);
    await Promise.all(peers.map((peer) => peer.hears("settle", name)));
  }
}
