// Compressed responses of polling, for an official client that takes them: the one that uses `fetch`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fetch } from "engine.io-client";
import { connect } from "./support/peer.mjs";
import { request } from "./support/raw.mjs";
import { until } from "./support/wait.mjs";

test("large responses come compressed and complete, small ones as they are", async (t) => {
  const answers = [];
  const { fetch } = globalThis;
  globalThis.fetch = async (...args) => {
    const answer = await fetch(...args);
    const text = await answer.clone().text();
    answers.push({ encoding: answer.headers.get("content-encoding"), size: Buffer.byteLength(text) });
    return answer;
  };
  t.after(() => { globalThis.fetch = fetch; });

  const peer = await connect(t, { transports: [Fetch] });
  const { id } = peer;
  const large = ["large", "ü".repeat(50_000), Buffer.alloc(100_000, 7)];
  peer.socket.emit("emit-to-self", "small", 1);
  await until(() => peer.heard().length === 1, "the small event");
  peer.socket.emit("emit-to-self", ...large);
  await until(() => peer.heard().length === 2, "the large event");
  assert.deepEqual(peer.heard(), [["small", 1], large]);

  await peer.away();
  assert.deepEqual(await peer.back(), { id, recovered: true });
  assert.equal((await peer.state()).id, id);
  assert.equal(peer.transport, "polling");
  for (const { encoding, size } of answers) {
    assert.equal(encoding, size >= 1024 ? "gzip" : null, `${size} bytes`);
  }
  assert.ok(answers.some(({ size }) => size > 200_000) && answers.some(({ size }) => size < 1024));
});

test("a client that says nothing gets nothing compressed", async (t) => {
  const peer = await connect(t, { transport: "polling" });
  const text = "x".repeat(50_000);
  peer.socket.emit("emit-to-self", "large", text);
  await until(() => peer.heard().length === 1, "the large event");
  assert.deepEqual(peer.heard(), [["large", text]]);
  const { headers } = await request("GET", "EIO=4&transport=polling", { headers: { "accept-encoding": "br" } });
  assert.equal(headers["content-encoding"], undefined);
});
