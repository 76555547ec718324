// A TCP relay between a client and the server that can break links in ways a client cannot.
import net from "node:net";

export class Proxy {
  #server;
  #target;
  #pairs = new Set();
  #holdUp = false;
  #holdDown = false;
  #isDown = false;
  /** Whether requests for a WebSocket are cut off, as some proxies do. */
  refusesWebSockets = false;
  /** Bytes that may still go to the client before every link is cut; Infinity by default. */
  downstreamBudget = Infinity;

  static async open(t, url) {
    const proxy = new Proxy();
    proxy.target = url;
    proxy.#server = net.createServer({ allowHalfOpen: true }, (down) => proxy.#relay(down));
    await new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      proxy.cut();
      proxy.#server.close();
    });
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Where new links go; those that are open stay. */
  set target(url) {
    this.#target = new URL(url);
  }

  /** Every link stays open on both sides, but nothing passes any more. New ones are like that too. */
  freeze() {
    this.#hold({ up: true, down: true });
  }

  /** Nothing passes from the server to the client any more. */
  freezeDownstream() {
    this.#hold({ up: false, down: true });
  }

  /** New links pass again. Those that were frozen stay so. */
  thaw() {
    this.#holdUp = false;
    this.#holdDown = false;
  }

  /** Breaks every link, and each new one at once, until `up` is called: there is no network. */
  down() {
    this.#isDown = true;
    this.cut();
  }

  up() {
    this.#isDown = false;
  }

  /** Breaks every link. */
  cut() {
    for (const { down, up } of this.#pairs) {
      down.destroy();
      up.destroy();
    }
    this.#pairs.clear();
  }

  #hold({ up, down }) {
    this.#holdUp = up;
    this.#holdDown = down;
    for (const pair of this.#pairs) {
      pair.holdUp ||= up;
      pair.holdDown ||= down;
    }
  }

  #relay(down) {
    if (this.#isDown) {
      down.on("error", () => {});
      down.destroy();
      return;
    }
    const up = net.connect({ host: this.#target.hostname, port: this.#target.port, allowHalfOpen: true });
    const pair = { down, up, holdUp: this.#holdUp, holdDown: this.#holdDown };
    this.#pairs.add(pair);
    down.on("data", (chunk) => {
      if (this.refusesWebSockets && /^upgrade: websocket/im.test(chunk.toString("latin1"))) {
        down.destroy();
      }
      return pair.holdUp || up.write(chunk);
    });
    down.on("end", () => pair.holdUp || up.end());
    up.on("data", (chunk) => pair.holdDown || this.#deliver(down, chunk));
    up.on("end", () => pair.holdDown || down.end());
    down.on("close", () => pair.holdUp || up.destroy());
    up.on("close", () => pair.holdDown || down.destroy());
    down.on("error", () => {});
    up.on("error", () => {});
  }

  #deliver(down, chunk) {
    if (chunk.length <= this.downstreamBudget) {
      this.downstreamBudget -= chunk.length;
      down.write(chunk);
      return;
    }
    const rest = chunk.subarray(0, this.downstreamBudget);
    this.downstreamBudget = Infinity;
    // What was allowed through arrives before the link is cut.
    down.write(rest, () => this.cut());
  }
}
