// The codec of the reference, with the packets of benches/support/workload.rs.
"use strict";

const engine = require("engine.io-parser");
const { Decoder, Encoder } = require("socket.io-parser");
const { run } = require("./harness");

const EVENT = 2;
const encoder = new Encoder();
const decoder = new Decoder();
let decoded = 0;
decoder.on("decoded", (packet) => (decoded += packet.data.length));

const bytes = (length) => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + 7) & 255));
const chat = ["chat message", "hello world", { id: 123, room: "lobby" }];
const packets = {
  small: { nsp: "/", data: chat },
  small_nsp_ack: { nsp: "/admin", id: 42, data: chat },
  json10k: { nsp: "/", data: document() },
  binary2: { nsp: "/", data: ["upload", bytes(100), { n: 1 }, bytes(10_240)] },
};

function document() {
  const items = [];
  for (let id = 0; JSON.stringify(["doc", { items }]).length < 10_240; id++) {
    const tags = ["red", "green", "blue"];
    items.push({ id, name: `item number ${id}`, price: id * 1.25, tags, ok: id % 2 === 0 });
  }
  return ["doc", { items }];
}

for (const [name, { nsp, id, data }] of Object.entries(packets)) {
  // Values to the bytes of a WebSocket message.
  run(`${name}/encode`, () => {
    const [text] = encoder.encode({ type: EVENT, nsp, id, data });
    return Buffer.from("4" + text);
  });
  // And back, UTF-8 included.
  const [text, ...attachments] = encoder.encode({ type: EVENT, nsp, id, data });
  const message = Buffer.from("4" + text);
  run(`${name}/decode`, () => {
    decoder.add(engine.decodePacket(message.toString("utf8"), "nodebuffer").data);
    for (const attachment of attachments) decoder.add(attachment);
  });
}

const [text] = encoder.encode({ type: EVENT, ...packets.small });
const ten = Array.from({ length: 10 }, () => ({ type: "message", data: text }));
let payload;
engine.encodePayload(ten, (encoded) => (payload = Buffer.from(encoded)));
run("payload10/encode", () => engine.encodePayload(ten, (encoded) => Buffer.from(encoded)));
run("payload10/decode", () => engine.decodePayload(payload.toString("utf8"), "nodebuffer"));
if (decoded === 0) throw new Error("nothing was decoded");
