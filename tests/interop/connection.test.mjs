// Connections, namespaces, rooms, arguments and acknowledgements with the official client.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, join, numbered, RECOVERS, settle, TRANSPORTS, unconnected } from "./support/peer.mjs";
import { ACCEPTANCE, CLIENT } from "./support/servers.mjs";
import { until, within } from "./support/wait.mjs";

const bytes = (...values) => Buffer.from(values);

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    test("connects and stays on the transport", async (t) => {
      const peer = await connect(t, { transport });
      assert.equal(peer.transport, transport === "polling" ? "polling" : "websocket");
      assert.match(peer.id, /^[\w-]{20}$/);
      assert.notEqual(peer.id, peer.sid, "the public id is not the credential");
      assert.deepEqual(peer.connections, [{ id: peer.id, recovered: false }]);
      const node = new URL(ACCEPTANCE).port;
      const session = { recovered: false, outcome: "new", node };
      assert.deepEqual(await peer.state(), { id: peer.id, rooms: [peer.id], data: {}, ...session });
    });

    test("connects with sub-protocols of its own", async (t) => {
      const peer = await connect(t, { transport, protocols: ["mcu.v1", "mcu.v2"] });
      assert.equal(peer.transport, transport === "polling" ? "polling" : "websocket");
      assert.equal(await peer.call("message-with-ack", 1), 1);
    });

    test("hands the authentication data over", async (t) => {
      const auth = { token: "abc", nested: { list: [1, null, "ü"] } };
      const plain = await connect(t, { transport, auth });
      const called = await connect(t, { transport, auth: (done) => done(auth) });
      const without = await connect(t, { transport });
      for (const [peer, expected] of [[plain, auth], [called, auth], [without, {}]]) {
        await peer.state();
        assert.deepEqual(peer.events.map((event) => event.slice(0, 2)), [["auth", expected]]);
      }
    });

    test("keeps the order of events and acknowledgements", async (t) => {
      const peer = await connect(t, { transport });
      const answers = [];
      for (let n = 1; n <= 100; n += 1) {
        peer.socket.emit("message", n);
        peer.socket.emit("message-with-ack", n, (answer) => answers.push(answer));
      }
      await until(() => answers.length >= 100, "the acknowledgements");
      await peer.state();
      assert.deepEqual(peer.heard(), numbered("message-back", 1, 100));
      assert.deepEqual(answers, numbered("", 1, 100).map(([, n]) => n));
    });

    test("carries every kind of argument both ways", async (t) => {
      const peer = await connect(t, { transport });
      const args = [0, -1.5, "", "てすと 😀 \u001e \u2028 \" \\", true, null, [], {}, [[[]]], { a: { b: [1, { c: null }] } }];
      peer.socket.emit("message", ...args);
      peer.socket.emit("message");
      assert.deepEqual(await within(new Promise((resolve) =>
        peer.socket.emit("message-with-ack", ...args, (...answer) => resolve(answer))), "the answer"), args);
      await peer.state();
      assert.deepEqual(peer.heard(), [["message-back", ...args], ["message-back"]]);
    });

    test("carries binary arguments both ways, nested too", async (t) => {
      const peer = await connect(t, { transport });
      const args = [bytes(1, 2, 3), { a: bytes(), list: [bytes(255, 0), { deep: bytes(7) }], text: "x" }, "end"];
      peer.socket.emit("message", ...args);
      peer.socket.emit("message", "plain");
      assert.deepEqual(await within(new Promise((resolve) =>
        peer.socket.emit("message-with-ack", ...args, (...answer) => resolve(answer))), "the answer"), args);
      await peer.state();
      assert.deepEqual(peer.heard(), [["message-back", ...args], ["message-back", "plain"]]);
    });

    test("carries a large binary argument whole", async (t) => {
      const peer = await connect(t, { transport });
      const large = Buffer.alloc(500_000);
      large.forEach((_, index) => { large[index] = (index * 31) & 0xff; });
      const answer = await peer.call("message-with-ack", large);
      assert.ok(large.equals(answer));
    });

    test("answers when the server asks for an acknowledgement", async (t) => {
      const peer = await connect(t, { transport, url: CLIENT });
      peer.socket.on("ack", (acknowledge) => acknowledge(5, { test: true }));
      peer.socket.emit("ack");
      await until(() => peer.events.some(([name]) => name === "got it"), "got it");
    });

    test("gives up on an answer that does not come", { skip: !RECOVERS && "the client has no timeouts yet" }, async (t) => {
      const peer = await connect(t, { transport });
      // The server has no such event, so nobody answers.
      await assert.rejects(peer.socket.timeout(100).emitWithAck("nobody listens"), /timed out/);
      assert.equal((await peer.state()).id, peer.id);
    });

    test("keeps namespaces on one connection apart", async (t) => {
      const main = await connect(t, { transport });
      const custom = await join(t, main, "/custom");
      const quiet = await join(t, main, "/quiet");
      assert.equal(new Set([main.id, custom.id, quiet.id]).size, 3);
      assert.equal(main.sid, custom.sid, "one connection");

      main.socket.emit("message", "to main");
      custom.socket.emit("message", "to custom");
      custom.broadcast(null, "everyone", 1);
      await settle(main, main, custom, quiet);
      await settle(custom, main, custom, quiet);
      assert.deepEqual(main.heard(), [["message-back", "to main"]]);
      assert.deepEqual(custom.heard(), [["message-back", "to custom"], ["everyone", 1]]);
      assert.deepEqual(quiet.events, []);

      custom.socket.disconnect();
      main.socket.emit("message", "still there");
      await main.state();
      assert.deepEqual(main.heard().at(-1), ["message-back", "still there"]);
    });

    test("refuses an unknown namespace and stays", async (t) => {
      const main = await connect(t, { transport });
      const unknown = main.manager.socket("/unknown");
      const error = await within(new Promise((resolve) => {
        unknown.on("connect_error", resolve);
        unknown.connect();
      }), "connect_error");
      assert.equal(error.message, "Invalid namespace");
      if (RECOVERS) {
        assert.equal(unknown.active, false);
      }
      // Older releases would hold on to it.
      unknown.disconnect();
      assert.equal((await main.state()).id, main.id);
      assert.equal(main.connections.length, 1);
    });

    test("delivers to rooms and to everyone, once", async (t) => {
      const [a, b, c] = await Promise.all([1, 2, 3].map(() => connect(t, { transport })));
      await a.call("join", "red");
      await a.call("join", "blue");
      await b.call("join", "red");
      c.broadcast("red", "m", 1);
      c.broadcast("blue", "m", 2);
      c.broadcast(null, "m", 3);
      c.broadcast("nobody", "m", 4);
      c.broadcast(b.id, "m", 5);
      await settle(c, a, b, c);
      await a.call("leave", "red");
      c.broadcast("red", "m", 6);
      await settle(c, a, b, c);
      assert.deepEqual(a.heard(), [["m", 1], ["m", 2], ["m", 3]]);
      assert.deepEqual(b.heard(), [["m", 1], ["m", 3], ["m", 5], ["m", 6]]);
      assert.deepEqual(c.heard(), [["m", 3]]);
      assert.deepEqual((await a.state()).rooms.sort(), [a.id, "blue"].sort());
    });

    test("says goodbye when the client does", async (t) => {
      const [a, b] = [await connect(t, { transport }), await connect(t, { transport })];
      const id = a.id;
      await a.call("join", "room");
      a.socket.disconnect();
      assert.deepEqual(a.disconnections, ["io client disconnect"]);
      b.broadcast("room", "m", 1);
      await b.state();
      a.socket.connect();
      const again = await a.connected();
      assert.equal(again.recovered, false);
      assert.notEqual(again.id, id);
      assert.deepEqual((await a.state()).rooms, [again.id]);
      assert.deepEqual(a.heard(), []);
    });
  });
}

test("events sent before the upgrade, during it and after it arrive once and in order", async (t) => {
  const peer = unconnected(t, { transport: "upgrade" });
  peer.socket.connect();
  await until(() => peer.socket.connected, "the connection");
  let n = 0;
  let after = 0;
  while (after < 20) {
    n += 1;
    peer.socket.emit("message", n);
    peer.socket.emit("broadcast", null, "m", n);
    after += peer.transport === "websocket" ? 1 : 0;
    assert.ok(n < 5000, "the upgrade never came");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await peer.state();
  const expected = numbered("", 1, n).flatMap(([, i]) => [["message-back", i], ["m", i]]);
  assert.deepEqual(peer.heard(), expected);
});

test("many clients hear the same in the same order", async (t) => {
  const transports = Object.keys(TRANSPORTS);
  const peers = await Promise.all(Array.from({ length: 12 }, (_, i) =>
    connect(t, { transport: transports[i % transports.length] })));
  for (let n = 1; n <= 20; n += 1) {
    for (const [i, peer] of peers.entries()) {
      peer.broadcast(null, "m", i, n);
    }
  }
  await Promise.all(peers.map((peer) => peer.state()));
  await Promise.all(peers.map((peer) => peer.state()));
  const [first, ...others] = peers.map((peer) => peer.heard());
  assert.equal(first.length, 12 * 20);
  for (const i of peers.keys()) {
    assert.deepEqual(first.filter(([, sender]) => sender === i).map(([, , n]) => n), numbered("", 1, 20).map(([, n]) => n));
  }
  for (const other of others) {
    assert.deepEqual(other, first);
  }
});
