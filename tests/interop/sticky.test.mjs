// Two servers behind a load balancer that knows a session by the cookie of its handshake.
import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import { test } from "node:test";
import { connect, TRANSPORTS, unconnected } from "./support/peer.mjs";
import { ACCEPTANCE, INTEROP } from "./support/servers.mjs";
import { until, within } from "./support/wait.mjs";

/** Sends every request to the next server in turn, unless its cookie names a session that it has seen. */
class Balancer {
  #turn = 0;
  #sessions = new Map();
  /** How many requests were sent where their cookie said. */
  stuck = 0;

  static async open(t) {
    const balancer = new Balancer();
    const server = http.createServer((request, response) => balancer.#pass(request, response));
    server.on("upgrade", (request, socket, head) => balancer.#tunnel(request, socket, head));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    balancer.url = `http://127.0.0.1:${server.address().port}`;
    return balancer;
  }

  #choose({ headers }) {
    const session = headers.cookie?.match(/(?:^|; )io=([^;]*)/)?.[1];
    const known = this.#sessions.get(session);
    if (known) {
      this.stuck += 1;
      return known;
    }
    this.#turn += 1;
    return new URL([ACCEPTANCE, INTEROP][this.#turn % 2]);
  }

  #pass(request, response) {
    const { hostname, port, href } = this.#choose(request);
    const options = { hostname, port, path: request.url, method: request.method, headers: request.headers, agent: false };
    const onward = http.request(options, (answer) => {
      const session = answer.headers["set-cookie"]?.[0].match(/^io=([\w-]{20}); Path=\/; HttpOnly; SameSite=Lax$/)?.[1];
      if (session) {
        this.#sessions.set(session, new URL(href));
      }
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  #tunnel(request, socket, head) {
    const { hostname, port } = this.#choose(request);
    const onward = net.connect(port, hostname, () => {
      const fields = request.rawHeaders.map((text, i) => text + (i % 2 ? "\r\n" : ": ")).join("");
      onward.write(`GET ${request.url} HTTP/1.1\r\n${fields}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const [one, other] of [[socket, onward], [onward, socket]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }
}

for (const transport of Object.keys(TRANSPORTS).filter((name) => name !== "websocket")) {
  test(`the cookie leads every request to the server of the session over ${transport}`, async (t) => {
    const balancer = await Balancer.open(t);
    const options = { url: balancer.url, transport, withCredentials: true, reconnection: false };
    const nodes = new Set();
    for (let i = 0; i < 4; i += 1) {
      const peer = await connect(t, options);
      nodes.add((await peer.state()).node);
      peer.socket.emit("emit-to-self", "hello", i);
      await until(() => peer.heard().length === 1, "the event");
      assert.deepEqual([peer.heard(), peer.disconnections], [[["hello", i]], []]);
    }
    assert.equal(nodes.size, 2, "both servers have sessions");
    assert.ok(balancer.stuck >= 4 * 3, `${balancer.stuck} requests`);
  });
}

test("without the cookie no session over polling gets far", async (t) => {
  const balancer = await Balancer.open(t);
  const peer = unconnected(t, { url: balancer.url, transport: "polling", reconnection: false });
  const ended = new Promise((resolve) => {
    peer.socket.on("connect_error", resolve);
    peer.socket.on("disconnect", resolve);
    peer.manager.on("close", resolve);
  });
  peer.socket.connect();
  await within(ended, "the end");
  assert.equal(balancer.stuck, 0);
});
