// An official client that is driven from node to node, and remembers what it got in each of its sessions.
import { io } from "socket.io-client";
import { Proxy } from "../../interop/support/proxy.mjs";
import { Session } from "./judge.mjs";

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

export class Member {
  /** In the order of time; the last one is the current one. */
  sessions = [];
  /** How often each outcome of a claim came. */
  outcomes = new Map();
  /** Ends of what was asked for by `mark`. */
  #marks = new Map();

  /** `choose` picks a node, each time that the client connects. */
  static async open(t, { transport, namespace, rooms, choose, random }) {
    const member = new Member();
    Object.assign(member, { rooms, random });
    member.node = choose();
    member.proxy = await Proxy.open(t, member.node.url);
    const socket = io(`${member.proxy.url}${namespace}`, {
      autoConnect: false,
      forceNew: true,
      transports: TRANSPORTS[transport],
      reconnectionDelay: 20,
      reconnectionDelayMax: 400,
      timeout: 3_000,
    });
    member.socket = socket;
    socket.io.on("reconnect_attempt", () => {
      member.proxy.thaw();
      member.node = choose();
      member.proxy.target = member.node.url;
    });
    // The client keeps an event that it decodes in the turn in which its link closes, and does not count it as
    // received: it delivers it after the next CONNECT, and asks for it again (H24). No server can know that.
    const { onevent } = socket;
    socket.onevent = (packet) => {
      if (!socket.connected && socket.io.engine?.readyState === "closed") {
        member.session?.keptByClient.add(packet.data.at(-1));
      }
      onevent.call(socket, packet);
    };
    socket.on("connect", () => member.#connected());
    socket.on("m", (_n, offset) => member.#received(offset));
    socket.on("mark", (name, offset) => member.#marked(name, offset));
    // Whoever was disconnected by a server has to connect by itself.
    socket.on("disconnect", (reason) => reason === "io server disconnect" && socket.connect());
    t.after(() => socket.disconnect().io.engine?.close());
    socket.connect();
    return member;
  }

  get session() {
    return this.sessions.at(-1);
  }

  get isReady() {
    return this.socket.connected && this.session !== undefined && this.session.start !== null;
  }

  /** Breaks the link in one of the ways that links break. */
  break() {
    const ways = [
      () => this.proxy.cut(),
      () => this.socket.io.engine?.close(),
      // The server does not learn that it is gone.
      () => {
        this.proxy.freeze();
        this.socket.io.engine?.close();
      },
    ];
    ways[Math.floor(this.random() * ways.length)]();
  }

  /** The offset of an event that is sent to this session now, `undefined` until it has come. */
  mark(name) {
    this.socket.emit("broadcast", this.socket.id, "mark", name);
  }

  offsetOf(name) {
    return this.#marks.get(name);
  }

  #connected() {
    const { socket } = this;
    if (socket.recovered) {
      this.#count("recovered");
      this.session.recoveries.push(this.session.log.length);
    } else {
      const claimed = this.session !== undefined;
      this.sessions.push(new Session(socket.id, this.rooms));
      if (claimed) {
        const session = this.session;
        socket.emit("get-state", ({ id, outcome }) => id === session.id && this.#count(outcome));
      }
    }
    this.session.hosts.push(this.node.kind);
    // What was under way when a link broke may be lost.
    if (this.session.start === null) {
      this.rooms.forEach((room) => socket.emit("join", room));
      this.mark("start");
    }
  }

  #received(offset) {
    this.session?.log.push(offset);
  }

  #marked(name, offset) {
    this.session.log.push(offset);
    this.#marks.set(name, offset);
    if (name === "start") {
      this.session.start ??= offset;
    }
  }

  #count(outcome) {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}
