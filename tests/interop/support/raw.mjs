// Peers that can say anything: plain HTTP requests, plain WebSockets, and the Engine.IO client.
import http from "node:http";
import { Socket as Engine } from "engine.io-client";
import { WebSocket } from "ws";
import { ACCEPTANCE } from "./servers.mjs";
import { until, within } from "./wait.mjs";

/** One HTTP request; resolves with `{ status, headers, body }`. */
export function request(method, query, { body, headers, url = ACCEPTANCE, path = "/socket.io/" } = {}) {
  return within(new Promise((resolve, reject) => {
    const exchange = http.request(`${url}${path}?${query}`, { method, headers, agent: false }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(chunks).toString(),
      }));
    });
    exchange.on("error", reject);
    exchange.end(body);
  }), `the answer to ${method} ${query}`);
}

/** A polling session driven request by request. */
export class Polling {
  static async open({ url = ACCEPTANCE } = {}) {
    const session = new Polling();
    session.url = url;
    const { body } = await request("GET", "EIO=4&transport=polling", { url });
    session.handshake = JSON.parse(body.slice(1));
    session.query = `EIO=4&transport=polling&sid=${session.handshake.sid}`;
    return session;
  }

  get() {
    return request("GET", this.query, { url: this.url });
  }

  post(body, headers = { "content-type": "text/plain;charset=UTF-8" }) {
    return request("POST", this.query, { body, headers, url: this.url });
  }

  /** Joins the main namespace and reads its answer. */
  async join() {
    await this.post("40");
    const { body } = await this.get();
    return JSON.parse(body.split("\x1e")[0].slice(2));
  }

  /** Whether the server has forgotten the session. */
  async gone() {
    const { status, body } = await this.get();
    return status === 400 && JSON.parse(body).code === 1;
  }
}

/** A WebSocket that records frames. `refusal` is the answer when there was no 101. */
export class Frames {
  received = [];
  code = undefined;
  refusal = undefined;

  constructor(query, { url = ACCEPTANCE, headers } = {}) {
    this.ws = new WebSocket(`${url.replace(/^http/, "ws")}/socket.io/?${query}`, { headers });
    this.ws.on("message", (data, binary) => this.received.push(binary ? data : data.toString()));
    this.ws.on("close", (code, reason) => { [this.code, this.reason] = [code, String(reason)]; });
    this.ws.on("error", () => {});
    this.ws.on("unexpected-response", (_, response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        this.refusal = { status: response.statusCode, body: Buffer.concat(chunks).toString() };
        this.ws.terminate();
      });
    });
  }

  send(frame) {
    this.ws.send(frame);
  }

  /** Waits for the frame at `index` of all received. */
  async frame(index) {
    await until(() => this.received.length > index, () => `frame ${index} after ${JSON.stringify(this.received)}`);
    return this.received[index];
  }

  async closed() {
    await until(() => this.code !== undefined, "the close of the WebSocket");
    return this.code;
  }

  async refused() {
    await until(() => this.refusal, "a refusal");
    return this.refusal;
  }
}

/** An Engine.IO connection that sends Socket.IO packets as they are given. */
export class Link {
  received = [];
  isClosed = false;

  static async open(t, transport, { url = ACCEPTANCE } = {}) {
    const link = new Link();
    link.engine = new Engine(url, { path: "/socket.io/", transports: [transport] });
    link.engine.binaryType = "nodebuffer";
    link.engine.on("message", (data) => link.received.push(data));
    link.engine.on("close", () => { link.isClosed = true; });
    t.after(() => link.engine.close());
    await until(() => link.engine.readyState === "open", "the handshake");
    return link;
  }

  send(...packets) {
    for (const packet of packets) {
      this.engine.send(packet);
    }
  }

  /** Sends CONNECT with `auth` and resolves with the payload of the answer and its type. */
  async join(namespace = "/", auth) {
    const prefix = namespace === "/" ? "" : `${namespace},`;
    const before = this.received.length;
    this.send(`0${prefix}${auth === undefined ? "" : JSON.stringify(auth)}`);
    const isAnswer = (packet) => /^[04]/.test(packet);
    const find = () => this.received.slice(before).find((packet) => typeof packet === "string" && isAnswer(packet));
    await until(() => find() !== undefined || this.isClosed, "the answer to CONNECT");
    const answer = find();
    return answer && { type: answer[0], ...JSON.parse(answer.slice(answer.indexOf("{"))) };
  }

  /** Everything received as parsed EVENT packets of the main namespace (`2[...]`). */
  events() {
    return this.received
      .filter((packet) => typeof packet === "string" && packet.startsWith("2["))
      .map((packet) => JSON.parse(packet.slice(1)));
  }

  async closed() {
    await until(() => this.isClosed, "the close of the connection");
  }
}
