// Links that break in ways neither side can see: half-open, cut in the middle, taken over.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, numbered, settle, TRANSPORTS } from "./support/peer.mjs";
import { Proxy } from "./support/proxy.mjs";
import { Frames, Link, request } from "./support/raw.mjs";
import { ACCEPTANCE, IMPATIENT } from "./support/servers.mjs";
import { pause, until } from "./support/wait.mjs";

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    test("a client that is back before its link is known to be dead takes its session over", async (t) => {
      const proxy = await Proxy.open(t, ACCEPTANCE);
      const a = await connect(t, { transport, url: proxy.url });
      const b = await connect(t, { transport });
      const { id, sid } = a;
      await a.call("join", "room");
      b.broadcast("room", "m", 1);
      await settle(b, a);

      proxy.freeze();
      // The server sends these into the void.
      b.broadcast(null, "m", 2);
      b.broadcast("room", "m", 3);
      await b.state();
      await a.away();
      assert.equal(await known(sid), true, "the server still believes in the old link");
      b.broadcast(id, "m", 4);
      await b.state();
      proxy.thaw();
      assert.deepEqual(await a.back(), { id, recovered: true });

      b.broadcast("room", "m", 5);
      await settle(b, a);
      assert.deepEqual(a.heard(), numbered("m", 1, 5));
      assert.deepEqual((await a.state()).rooms.sort(), [id, "room"].sort());
      assert.deepEqual(b.heard(), [["m", 2]]);
    });

    test("a session that is claimed by another connection has one owner", async (t) => {
      const a = await connect(t, { transport });
      const b = await connect(t, { transport });
      b.broadcast(null, "m", 1);
      await settle(b, a);
      const { id, claim } = a;
      a.manager.reconnection(false);

      const thief = await Link.open(t, transport === "polling" ? "polling" : "websocket");
      const answer = await thief.join("/", claim);
      assert.deepEqual([answer.sid, answer.pid], [id, claim.pid]);
      await until(() => !a.socket.connected, "the end of the old socket");
      b.broadcast(id, "m", 2);
      b.broadcast(null, "m", 3);
      await b.state();
      const numbers = () => thief.events().filter(([name]) => name === "m").map(([, n]) => n);
      await until(() => numbers().length >= 2, "the events of the new owner");
      assert.deepEqual(numbers(), [2, 3]);
      assert.deepEqual(a.heard(), numbered("m", 1, 1));
    });

    test("an abrupt end of the TCP connection is recovered", async (t) => {
      const proxy = await Proxy.open(t, ACCEPTANCE);
      const a = await connect(t, { transport, url: proxy.url, reconnection: false });
      const b = await connect(t, { transport });
      const { id } = a;
      for (let round = 0; round < 5; round += 1) {
        b.broadcast(null, "m", 2 * round + 1);
        await settle(b, a);
        // Between two polls there is no link that could break, so it is cut until it was hit.
        await until(() => {
          proxy.cut();
          return !a.socket.connected;
        }, "the disconnection");
        b.broadcast(null, "m", 2 * round + 2);
        await b.state();
        assert.deepEqual(await a.back(), { id, recovered: true });
        a.manager.reconnection(false);
      }
      await a.state();
      assert.deepEqual(a.heard(), numbered("m", 1, 10));
    });

    test("a link that breaks in the middle of the replay loses and repeats nothing", async (t) => {
      const proxy = await Proxy.open(t, ACCEPTANCE);
      const a = await connect(t, { transport, url: proxy.url });
      const b = await connect(t, { transport });
      const { id } = a;
      const filling = "x".repeat(4000);
      await a.away();
      for (let n = 1; n <= 60; n += 1) {
        b.broadcast(null, "m", n, filling);
      }
      await b.state();
      // A third of the replay passes, then the link is cut; the client returns by itself.
      proxy.downstreamBudget = 80_000;
      a.manager.reconnection(true);
      a.manager.open();
      await until(() => a.socket.connected && a.heard().length >= 60, () => `60 events after ${a.heard().length}`);
      assert.equal(proxy.downstreamBudget, Infinity, "the link was cut");
      b.broadcast(null, "m", 61, filling);
      await settle(b, a);
      assert.deepEqual(a.heard().map(([, n]) => n), numbered("m", 1, 61).map(([, n]) => n));
      assert.equal(a.id, id);
      assert.ok(a.connections.slice(1).every(({ recovered }) => recovered));
    });

    test("a link that breaks again and again under a stream of events", async (t) => {
      const proxy = await Proxy.open(t, ACCEPTANCE);
      const a = await connect(t, { transport, url: proxy.url });
      const b = await connect(t, { transport });
      const { id } = a;
      await a.call("join", "room");
      const random = generator(0x5eed);
      const ways = [() => proxy.cut(), () => a.manager.engine.close(), () => breakUnseen(proxy, a)];
      const last = 400;
      let breaks = 0;
      for (let n = 1; n <= last; n += 1) {
        b.broadcast([null, "room", id][n % 3], "m", n);
        if (n % 3 === 0) {
          await pause(random() * 20);
        }
        // What breaks in the middle of an upgrade may leave the client without a transport until its ping
        // timeout, 45 s here; see lifecycle.test.mjs.
        if (a.isSettled && random() < 0.1) {
          ways[breaks % ways.length]();
          breaks += 1;
        }
      }
      await b.state();
      await until(() => a.heard().length >= last, () => `${last} events after ${a.heard().length}`);
      await until(() => a.socket.connected, "the connection");
      await a.state();
      assert.deepEqual(a.heard(), numbered("m", 1, last));
      assert.ok(breaks >= 6 && a.connections.length > 6, `the link was broken ${breaks} times`);
      assert.deepEqual(a.connections.slice(1).filter((is) => !is.recovered || is.id !== id), []);
    });
  });
}

test("rooms are those at the time of the event, not at the time of the loss", async (t) => {
  const proxy = await Proxy.open(t, ACCEPTANCE);
  const a = await connect(t, { url: proxy.url });
  const b = await connect(t);
  const { id } = a;
  await a.call("join", "old");

  proxy.freezeDownstream();
  b.broadcast("old", "m", 1);
  b.broadcast("new", "m", -1);
  await b.state();
  a.socket.emit("leave", "old");
  a.socket.emit("join", "new");
  a.broadcast(null, "m", 2);
  await until(() => b.heard().length === 1, "the sign that the rooms were changed");
  b.broadcast("old", "m", -2);
  b.broadcast("new", "m", 3);
  await b.state();
  await a.away();
  proxy.thaw();

  assert.deepEqual(await a.back(), { id, recovered: true });
  assert.deepEqual((await a.state()).rooms.sort(), [id, "new"].sort());
  assert.deepEqual(a.heard(), numbered("m", 1, 3));
});

test("a WebSocket that does not answer pings is closed and its session kept", async (t) => {
  const b = await connect(t, { url: IMPATIENT });
  const silent = new Frames("EIO=4&transport=websocket", { url: IMPATIENT });
  t.after(() => silent.ws.terminate());
  assert.match(await silent.frame(0), /^0/);
  silent.send("40");
  assert.match(await silent.frame(1), /^40/);
  const { sid, pid } = JSON.parse(silent.received[1].slice(2));
  await silent.closed();
  assert.ok(silent.received.includes("2"), "it was pinged");
  b.broadcast(sid, "m", 1);
  await b.state();

  const link = await Link.open(t, "websocket", { url: IMPATIENT });
  const answer = await link.join("/", { pid });
  assert.deepEqual([answer.sid, answer.pid], [sid, pid]);
  await until(() => link.events().some(([name]) => name === "m"), "the missed event");
  assert.deepEqual(link.events().filter(([name]) => name === "m").map(([, n]) => n), [1]);
});

/** Whether the server knows the Engine.IO session `sid`, asked without disturbing it. */
async function known(sid) {
  const { body } = await request("PUT", `EIO=4&transport=polling&sid=${sid}`);
  return body === "" || JSON.parse(body).code !== 1;
}

/** The link goes dead for the server, and the client, having noticed, opens another. */
function breakUnseen(proxy, peer) {
  proxy.freeze();
  peer.manager.once("reconnect_attempt", () => proxy.thaw());
  peer.manager.engine.close();
}

/** A small generator of numbers in [0, 1), so that a run can be repeated. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
