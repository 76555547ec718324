// After a recovery the official client has exactly what was addressed to it: each once, in order.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, join, numbered, settle, TRANSPORTS } from "./support/peer.mjs";
import { Link } from "./support/raw.mjs";
import { ACCEPTANCE, IMPATIENT } from "./support/servers.mjs";
import { pause, until } from "./support/wait.mjs";

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    test("a missed broadcast, room event and direct event come back in order", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      await a.call("join", "room");
      await a.call("join", "left before");
      await a.call("leave", "left before");
      await a.call("set-data", { name: "Ada", tags: [1, null] });
      const before = await a.state();
      b.broadcast(null, "m", 1);
      await settle(b, a);

      assert.equal(await a.away(), "forced close");
      b.broadcast(null, "m", 2);
      b.broadcast("room", "m", 3);
      b.broadcast("left before", "m", -1);
      b.broadcast(before.id, "m", 4);
      b.broadcast(b.id, "m", -2);
      b.broadcast("other", "m", -3);
      b.broadcast("room", "m", 5);
      b.broadcast(null, "m", 6);
      await b.state();

      assert.deepEqual(await a.back(), { id: before.id, recovered: true });
      const after = await a.state();
      b.broadcast("room", "m", 7);
      b.broadcast(before.id, "m", 8);
      await settle(b, a);

      assert.deepEqual(a.heard(), numbered("m", 1, 8));
      const session = { recovered: true, outcome: "recovered" };
      assert.deepEqual({ ...after, rooms: after.rooms.sort() }, { ...before, rooms: before.rooms.sort(), ...session });
      assert.deepEqual(b.heard(), [["m", 1], ["m", 2], ["m", -2], ["m", 6]]);
    });

    test("a session that never heard anything is recovered", async (t) => {
      const a = await connect(t, { transport, namespace: "/quiet" });
      const b = await connect(t, { transport, namespace: "/quiet" });
      const { id } = a;

      await a.away();
      assert.equal(a.claim.offset, undefined, "the client has no offset to show");
      assert.deepEqual(await a.back(), { id, recovered: true });
      await a.state();
      assert.deepEqual(a.events, []);

      await a.away();
      b.broadcast(null, "m", 1);
      b.broadcast(id, "m", 2);
      await b.state();
      assert.deepEqual(await a.back(), { id, recovered: true });
      await settle(b, a);
      assert.deepEqual(a.heard(), numbered("m", 1, 2));
    });

    test("twenty recoveries in a row", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      const { id } = a;
      await a.call("join", "room");
      let n = 0;
      for (let round = 0; round < 20; round += 1) {
        await a.away();
        // Between none and three missed events, and one that is not.
        for (let i = 0; i < round % 4; i += 1) {
          n += 1;
          b.broadcast([null, "room", id][n % 3], "m", n);
        }
        await b.state();
        assert.deepEqual(await a.back(), { id, recovered: true }, `round ${round}`);
        n += 1;
        b.broadcast("room", "m", n);
        await settle(b, a);
        assert.deepEqual(a.heard(), numbered("m", 1, n), `round ${round}`);
      }
      assert.deepEqual((await a.state()).rooms.sort(), [id, "room"].sort());
    });

    test("missed binary events come back whole", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      const args = [{ list: [Buffer.from([1, 2]), { deep: Buffer.alloc(3000, 9) }] }, Buffer.from([0])];
      await a.away();
      b.broadcast(null, "before", 1);
      b.broadcast(null, "binary", ...args);
      b.broadcast(null, "after", 2);
      await b.state();
      assert.equal((await a.back()).recovered, true);
      await a.state();
      assert.deepEqual(a.heard(), [["before", 1], ["binary", ...args], ["after", 2]]);
    });

    test("a trailing string of an event stays an argument of the event", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      b.broadcast(null, "m", "one");
      await settle(b, a);
      await a.away();
      b.broadcast(null, "m", "two", "three");
      await b.state();
      assert.equal((await a.back()).recovered, true);
      await a.state();
      assert.deepEqual(a.heard(), [["m", "one"], ["m", "two", "three"]]);
    });

    test("a volatile event with a trailing string does no harm and is not replayed", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      const { id } = a;
      const volatile = () => a.events.filter(([name]) => name === "v");
      b.broadcast(null, "m", 1);
      await settle(b, a);
      // A volatile event may be dropped while the link is busy, so it is offered until one arrives.
      for (let offers = 0; volatile().length === 0; offers += 1) {
        assert.ok(offers < 200, "no volatile event ever arrived");
        b.socket.emit("broadcast-volatile", null, "v", "text", "last");
        await settle(b, a);
        await pause(5);
      }
      assert.deepEqual(volatile()[0].slice(0, 3), ["v", "text", "last"]);

      await a.away();
      const heard = volatile().length;
      b.socket.emit("broadcast-volatile", null, "v", "missed", "last");
      b.broadcast(null, "m", 2);
      await b.state();
      assert.deepEqual(await a.back(), { id, recovered: true });
      await settle(b, a);
      assert.deepEqual(a.heard().filter(([name]) => name === "m"), numbered("m", 1, 2));
      assert.equal(volatile().length, heard);
    });

    test("two namespaces of one connection are recovered independently", async (t) => {
      const main = await connect(t, { transport });
      const custom = await join(t, main, "/custom");
      const [b, c] = [await connect(t, { transport }), await connect(t, { transport, namespace: "/custom" })];
      const ids = [main.id, custom.id];
      await main.call("join", "room");

      await main.away();
      b.broadcast(null, "m", 1);
      c.broadcast(null, "m", 101);
      b.broadcast("room", "m", 2);
      // The room of the same name in the other namespace is another room.
      c.broadcast("room", "m", -1);
      c.broadcast(ids[1], "m", 102);
      await Promise.all([b.state(), c.state()]);
      await main.back();
      await until(() => custom.socket.connected, "the other namespace");

      await Promise.all([main.state(), custom.state()]);
      assert.deepEqual(main.connections.at(-1), { id: ids[0], recovered: true });
      assert.deepEqual(custom.connections.at(-1), { id: ids[1], recovered: true });
      assert.deepEqual(main.heard(), numbered("m", 1, 2));
      assert.deepEqual(custom.heard(), numbered("m", 101, 102));
    });

    test("one namespace can be lost for good while the other is recovered", async (t) => {
      const main = await connect(t, { transport });
      const custom = await join(t, main, "/custom");
      const [mainId, customId] = [main.id, custom.id];
      const reason = new Promise((resolve) => custom.socket.on("disconnect", resolve));
      custom.socket.emit("kick");
      assert.equal(await reason, "io server disconnect");

      await main.away();
      assert.deepEqual(await main.back(), { id: mainId, recovered: true });
      custom.socket.connect();
      const again = await custom.connected();
      assert.equal(again.recovered, false);
      assert.notEqual(again.id, customId);
    });

    test("a kicked client starts afresh", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      const { id } = a;
      await a.call("join", "room");
      a.socket.emit("kick");
      await until(() => a.disconnections.length === 1, "the kick");
      assert.deepEqual(a.disconnections, ["io server disconnect"]);
      b.broadcast(null, "m", 1);
      b.broadcast("room", "m", 2);
      await b.state();

      a.socket.connect();
      const again = await a.connected();
      assert.equal(again.recovered, false);
      assert.notEqual(again.id, id);
      const { outcome, node, ...state } = await a.state();
      assert.deepEqual(state, { id: again.id, rooms: [again.id], data: {}, recovered: false });
      assert.equal(outcome, "unknown", "it has asked for its session, which is over");
      assert.equal(node, new URL(ACCEPTANCE).port);
      assert.deepEqual(a.heard(), []);
    });

    test("a session is found neither in another namespace nor after its end", async (t) => {
      const a = await connect(t, { transport });
      const { id, claim } = a;
      const raw = transport === "polling" ? "polling" : "websocket";
      await a.away();
      const elsewhere = await (await Link.open(t, raw)).join("/custom", claim);
      assert.equal(elsewhere.type, "0");
      assert.notEqual(elsewhere.sid, id);
      assert.notEqual(elsewhere.pid, claim.pid);

      assert.deepEqual(await a.back(), { id, recovered: true });
      a.socket.disconnect();
      const late = await (await Link.open(t, raw)).join("/", claim);
      assert.equal(late.type, "0");
      assert.notEqual(late.sid, id);
      assert.notEqual(late.pid, claim.pid);
    });

    test("keys that are no keys start a session and touch no other", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      const { id } = a;
      const raw = transport === "polling" ? "polling" : "websocket";
      b.broadcast(null, "m", 1);
      await settle(b, a);
      const { pid, offset } = a.claim;
      const wrong = [
        { pid: 5, offset },
        { pid: null, offset },
        { pid: true, offset },
        { pid: [pid], offset },
        { pid: { pid }, offset },
        { pid: "", offset },
        { pid: "x".repeat(20), offset },
        { pid: `${pid}x`, offset },
        { pid: pid.slice(1), offset },
        { pid: "é".repeat(10), offset },
        { pid: id, offset },
        { offset },
        { pid, offset: 5 },
        { pid, offset: true },
        { pid, offset: [offset] },
        { pid, offset: { offset } },
        { pid, offset: "nonsense" },
        { pid, offset: `${offset}x` },
        { pid, offset: "9".repeat(400) },
        { pid, offset: "-1" },
        { pid, offset: "\u0000" },
      ];
      for (const auth of wrong) {
        const link = await Link.open(t, raw);
        const answer = await link.join("/", auth);
        assert.equal(answer.type, "0", JSON.stringify(auth));
        assert.match(answer.sid, /^[\w-]{20}$/);
        assert.notEqual(answer.sid, id, JSON.stringify(auth));
        assert.notEqual(answer.pid, pid, JSON.stringify(auth));
        assert.ok(!link.events().some(([name]) => name === "m"), "nothing was replayed");
        link.engine.close();
      }
      assert.equal(a.connections.length, 1, "the owner is undisturbed");
      b.broadcast(id, "m", 2);
      await settle(b, a);
      await a.away();
      b.broadcast(id, "m", 3);
      await b.state();
      assert.deepEqual(await a.back(), { id, recovered: true });
      await a.state();
      assert.deepEqual(a.heard(), numbered("m", 1, 3));
    });

    test("many that are dropped at once all come back", async (t) => {
      const peers = await Promise.all(Array.from({ length: 15 }, () => connect(t, { transport })));
      const b = await connect(t, { transport });
      const ids = peers.map((peer) => peer.id);
      await Promise.all(peers.map((peer, i) => peer.call("join", `room ${i % 3}`)));
      await Promise.all(peers.map((peer) => peer.away()));
      for (let n = 0; n < 30; n += 1) {
        b.broadcast(n % 5 === 4 ? null : `room ${n % 3}`, "m", n);
      }
      await b.state();
      const connections = await Promise.all(peers.map((peer) => peer.back()));
      assert.deepEqual(connections, ids.map((id) => ({ id, recovered: true })));
      await Promise.all(peers.map((peer) => peer.state()));
      for (const [i, peer] of peers.entries()) {
        const expected = numbered("m", 0, 29).filter(([, n]) => n % 5 === 4 || n % 3 === i % 3);
        assert.deepEqual(peer.heard(), expected);
      }
    });
  });
}

test("a session expires", async (t) => {
  const a = await connect(t, { url: IMPATIENT, namespace: "/quiet" });
  const b = await connect(t, { url: IMPATIENT, namespace: "/quiet" });
  const { id } = a;
  await a.away();
  await pause(6000);
  b.broadcast(id, "m", 1);
  b.broadcast(null, "m", 2);
  await b.state();
  const again = await a.back();
  assert.equal(again.recovered, false);
  assert.notEqual(again.id, id);
  await a.state();
  assert.deepEqual(a.heard(), []);
});

test("silence does not cost a session its place", async (t) => {
  // Longer than any packet is kept: what was missed is nothing, so nothing is missing.
  const a = await connect(t, { url: IMPATIENT });
  const b = await connect(t, { url: IMPATIENT });
  const { id } = a;
  b.broadcast(null, "m", 1);
  await settle(b, a);
  await pause(8000);
  await a.away();
  b.broadcast(null, "m", 2);
  await b.state();
  assert.deepEqual(await a.back(), { id, recovered: true });
  await a.state();
  assert.deepEqual(a.heard(), numbered("m", 1, 2));
});
