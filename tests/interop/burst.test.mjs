// What an application emits at once reaches a client that reads, and costs it nothing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, TRANSPORTS } from "./support/peer.mjs";
import { PATIENT } from "./support/servers.mjs";
import { until } from "./support/wait.mjs";

const named = (peer, name) => peer.events.filter(([it]) => it === name);

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    for (const count of [10_000, 20_000]) {
      test(`${count} events of one handler arrive in order`, async (t) => {
        const peer = await connect(t, { transport, url: PATIENT });
        peer.socket.emit("burst", count);
        await until(() => peer.events.at(-1)?.[1] === count - 1, () => `the last of ${peer.events.length} events`);
        const numbers = named(peer, "tick").map(([, number]) => number);
        assert.deepEqual(numbers, Array.from({ length: count }, (_, number) => number));
        assert.deepEqual(peer.disconnections, []);
      });
    }

    for (const length of [4_000_000, 4_200_000, 6_000_000]) {
      test(`a text of ${length} bytes arrives`, async (t) => {
        const peer = await connect(t, { transport, url: PATIENT });
        peer.socket.emit("large", length);
        await until(() => named(peer, "large-back").length > 0, "the text");
        assert.equal(named(peer, "large-back")[0][1].length, length);
        assert.deepEqual(peer.disconnections, []);
      });
    }

    test("a broadcast of 4.2 MB leaves its receivers connected", async (t) => {
      const peers = [];
      for (let count = 0; count < 5; count += 1) {
        peers.push(await connect(t, { transport, url: PATIENT }));
      }
      peers[0].socket.emit("large-to-everyone", 4_200_000);
      await until(() => peers.every((peer) => named(peer, "large-back").length === 1), "the broadcast");
      await Promise.all(peers.map((peer) => peer.state()));
      assert.deepEqual(peers.flatMap((peer) => peer.disconnections), []);
    });

    test("an echo of five times 900 kB arrives", async (t) => {
      const peer = await connect(t, { transport, url: PATIENT });
      for (let number = 0; number < 5; number += 1) {
        peer.socket.emit("message", number, "x".repeat(900_000));
      }
      await until(() => named(peer, "message-back").length === 5, "the echo");
      assert.deepEqual(named(peer, "message-back").map(([, number, text]) => [number, text.length]),
        [0, 1, 2, 3, 4].map((number) => [number, 900_000]));
      assert.deepEqual(peer.disconnections, []);
    });
  });
}
