// Mistakes that an application can make with the official client: they cost no session, here or in another
// namespace of the connection.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, join, TRANSPORTS, unconnected } from "./support/peer.mjs";
import { ACCEPTANCE } from "./support/servers.mjs";
import { until, within } from "./support/wait.mjs";

const bytes = (count) => Array.from({ length: count }, () => Buffer.from([7]));

const events = {
  "eleven attachments": ["attached", ...bytes(11)],
  "something like a placeholder": ["attached", bytes(1), { _placeholder: true, num: 7 }],
  "a Blob in Node.js": ["attached", new Blob(["seven"])],
  "no name": [null],
  "an object for a name": [{}, 1],
};

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    for (const [name, event] of Object.entries(events)) {
      test(`an event with ${name} costs no session`, async (t) => {
        const a = await connect(t, { transport });
        const quiet = await join(t, a, "/quiet");
        const ids = [a.id, quiet.id];
        a.socket.emit(...event);
        await until(() => a.connections.length > 1 && quiet.connections.length > 1, "both are back");
        assert.deepEqual([a.connections[1], quiet.connections[1]], ids.map((id) => ({ id, recovered: true })));
        assert.equal(await quiet.call("message-with-ack", 1), 1);
      });
    }

    test("auth that is no object is refused in words", async (t) => {
      const quiet = await connect(t, { transport, namespace: "/quiet" });
      const { id } = quiet;
      for (const auth of ["token", ["a", "b"], [], 7.5, 1e21, true]) {
        const socket = quiet.manager.socket("/");
        socket.auth = auth;
        const refused = within(new Promise((resolve) => socket.once("connect_error", resolve)), "an answer");
        socket.connect();
        assert.equal((await refused).message, "Invalid authentication data");
      }
      assert.equal(await quiet.call("message-with-ack", 1), 1);
      assert.deepEqual(quiet.connections.map((it) => it.id), [id]);
    });

    test("a namespace whose name is too long is refused in words", async (t) => {
      const a = unconnected(t, { transport, namespace: `/${"x".repeat(300)}` });
      const refused = within(new Promise((resolve) => a.socket.once("connect_error", resolve)), "an answer");
      a.socket.connect();
      assert.equal((await refused).message, "Namespace name too long");
    });

    test("a namespace without a slash disturbs nobody", async (t) => {
      const a = await connect(t, { transport });
      const lobby = a.manager.socket("lobby");
      // Else the manager comes back for it, and keeps the process alive.
      t.after(() => lobby.disconnect());
      lobby.connect();
      assert.equal(await a.call("message-with-ack", 1), 1);
      assert.equal(a.connections.length, 1);
    });

    test("an event that is retried comes to an end", async (t) => {
      // Release 4.6 does not give up at a lost link, and tries again until the time is up.
      const a = await connect(t, { transport, retries: 2, ackTimeout: 1_000 });
      const { id } = a;
      const given = await new Promise((resolve) => a.socket.emit("attached", ...bytes(11), resolve));
      assert.ok(given instanceof Error, String(given));
      await until(() => a.socket.connected, "the connection");
      assert.equal(await new Promise((resolve) => a.socket.emit("message-with-ack", 1, (_, it) => resolve(it))), 1);
      assert.ok(a.connections.every((it) => it.id === id), "one session");
    });
  });
}
