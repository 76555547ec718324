// Events that the official client refuses: since socket.io-parser 4.2.6 it takes 10 attachments, and
// closes its connection at the 11th ("parse error").
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, TRANSPORTS } from "./support/peer.mjs";
import { ACCEPTANCE, INTEROP } from "./support/servers.mjs";
import { until } from "./support/wait.mjs";

const names = (peer) => peer.events.map(([name]) => name);
const bytes = (count) => Array.from({ length: count }, () => Buffer.from([7]));

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    test("a client that refuses its replay again and again gets a new session", async (t) => {
      // This server may send more attachments than the client takes.
      const a = await connect(t, { transport, url: INTEROP });
      const b = await connect(t, { transport, url: INTEROP });
      b.broadcast(null, "m", 1);
      await until(() => names(a).includes("m"), "the first event");
      const { id } = a;
      a.socket.emit("attach", 11);
      await until(() => a.connections.some((it) => !it.recovered && it.id !== id), "a new session");
      const recoveries = a.connections.filter((it) => it.recovered).length;
      assert.equal(recoveries, 5, JSON.stringify(a.connections));
      assert.ok(!names(a).includes("attached"));
      assert.equal((await a.state()).outcome, "poison");
      b.broadcast(null, "m", 2);
      await until(() => names(a).filter((name) => name === "m").length === 2, "the event behind it");
    });

    test("a client that closes its links itself is not taken for one that refuses", async (t) => {
      const a = await connect(t, { transport, url: INTEROP });
      const b = await connect(t, { transport, url: INTEROP });
      b.broadcast(null, "m", 0);
      await until(() => names(a).includes("m"), "the first event");
      const { id } = a;
      for (let round = 1; round <= 12; round += 1) {
        await a.away();
        b.broadcast(null, "m", round);
        await b.state();
        assert.deepEqual(await a.back(), { id, recovered: true });
        await until(() => names(a).filter((name) => name === "m").length === round + 1, "what it missed");
      }
    });

    test("what it takes arrives", async (t) => {
      const a = await connect(t, { transport, url: ACCEPTANCE });
      a.socket.emit("broadcast", a.id, "attached", ...bytes(10));
      await until(() => names(a).includes("attached"), "ten attachments");
      assert.equal(a.events.find(([name]) => name === "attached").length, 12);
      assert.deepEqual(a.disconnections, []);
    });
  });
}
