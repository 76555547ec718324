// Whatever a peer sends: it is refused or closed as the protocol says, and nobody else notices.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect } from "./support/peer.mjs";
import { Frames, Link, Polling, request } from "./support/raw.mjs";
import { within } from "./support/wait.mjs";

// Well-behaved clients that live through all of this file.
let bystanders;
const cleanups = [];
let round = 0;

before(async () => {
  const suite = { after: (cleanup) => cleanups.push(cleanup) };
  bystanders = [
    await connect(suite, { transport: "polling", namespace: "/quiet" }),
    await connect(suite, { transport: "websocket", namespace: "/quiet" }),
  ];
});

after(() => cleanups.forEach((cleanup) => cleanup()));

async function undisturbed() {
  round += 1;
  for (const peer of bystanders) {
    assert.equal(await peer.call("message-with-ack", round), round);
    assert.equal(peer.connections.length, 1);
    assert.deepEqual(peer.events, []);
  }
}

const ERRORS = {
  0: "Transport unknown",
  1: "Session ID unknown",
  2: "Bad handshake method",
  3: "Bad request",
  5: "Unsupported protocol version",
};

describe("queries", () => {
  const refused = [
    ["GET", "", 0],
    ["GET", "EIO=4", 0],
    ["GET", "EIO=4&transport=", 0],
    ["GET", "EIO=4&transport=tube", 0],
    ["GET", "EIO=4&transport=webtransport", 0],
    ["GET", "EIO=4&transport=Polling", 0],
    ["GET", "EIO=4&transport=constructor", 0],
    ["GET", "transport=%ff%fe&EIO=4", 0],
    ["GET", "transport=polling", 5],
    ["GET", "transport=polling&EIO=", 5],
    ["GET", "transport=polling&EIO=3", 5],
    ["GET", "transport=polling&EIO=5", 5],
    ["GET", "transport=polling&EIO=04", 5],
    ["GET", "EIO=4&transport=polling&sid=unknown", 1],
    ["GET", `EIO=4&transport=polling&sid=${"x".repeat(20)}`, 1],
    ["GET", `EIO=4&transport=polling&sid=${"x".repeat(4000)}`, 1],
    ["GET", "EIO=4&transport=polling&sid=%00%ff", 1],
    ["POST", "EIO=4&transport=polling&sid=unknown", 1],
    ["POST", "EIO=4&transport=polling", 2],
    ["PUT", "EIO=4&transport=polling", 2],
    ["DELETE", "EIO=4&transport=polling", 2],
    ["OPTIONS", "EIO=4&transport=polling", 2],
    ["GET", "EIO=4&transport=websocket", 3],
  ];
  for (const [method, query, code] of refused) {
    test(`${method} ${query.slice(0, 60)}: code ${code}`, async () => {
      const { status, body, headers } = await request(method, query);
      assert.equal(status, 400);
      assert.deepEqual(JSON.parse(body), { code, message: ERRORS[code] });
      assert.match(headers["content-type"], /^application\/json/);
      await undisturbed();
    });
  }

  test("the last of repeated parameters counts", async () => {
    const { status, body } = await request("GET", "EIO=3&EIO=4&transport=tube&transport=polling");
    assert.equal(status, 200);
    assert.match(body, /^0\{/);
  });

  for (const [query, code] of [
    ["EIO=4", 0],
    ["EIO=4&transport=tube", 0],
    [`EIO=4&transport=websocket&sid=${"x".repeat(20)}`, 1],
  ]) {
    test(`a WebSocket with ${query.slice(0, 40)}: code ${code}`, async () => {
      const { status, body } = await new Frames(query).refused();
      assert.equal(status, 400);
      assert.equal(body, ERRORS[code]);
      await undisturbed();
    });
  }

  test("a WebSocket of another protocol revision is refused in words", async () => {
    const { status, body } = await new Frames("EIO=3&transport=websocket").refused();
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(body), { code: 5, message: ERRORS[5] });
    await undisturbed();
  });

  test("a request of another transport than the session's", async () => {
    const session = await Polling.open();
    const { status, body } = await request("GET", session.query.replace("polling", "websocket"));
    assert.equal(status, 400);
    assert.equal(JSON.parse(body).code, 3);
    assert.match((await session.join()).sid, /^[\w-]{20}$/, "the session is untouched");
    await undisturbed();
  });
});

describe("bodies of polling requests", () => {
  const closing = {
    "nothing at all": "",
    "an unknown packet type": "abc",
    "a packet type too high": "7",
    "an empty packet in a payload": "4hello\x1e\x1e4world",
    "a ping": "2",
    "bytes that are not text": Buffer.from([0xff, 0xfe, 0x00, 0x80]),
    "broken base64": "b$$$$",
    "a message that is no Socket.IO packet": "4",
    "a binary message nobody waits for": "bAQIDBA==",
  };
  for (const [name, body] of Object.entries(closing)) {
    test(`${name} closes the session`, async () => {
      const session = await Polling.open();
      await session.join();
      // The answer to the request itself is not settled by the protocol; that it ends is.
      await session.post(body).catch(() => {});
      await gone(session);
      await undisturbed();
    });
  }

  test("a second GET beside a waiting one closes the session", async () => {
    const session = await Polling.open();
    await session.join();
    // The answers to `join` may come in parts; the first GET that waits is the one that counts.
    const first = session.get();
    const second = session.get();
    const statuses = (await Promise.all([first, second])).map(({ status }) => status).sort();
    assert.ok(statuses.includes(400) || statuses.every((status) => status === 200));
    await gone(session);
    await undisturbed();
  });

  test("a body that is too large is refused", async () => {
    const session = await Polling.open();
    const size = session.handshake.maxPayload;
    const answer = await session.post(`4${"x".repeat(size)}`).catch((error) => error);
    assert.ok(answer instanceof Error || answer.status === 413, `status ${answer.status}`);
    await undisturbed();
  });

  test("a body of exactly the largest size is accepted", async () => {
    const session = await Polling.open();
    await session.join();
    const start = `421["message-with-ack","`;
    const end = `"]`;
    const text = "x".repeat(session.handshake.maxPayload - start.length - end.length);
    assert.equal((await session.post(`${start}${text}${end}`)).status, 200);
    const { body } = await session.get();
    assert.ok(body.split("\x1e").includes(`431["${text}"]`), "it came back");
    await undisturbed();
  });

  test("a binary body closes the session", async () => {
    const session = await Polling.open();
    await session.join();
    const { status } = await session.post(Buffer.from([4, 1]), { "content-type": "application/octet-stream" });
    assert.equal(status, 400);
    await gone(session);
    await undisturbed();
  });

  test("other methods leave the session alone", async () => {
    const session = await Polling.open();
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      const { status, body } = await request(method, session.query);
      assert.deepEqual([method, status, body], [method, 500, ""]);
    }
    assert.match((await session.join()).sid, /^[\w-]{20}$/);
    await undisturbed();
  });
});

describe("WebSocket frames", () => {
  for (const [name, frame, code] of [
    ["an unknown packet type", "abc", 1005],
    ["an empty text", "", 1005],
    ["a frame that is too large", `4${"x".repeat(1_000_001)}`, 1009],
    ["a binary frame nobody waits for", Buffer.from([1, 2, 3]), undefined],
    ["a ping", "2", undefined],
  ]) {
    test(`${name} closes the connection`, async () => {
      const frames = new Frames("EIO=4&transport=websocket");
      await frames.frame(0);
      frames.send("40");
      await frames.frame(1);
      frames.send(frame);
      const closedWith = await frames.closed();
      if (code !== undefined) {
        assert.equal(closedWith, code);
      }
      await undisturbed();
    });
  }

  test("a second WebSocket of a session is closed, the session stays", async (t) => {
    const frames = new Frames("EIO=4&transport=websocket");
    t.after(() => frames.ws.terminate());
    const { sid } = JSON.parse((await frames.frame(0)).slice(1));
    const second = new Frames(`EIO=4&transport=websocket&sid=${sid}`);
    await within(Promise.race([second.closed(), second.refused()]), "the end of the second one");
    frames.send("40");
    assert.match(await frames.frame(1), /^40\{/);
    await undisturbed();
  });

  test("a failed probe leaves polling alone", async () => {
    const session = await Polling.open();
    for (const frame of ["abc", "4hello", "2", "2prob", "6"]) {
      const probe = new Frames(`EIO=4&transport=websocket&sid=${session.handshake.sid}`);
      await within(new Promise((resolve) => probe.ws.on("open", resolve)), "the WebSocket");
      probe.send(frame);
      await probe.closed();
    }
    assert.match((await session.join()).sid, /^[\w-]{20}$/);
    await undisturbed();
  });
});

describe("Socket.IO packets", () => {
  const attachment = Buffer.from([1]);
  const closing = [
    ["7"],
    ["-"],
    [" "],
    ["x[]"],
    ["2["],
    ["2{}"],
    ["2[]"],
    ['2"text"'],
    ["2[null]"],
    ["2[true]"],
    ["2[{}]"],
    ['2["connect"]'],
    ['2["connect_error"]'],
    ['2["disconnect"]'],
    ['2["disconnecting"]'],
    ['2["newListener"]'],
    ['2["removeListener"]'],
    ['2abc["a"]'],
    ['2-1["a"]'],
    ['21.5["a"]'],
    ['2["a"]x'],
    ['2["a",]'],
    ["3{}"],
    ['3"x"'],
    ["1{}"],
    ["0/custom,{"],
    ["5"],
    ['5["a"]'],
    ['5-["a"]'],
    ['5x-["a"]'],
    ['51.5-["a"]'],
    ['5-1-["a"]'],
    ['511-["a"]'],
    [`5${"9".repeat(30)}-["a"]`],
    ["51-[]", attachment],
    ['51-["a",{"_placeholder":true,"num":0}]', '2["message"]'],
    ['51-["a",{"_placeholder":true,"num":1}]', attachment],
    ['51-["a",{"_placeholder":true,"num":-1}]', attachment],
    ['51-["a",{"_placeholder":true,"num":"0"}]', attachment],
    ['51-["a",{"_placeholder":true}]', attachment],
    [attachment],
    ["61-1[]", "2"],
  ];
  for (const transport of ["polling", "websocket"]) {
    for (const packets of closing) {
      const name = packets.map((packet) => (typeof packet === "string" ? packet.slice(0, 50) : "<bytes>")).join(" + ");
      test(`over ${transport}: ${name} closes the connection`, async (t) => {
        const link = await Link.open(t, transport);
        const { type } = await link.join();
        assert.equal(type, "0");
        link.send(...packets);
        await link.closed();
        await undisturbed();
      });
    }

    test(`over ${transport}: packets that mean nothing are ignored`, async (t) => {
      const link = await Link.open(t, transport);
      await link.join();
      const deep = `${"[".repeat(100)}${"]".repeat(100)}`;
      link.send(
        "3[]",
        '399["nobody asked"]',
        '2["nobody listens"]',
        '2["nobody listens",{"a":[1,2,3]}]',
        `2["nobody listens",${deep}]`,
        '2["__proto__",{"constructor":1}]',
        '27["message-with-ack","still there"]',
      );
      await within(new Promise((resolve) => {
        link.engine.on("message", (data) => data === '37["still there"]' && resolve());
      }), "the acknowledgement");
      assert.equal(link.isClosed, false);
      await undisturbed();
    });

    test(`over ${transport}: packets for a namespace that the client is not in are ignored`, async (t) => {
      const link = await Link.open(t, transport);
      const late = ["", "/unknown,"].flatMap((name) => [`2${name}["message",1]`, `3${name}1[]`, `1${name}`]);
      link.send(...late);
      await link.join();
      link.send(...late.slice(3), '27["message-with-ack","still there"]');
      await within(new Promise((resolve) => {
        link.engine.on("message", (data) => data === '37["still there"]' && resolve());
      }), "the acknowledgement");
      assert.equal(link.isClosed, false);
      await undisturbed();
    });

    test(`over ${transport}: CONNECT_ERROR from a client ends its namespace`, async (t) => {
      const link = await Link.open(t, transport);
      await link.join();
      const told = new Promise((resolve) => {
        link.engine.on("message", (data) => data === "1" && resolve());
      });
      link.send('4{"message":"no"}');
      await within(told, "the DISCONNECT");
      await link.join();
      assert.equal(link.isClosed, false);
      await undisturbed();
    });

    test(`over ${transport}: an unknown namespace is refused and the connection stays`, async (t) => {
      const link = await Link.open(t, transport);
      assert.deepEqual(await link.join("/unknown"), { type: "4", message: "Invalid namespace" });
      assert.equal((await link.join()).type, "0");
      await undisturbed();
    });

    test(`over ${transport}: a CONNECT whose payload is no object is refused`, async (t) => {
      const link = await Link.open(t, transport);
      await link.join("/quiet");
      for (const payload of ["[]", '"text"', "null", "true", "7.5", "undefined"]) {
        const told = new Promise((resolve) => {
          link.engine.on("message", (data) => data.startsWith("4/custom,") && resolve(data));
        });
        link.send(`0/custom,${payload}`);
        assert.equal(await within(told, "CONNECT_ERROR"), '4/custom,{"message":"Invalid authentication data"}');
      }
      assert.equal((await link.join("/custom")).type, "0");
      assert.equal(link.isClosed, false);
      await undisturbed();
    });

    test(`over ${transport}: who may have made a mistake is recovered`, async (t) => {
      for (const packets of [['511-["a"]'], ["2[null]"], ["51-[]", attachment]]) {
        const link = await Link.open(t, transport);
        const { sid, pid } = await link.join();
        link.send(...packets);
        await link.closed();
        const again = await (await Link.open(t, transport)).join("/", { pid });
        assert.deepEqual([again.type, again.sid], ["0", sid], packets[0]);
      }
      await undisturbed();
    });

    test(`over ${transport}: who broke the protocol is not recovered`, async (t) => {
      const link = await Link.open(t, transport);
      const { sid, pid } = await link.join();
      link.send('2["connect"]');
      await link.closed();
      const again = await (await Link.open(t, transport)).join("/", { pid });
      assert.equal(again.type, "0");
      assert.notEqual(again.sid, sid);
      assert.notEqual(again.pid, pid);
      await undisturbed();
    });

    test(`over ${transport}: wrong arguments of known events hurt nobody`, async (t) => {
      const link = await Link.open(t, transport);
      await link.join("/quiet");
      for (const args of ["", ",1", ",{}", ",null", ',[["x"]]', ",true,true", ',"x"', `,"${"r".repeat(5000)}"`]) {
        for (const event of ["join", "leave", "set-data", "get-state", "emit-to-self", "message-with-ack"]) {
          link.send(`2/quiet,["${event}"${args}]`, `2/quiet,7["${event}"${args}]`);
        }
      }
      link.send('2/quiet,8["message-with-ack","done"]');
      await within(new Promise((resolve) => {
        link.engine.on("message", (data) => data === '3/quiet,8["done"]' && resolve());
        link.engine.on("close", resolve);
      }), "the end");
      await undisturbed();
    });
  }
});

async function gone(session) {
  // A GET that was waiting may still get its last answer.
  const answers = [await session.get(), await session.get()];
  assert.deepEqual([answers[1].status, JSON.parse(answers[1].body).code], [400, 1]);
}
