// How connections live and end: heartbeats, upgrades, closing, and what the client says about it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, join, numbered, Peer, RECOVERS, settle, TRANSPORTS, unconnected } from "./support/peer.mjs";
import { Proxy } from "./support/proxy.mjs";
import { Frames, Polling } from "./support/raw.mjs";
import { ACCEPTANCE, INTEROP } from "./support/servers.mjs";
import { pause, until, within } from "./support/wait.mjs";

const needsRecovery = { skip: !RECOVERS && "the client cannot recover yet" };

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    test("heartbeats keep an idle connection", async (t) => {
      const peer = await connect(t, { transport, url: INTEROP });
      const { sid } = peer;
      let pings = 0;
      peer.manager.on("ping", () => { pings += 1; });
      await until(() => pings >= 3, "three pings");
      assert.deepEqual([peer.disconnections, peer.sid], [[], sid]);
      await peer.state();
    });

    test("a client that gets no pings gives the connection up", async (t) => {
      const proxy = await Proxy.open(t, INTEROP);
      const peer = await connect(t, { transport, url: proxy.url, reconnection: false });
      proxy.freezeDownstream();
      await until(() => peer.disconnections.length > 0, "the disconnection");
      assert.deepEqual(peer.disconnections, ["ping timeout"]);
      proxy.thaw();
      const again = await peer.back();
      assert.equal(again.recovered, RECOVERS);
    });

    for (const [event, closes] of [["disconnect-me", false], ["disconnect-me", true]]) {
      test(`a client that the server disconnects is told (closing: ${closes})`, async (t) => {
        const main = await connect(t, { transport, url: INTEROP });
        const custom = await join(t, main, "/custom");
        const { id } = main;
        main.socket.emit(event, closes);
        await until(() => main.disconnections.length > 0, "the disconnection");
        assert.deepEqual(main.disconnections, ["io server disconnect"]);
        if (closes) {
          await until(() => custom.disconnections.length > 0, "the other disconnection");
        } else {
          await custom.state();
        }
        // It does not return by itself, and returns as somebody else.
        main.socket.connect();
        const again = await main.connected();
        assert.equal(again.recovered, false);
        assert.notEqual(again.id, id);
      });
    }

    // What happens between two calls is the server's answer, or not.
    for (const [name, calls] of Object.entries({
      "connects twice": ["connect", "connect"],
      "leaves before the answer and comes back": ["connect", "disconnect", "connect"],
      "does so again": ["connect", "disconnect", "connect", "disconnect", "connect"],
      "leaves before the answer and comes back later": ["connect", "disconnect", "wait", "connect"],
      "leaves and comes back": ["connect", "wait", "disconnect", "connect"],
      "comes back and leaves before the answer, and comes back": ["connect", "wait", "disconnect", "connect", "disconnect", "connect"],
      "connects with other data": ["connect", "change", "connect"],
    })) {
      test(`a client that ${name} does not disturb its other namespaces`, async (t) => {
        const main = await connect(t, { transport, namespace: "/quiet" });
        const { id } = main;
        for (const namespace of ["/", "/custom"]) {
          const other = new Peer(main.manager.socket(namespace));
          t.after(() => other.socket.disconnect());
          for (const call of calls) {
            if (call === "wait") {
              await main.state();
              await main.state();
            } else if (call === "change") {
              other.socket.auth = { other: true };
            } else {
              other.socket[call]();
            }
          }
          await other.connected();
          // The answer to the last call is there when what was emitted behind it is answered.
          await main.state();
          await other.state();
          assert.equal((await other.state()).id, other.id);
          other.events.length = 0;
          other.broadcast(null, "m", 1);
          await settle(other, other);
          assert.deepEqual(other.events.map(([event]) => event), ["m"], "one socket");
        }
        assert.deepEqual([main.disconnections, main.connections.length, main.id], [[], 1, id]);
        assert.equal((await main.state()).id, id);
      });
    }

    test("a connection that the server closes comes back", async (t) => {
      const peer = await connect(t, { transport, url: INTEROP });
      peer.socket.emit("close-connection");
      await until(() => peer.connections.length > 1, "the reconnection");
      assert.deepEqual(peer.disconnections, ["transport close"]);
      await peer.state();
    });

    test("the client says why it was disconnected", async (t) => {
      const proxy = await Proxy.open(t, ACCEPTANCE);
      const peer = await connect(t, { transport, url: proxy.url, reconnection: false });
      await until(() => {
        proxy.cut();
        return !peer.socket.connected;
      }, "the disconnection");
      assert.deepEqual(peer.disconnections, [transport === "polling" ? "transport error" : "transport close"]);

      const leaving = await connect(t, { transport });
      leaving.socket.disconnect();
      assert.deepEqual(leaving.disconnections, ["io client disconnect"]);

      const closing = await connect(t, { transport, reconnection: false });
      closing.manager.engine.close();
      await until(() => closing.disconnections.length > 0, "the disconnection");
      assert.deepEqual(closing.disconnections, ["forced close"]);

      const rude = await connect(t, { transport, reconnection: false });
      rude.manager.engine.write("9 is no packet");
      await until(() => rude.disconnections.length > 0, "the disconnection");
      assert.deepEqual(rude.disconnections, ["transport close"]);
    });

    const splits = { skip: !RECOVERS && transport !== "websocket" && "the client does not know maxPayload yet" };
    test("what is too large for one body is sent in several", splits, async (t) => {
      const peer = await connect(t, { transport });
      const [text, bytes] = ["ü".repeat(30_000), Buffer.alloc(90_000, 7)];
      for (let n = 0; n < 12; n += 1) {
        peer.socket.emit("message", n, text, bytes);
      }
      await peer.state();
      assert.deepEqual(peer.heard().map(([, n]) => n), numbered("", 0, 11).map(([, n]) => n));
      for (const [, , echoed, raw] of peer.heard()) {
        assert.ok(echoed === text && bytes.equals(raw));
      }
    });

    test("the server gets answers, or learns that there are none", async (t) => {
      const peer = await connect(t, { transport, url: INTEROP });
      let late;
      peer.socket.on("question", (...args) => {
        const answer = args.pop();
        if (args[0] === "silence") {
          late = answer;
        } else {
          answer(...args, "and more");
        }
      });
      const last = () => peer.events.at(-1) ?? [];
      peer.socket.emit("ask", 5000, 1, { a: [null] });
      await until(() => last()[0] === "answered", "the answer");
      assert.deepEqual(last()[1], [1, { a: [null] }, "and more"]);
      peer.socket.emit("ask", 100, "silence");
      await until(() => last()[0] === "unanswered", "the timeout");
      late("too late");
      late("twice");
      await peer.state();
      assert.equal(last()[0], "unanswered");
    });

    test("the server gets the answers of many", async (t) => {
      const namespace = `/dynamic-${Object.keys(TRANSPORTS).indexOf(transport)}77`;
      const peers = await Promise.all([1, 2, 3].map(() => connect(t, { transport, url: INTEROP, namespace })));
      peers.forEach((peer, i) => peer.socket.on("question", (answer) => i < 2 && answer(i)));
      peers[0].socket.emit("ask-everyone", 3000);
      await until(() => peers[0].events.some(([name]) => name === "answers"), "the answers");
      const [, answers, missing, timedOut] = peers[0].events.find(([name]) => name === "answers");
      assert.deepEqual([answers.flat().sort(), missing, timedOut], [[0, 1], 1, true]);
    });
  });
}

describe("namespaces", () => {
  test("some are made when they are asked for", async (t) => {
    const one = await connect(t, { url: INTEROP, namespace: "/dynamic-1" });
    const two = await connect(t, { url: INTEROP, namespace: "/dynamic-2" });
    const also = await join(t, two, "/dynamic-1");
    one.broadcast(null, "m", 1);
    await settle(one, one, two, also);
    assert.deepEqual([one.heard(), two.heard(), also.heard()], [numbered("m", 1, 1), [], numbered("m", 1, 1)]);

    const unknown = two.manager.socket("/dynamic-x");
    const error = await within(new Promise((resolve) => {
      unknown.on("connect_error", resolve);
      unknown.connect();
    }), "connect_error");
    assert.equal(error.message, "Invalid namespace");
    unknown.disconnect();
    await two.state();
  });

  test("a session in one of them is recovered", needsRecovery, async (t) => {
    const a = await connect(t, { url: INTEROP, namespace: "/dynamic-3" });
    const b = await connect(t, { url: INTEROP, namespace: "/dynamic-3" });
    const { id } = a;
    await a.away();
    b.broadcast(null, "m", 1);
    await b.state();
    assert.deepEqual(await a.back(), { id, recovered: true });
    await a.state();
    assert.deepEqual(a.heard(), numbered("m", 1, 1));
  });

  test("a refusal brings its data, and the client may try again", async (t) => {
    const main = await connect(t, { url: INTEROP });
    const members = main.manager.socket("/members", { auth: { token: "wrong" } });
    const error = await within(new Promise((resolve) => {
      members.once("connect_error", resolve);
      members.connect();
    }), "connect_error");
    assert.ok(error instanceof Error);
    assert.deepEqual([error.message, error.data], ["not a member", { code: 42, retry: [true, null] }]);
    assert.equal(members.connected, false);
    await main.state();

    members.auth = { token: "secret" };
    await within(new Promise((resolve) => {
      members.once("connect", resolve);
      members.connect();
    }), "connect");
    await main.state();
    members.disconnect();
  });

  test("the client keeps the names of the protocol for itself", async (t) => {
    const peer = await connect(t);
    for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
      assert.throws(() => peer.socket.emit(name), /reserved/);
    }
    // These were reserved once.
    for (const name of ["error", "ping", "pong", "reconnect"]) {
      peer.socket.emit("emit-to-self", name, 1);
    }
    await peer.state();
    assert.deepEqual(peer.heard().map(([name]) => name), ["error", "ping", "pong", "reconnect"]);
  });

  test("a connection that joins none is closed", async (t) => {
    const joined = await connect(t, { url: INTEROP });
    const frames = new Frames("EIO=4&transport=websocket", { url: INTEROP });
    t.after(() => frames.ws.terminate());
    await frames.frame(0);
    await frames.closed();
    const session = await Polling.open({ url: INTEROP });
    const { body } = await session.get();
    assert.ok(["1", "2"].includes(body), body);
    await joined.state();
    assert.deepEqual(joined.disconnections, []);
  });
});

describe("the upgrade", () => {
  test("a client whose WebSockets are cut off stays on polling", async (t) => {
    const proxy = await Proxy.open(t, INTEROP);
    proxy.refusesWebSockets = true;
    const peer = unconnected(t, { transport: "upgrade", url: proxy.url });
    const failed = new Promise((resolve) => peer.manager.on("open", () =>
      peer.manager.engine.on("upgradeError", resolve)));
    peer.socket.connect();
    await within(failed, "the failure of the upgrade");
    for (let n = 1; n <= 20; n += 1) {
      peer.socket.emit("message", n);
    }
    await peer.state();
    assert.deepEqual(peer.heard(), numbered("message-back", 1, 20));
    assert.deepEqual([peer.transport, peer.connections.length], ["polling", 1]);
  });

  const steps = [
    ["says nothing", async () => {}],
    ["stops after the probe", async (probe) => {
      probe.send("2probe");
      assert.equal(await probe.frame(0), "3probe");
    }],
  ];
  for (const [name, step] of steps) {
    test(`a WebSocket that ${name} is closed, the session stays`, async (t) => {
      const session = await Polling.open({ url: INTEROP });
      const { sid } = await session.join();
      const probe = new Frames(`EIO=4&transport=websocket&sid=${session.handshake.sid}`, { url: INTEROP });
      t.after(() => probe.ws.terminate());
      await within(new Promise((resolve) => probe.ws.on("open", resolve)), "the WebSocket");
      await step(probe);
      // No GET is held while the probe goes on.
      await session.post('42["message","meanwhile"]');
      await probe.closed();
      await session.post(`420["get-state"]`);
      const packets = await drainUntil(session, /^430/);
      assert.ok(packets.some((packet) => packet.startsWith('42["message-back","meanwhile"')), packets.join(" "));
      assert.ok(packets.at(-1).includes(sid));
    });
  }

  test("a WebSocket that breaks during the probe leaves the session alone", async () => {
    const session = await Polling.open({ url: INTEROP });
    await session.join();
    for (const frames of [[], ["2probe"]]) {
      const probe = new Frames(`EIO=4&transport=websocket&sid=${session.handshake.sid}`, { url: INTEROP });
      await within(new Promise((resolve) => probe.ws.on("open", resolve)), "the WebSocket");
      frames.forEach((frame) => probe.send(frame));
      probe.ws.terminate();
      await probe.closed();
    }
    await session.post('421["get-state"]');
    await drainUntil(session, /^431/);
  });

  test("after it, polling is over for the session", async (t) => {
    const session = await Polling.open({ url: INTEROP });
    const { sid } = await session.join();
    const socket = new Frames(`EIO=4&transport=websocket&sid=${session.handshake.sid}`, { url: INTEROP });
    t.after(() => socket.ws.terminate());
    await within(new Promise((resolve) => socket.ws.on("open", resolve)), "the WebSocket");
    socket.send("2probe");
    assert.equal(await socket.frame(0), "3probe");
    socket.send("5");
    socket.send('421["get-state"]');
    await until(() => socket.received.some((frame) => frame.startsWith("431")), "the answer");
    assert.ok(socket.received.find((frame) => frame.startsWith("431")).includes(sid));
    for (const answer of [await session.get(), await session.post("4")]) {
      assert.deepEqual([answer.status, JSON.parse(answer.body).code], [400, 3]);
    }
  });
});

describe("recovery", needsRecovery, () => {
  test("a link that breaks in the middle of an upgrade", async (t) => {
    const proxy = await Proxy.open(t, INTEROP);
    const b = await connect(t, { url: INTEROP });
    const a = unconnected(t, { transport: "upgrade", url: proxy.url });
    // The first three links are cut at different steps of the upgrade.
    let attempts = 0;
    a.manager.on("open", () => {
      attempts += 1;
      const { engine } = a.manager;
      // Between two requests there is no link that could break, so it is cut until it was hit.
      const cut = () => {
        const timer = setInterval(() => proxy.cut(), 1);
        engine.once("close", () => clearInterval(timer));
        proxy.cut();
      };
      if (attempts === 1) {
        a.socket.once("connect", cut);
      } else if (attempts === 2) {
        engine.once("upgrading", cut);
      } else if (attempts === 3) {
        engine.once("upgrade", cut);
      }
    });
    let [n, isOver] = [0, false];
    const stream = (async () => {
      while (!isOver) {
        n += 1;
        b.broadcast(null, "m", n);
        await pause(3);
      }
    })();
    a.socket.connect();
    await until(() => attempts >= 4 && a.socket.connected, () => `the fourth connection after ${attempts}`);
    const [{ id }] = a.connections;
    await a.connected();
    isOver = true;
    await stream;
    await settle(b, a);
    assert.deepEqual(a.connections.slice(1).filter((is) => !is.recovered || is.id !== id), []);
    // All that was broadcast from the first connection on.
    const [[, first]] = a.heard();
    assert.deepEqual(a.heard(), numbered("m", first, n));
    assert.ok(a.connections.length >= 3 && n - first > 10, `${a.connections.length} connections, ${n} events`);
  });

  // The official client, of every release, has stopped polling then, and does not take it up again: it has no
  // transport until its ping timeout, whatever the server does.
  test("a WebSocket that breaks after the answer to its probe and before the last poll ends", async (t) => {
    const b = await connect(t, { url: INTEROP });
    const a = unconnected(t, { transport: "upgrade", url: INTEROP });
    a.manager.once("open", () => a.manager.engine.once("upgrading", ({ ws }) => ws.terminate()));
    a.socket.connect();
    await until(() => a.socket.connected, "the connection");
    const { id } = a;
    let n = 0;
    await until(() => {
      n += 1;
      b.broadcast(id, "m", n);
      return a.connections.length > 1;
    }, "the return");
    await a.connected();
    await settle(b, a);
    assert.deepEqual(a.connections.slice(1), [{ id, recovered: true }]);
    assert.deepEqual(a.heard(), numbered("m", 1, n));
  });

  test("two hundred clients dropped at once all come back by themselves", async (t) => {
    const proxy = await Proxy.open(t, ACCEPTANCE);
    const transports = Object.keys(TRANSPORTS);
    // The client's default. All handshakes of this process take longer than 3 s together on a busy machine,
    // and clients that give up after 3 s begin anew, all of them, for ever.
    const timeout = 20_000;
    const peers = [];
    for (let n = 0; n < 200; n += 20) {
      peers.push(...await Promise.all(Array.from({ length: 20 }, (_, i) =>
        connect(t, { transport: transports[(n + i) % 3], url: proxy.url, timeout }))));
    }
    const b = await connect(t);
    const ids = peers.map((peer) => peer.id);
    await Promise.all(peers.map((peer, i) => peer.call("join", `team ${i % 4}`)));
    // Between two polls there is no link that could break, and who is back at once must not be hit in the
    // middle of an upgrade: so nobody comes back before the last one was dropped.
    await until(() => peers.every((peer) => peer.isSettled), "the end of all upgrades");
    const before = peers.map((peer) => peer.disconnections.length);
    proxy.down();
    await until(() => peers.every((peer, i) => peer.disconnections.length > before[i]), "all disconnections");
    proxy.up();
    for (let n = 0; n < 40; n += 1) {
      b.broadcast(n % 5 === 4 ? null : `team ${n % 4}`, "m", n);
    }
    await b.state();
    await until(() => peers.every((peer) => peer.socket.connected), "all reconnections");
    await Promise.all(peers.map((peer) => peer.upgraded()));
    await Promise.all(peers.map((peer) => peer.state()));
    for (const [i, peer] of peers.entries()) {
      assert.deepEqual(peer.connections.slice(1).filter((is) => !is.recovered || is.id !== ids[i]), []);
      assert.deepEqual(peer.heard(), numbered("m", 0, 39).filter(([, n]) => n % 5 === 4 || n % 4 === i % 4));
    }
  });
});

test("a client that knows nothing of recovery starts afresh", { skip: RECOVERS && "this one does" }, async (t) => {
  for (const transport of Object.keys(TRANSPORTS)) {
    const a = await connect(t, { transport });
    const b = await connect(t, { transport });
    const { id } = a;
    await a.call("join", "room");
    await a.away();
    b.broadcast(null, "m", 1);
    await b.state();
    assert.notEqual((await a.back()).id, id);
    b.broadcast(null, "m", 2);
    await settle(b, a);
    assert.deepEqual(a.heard(), [["m", 2]]);
    assert.deepEqual((await a.state()).rooms, [a.id]);
  }
});

/** Polls until a packet matches; returns all packets. */
async function drainUntil(session, pattern) {
  const packets = [];
  while (!packets.some((packet) => pattern.test(packet))) {
    const { status, body } = await session.get();
    assert.equal(status, 200, body);
    for (const packet of body.split("\x1e")) {
      if (packet === "2") {
        await session.post("3");
      }
      packets.push(packet);
    }
  }
  return packets;
}
