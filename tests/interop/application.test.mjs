// One application, `examples/axum` and `examples/threads`: Socket.IO beside its routes, and through a
// restart of it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { freePort } from "../fleet/support/ports.mjs";
import { connect, join, TRANSPORTS, unconnected } from "./support/peer.mjs";
import { Frames, request } from "./support/raw.mjs";
import { until, within } from "./support/wait.mjs";

const BINARIES = process.env.APPLICATIONS;
assert.ok(BINARIES, "APPLICATIONS is not set: start the tests with `cargo test --test interop`");
const ORIGIN = "https://app.example";
const ANN = { token: "token-of-ann" };
const ROOT = { token: "token-of-root" };

/** The application as a process of its own. */
class Site {
  #complaints = "";

  static async start(t, binary) {
    const site = new Site();
    site.binary = binary;
    site.folder = mkdtempSync(joinPath(tmpdir(), "application-"));
    site.state = joinPath(site.folder, "sessions.json");
    t.after(() => {
      site.process.kill("SIGKILL");
      rmSync(site.folder, { recursive: true });
    });
    await site.run(await freePort());
    return site;
  }

  async run(port) {
    const env = { ...process.env, PORT: String(port), ORIGIN, STATE: this.state };
    this.process = spawn(this.binary, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.on("exit", (code, signal) => resolve({ code, signal })));
    this.process.stderr.on("data", (text) => { this.#complaints += text; });
    createInterface(this.process.stdout).on("line", (line) => {
      this.port = Number(line.match(/^listening (\d+)$/)?.[1] ?? this.port);
      this.isListening = true;
    });
    await until(() => this.isListening, () => `the server: ${this.#complaints}`);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    this.process.kill("SIGTERM");
    assert.deepEqual(await within(this.ended, "the end"), { code: 0, signal: null }, this.#complaints);
    this.isListening = false;
  }

  restart() {
    return this.run(this.port);
  }

  assertUnharmed() {
    assert.equal(this.#complaints, "");
    assert.equal(this.process.exitCode, null);
  }

  async post(path, body, headers = {}) {
    return request("POST", "", { url: this.url, path, body, headers });
  }

  async logIn({ token }) {
    const { status, headers } = await this.post("/login", token);
    assert.equal(status, 200);
    const cookie = headers["set-cookie"][0];
    assert.match(cookie, /; HttpOnly/);
    return cookie.split(";")[0];
  }

  /** A client in a room. */
  async member(t, transport, auth, room) {
    const peer = await connect(t, { url: this.url, transport, auth });
    assert.equal(await peer.call("join", room), true);
    return peer;
  }
}

/** Why the client is not let in. */
async function refusal(t, options) {
  const peer = unconnected(t, { reconnection: false, ...options });
  const error = new Promise((resolve) => peer.socket.on("connect_error", resolve));
  peer.socket.connect();
  return (await within(error, "a refusal")).message;
}

for (const [name, binary] of Object.entries(JSON.parse(BINARIES))) {
  const start = (t) => Site.start(t, binary);

  for (const transport of Object.keys(TRANSPORTS)) {
    test(`${name}: the token comes from auth or from the cookie over ${transport}`, async (t) => {
      const site = await start(t);
      const url = site.url;
      const cookie = await site.logIn(ANN);
      assert.equal((await site.post("/login", "guessed")).status, 403);

      const withCookie = { url, transport, extraHeaders: { cookie } };
      for (const options of [{ url, transport, auth: ANN }, withCookie]) {
        const peer = await connect(t, options);
        await peer.call("join", "lobby");
        assert.equal(await peer.call("say", "nowhere", "hello"), 0);
      }
      const forged = { url, transport, extraHeaders: { cookie: "a=b; token=guessed" } };
      const wrong = { ...withCookie, auth: { token: "guessed" } };
      const notText = { ...withCookie, auth: { token: 7 } };
      for (const options of [{ url, transport }, forged, wrong, notText]) {
        assert.equal(await refusal(t, options), "not authorized");
      }
      site.assertUnharmed();
    });

    test(`${name}: two namespaces and a broadcast from a route over ${transport}`, async (t) => {
      const site = await start(t);
      const ann = await connect(t, { url: site.url, transport, auth: ANN });
      const root = await connect(t, { url: site.url, transport, auth: ROOT });
      assert.equal(await refusal(t, { url: site.url, namespace: "/admin", transport, auth: ANN }), "not authorized");
      const admin = await connect(t, { url: site.url, namespace: "/admin", transport, auth: ROOT });

      const cookie = await site.logIn(ANN);
      assert.equal((await site.post("/announce", "to nobody")).status, 401);
      const { status, body } = await site.post("/announce", "hello", { cookie });
      assert.deepEqual([status, body], [200, "2"]);
      await until(() => [ann, root, admin].every((peer) => peer.events.length === 1), "the news");
      for (const peer of [ann, root]) {
        assert.deepEqual(peer.heard(), [["news", "hello"]]);
      }
      assert.deepEqual(admin.heard(), [["announced", "hello"]]);
      site.assertUnharmed();
    });

    test(`${name}: rooms and binary uploads over ${transport}`, async (t) => {
      const site = await start(t);
      const ann = await site.member(t, transport, ANN, "lobby");
      const root = await site.member(t, transport, ROOT, "lobby");
      const other = await site.member(t, transport, ROOT, "elsewhere");
      assert.equal(await ann.call("join", "lobby"), false);
      assert.equal(await ann.call("say", "lobby", "hello"), 1);
      const content = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
      assert.equal(await ann.call("upload", "lobby", "a.bin", content), content.length);
      await until(() => root.events.length === 2, "what was said, and the file");
      assert.deepEqual(root.heard(), [["said", "ann", "hello"], ["uploaded", "ann", "a.bin", content]]);
      for (const mistake of [["upload", "lobby", "b.bin", "text"], ["say", 1], ["join"], ["else"]]) {
        assert.equal(typeof (await ann.call(...mistake)).error, "string", mistake[0]);
      }
      // What was for them comes before these answers.
      assert.equal(await other.call("say", "nowhere", ""), 0);
      assert.equal(await ann.call("say", "nowhere", ""), 0);
      assert.deepEqual([ann.events, other.events], [[], []]);
      site.assertUnharmed();
    });

    test(`${name}: acknowledgements with a timeout over ${transport}`, async (t) => {
      const site = await start(t);
      const ann = await site.member(t, transport, ANN, "lobby");
      const root = await site.member(t, transport, ROOT, "lobby");
      const outside = await site.member(t, transport, ROOT, "elsewhere");
      ann.socket.on("question", (text, answer) => answer(`${text} blue`));
      const cookie = await site.logIn(ANN);
      const ask = async () => (await site.post("/rooms/lobby/ask", "colour?", { cookie })).body;
      assert.equal(await ask(), "colour? blue; silent: 1");
      root.socket.on("question", (text, answer) => answer("red"));
      assert.deepEqual((await ask()).split(/[,;] /).sort(), ["colour? blue", "red", "silent: 0"]);
      assert.equal((await site.post("/rooms/lobby/ask", "colour?")).status, 401);
      assert.deepEqual([root.events.length, outside.events], [2, []]);
      site.assertUnharmed();
    });

    test(`${name}: clients survive a restart over ${transport}`, { skip: process.platform === "win32" }, async (t) => {
      const site = await start(t);
      const ann = await site.member(t, transport, ANN, "lobby");
      const root = await site.member(t, transport, ROOT, "lobby");
      const { id } = root;
      assert.equal(await ann.call("say", "lobby", "before"), 1);
      await until(() => root.events.length === 1, "the first message");
      await root.away();
      // Counted or not: with polling, the server may not know yet that the client has gone.
      await ann.call("say", "lobby", "missed");
      const count = ann.connections.length;
      await site.stop();
      assert.equal(statSync(site.state).mode & 0o777, 0o600, "the file has secrets");
      await site.restart();
      assert.throws(() => statSync(site.state), "sessions go on once");
      await until(() => ann.connections.length > count, "Ann");
      assert.equal(ann.connections.at(-1).recovered, true);
      assert.deepEqual(await root.back(), { id, recovered: true });
      assert.equal(await ann.call("say", "lobby", "after"), 1);
      await until(() => root.events.length === 3, "all messages");
      assert.deepEqual(root.heard().map((event) => event.at(-1)), ["before", "missed", "after"]);
      site.assertUnharmed();
    });

    test(`${name}: nobody continues the session of another user over ${transport}`, async (t) => {
      const site = await start(t);
      const ann = await site.member(t, transport, ANN, "lobby");
      const root = await site.member(t, transport, ROOT, "lobby");
      assert.equal(await ann.call("say", "lobby", "for root"), 1);
      await until(() => root.events.length === 1, "the message");
      await root.away();
      root.socket.auth = ANN;
      assert.equal((await root.back()).recovered, false);
      assert.equal(await ann.call("say", "lobby", "for root again"), 0);
      assert.equal(await root.call("join", "lobby"), true);
      assert.equal(root.events.length, 1);
      site.assertUnharmed();
    });
  }

  test(`${name}: one connection has both namespaces`, async (t) => {
    const site = await start(t);
    const cookie = await site.logIn(ROOT);
    const root = await connect(t, { url: site.url, transport: "upgrade", extraHeaders: { cookie } });
    const admin = await join(t, root, "/admin");
    await site.post("/announce", "hello", { cookie });
    await until(() => root.events.length === 1 && admin.events.length === 1, "the news");
    site.assertUnharmed();
  });

  test(`${name}: routes beside it, and pages of other origins`, async (t) => {
    const site = await start(t);
    const { url } = site;
    const page = await request("GET", "", { url, path: "/" });
    assert.equal(page.status, 200);
    assert.match(page.headers["content-type"], /^text\/html/);
    assert.match(page.body, /socket\.io/);
    assert.equal((await request("GET", "", { url, path: "/none" })).status, 404);

    const EVIL = "https://evil.example";
    const handshake = "EIO=4&transport=polling";
    for (const [path, query, method] of [["/", "", "GET"], ["/socket.io/", handshake, "GET"], ["/login", "", "POST"]]) {
      const ask = (origin) => request(method, query, { url, path, headers: { origin }, body: method === "POST" ? "" : undefined });
      const ours = (await ask(ORIGIN)).headers;
      assert.equal(ours["access-control-allow-origin"], ORIGIN, path);
      assert.equal(ours["access-control-allow-credentials"], "true", path);
      assert.equal((await ask(EVIL)).headers["access-control-allow-origin"], undefined, path);
    }
    for (const path of ["/announce", "/socket.io/"]) {
      const headers = { origin: ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "content-type" };
      const preflight = await request("OPTIONS", handshake, { url, path, headers });
      assert.ok([200, 204].includes(preflight.status), path);
      assert.equal(preflight.headers["access-control-allow-methods"], "GET,POST", path);
      assert.equal(preflight.headers["access-control-allow-headers"], "content-type", path);
    }

    // CORS does not stop a page that opens a WebSocket or does not read the answer.
    assert.equal((await request("GET", handshake, { url, headers: { origin: EVIL } })).status, 403);
    assert.equal((await new Frames("EIO=4&transport=websocket", { url, headers: { origin: EVIL } }).refused()).status, 403);
    for (const [transport, origin] of [["polling", ORIGIN], ["websocket", ORIGIN], ["upgrade", url]]) {
      await connect(t, { url, transport, auth: ANN, extraHeaders: { origin } });
    }
    site.assertUnharmed();
  });
}
