// The page of examples/chat in a real browser: what a tab missed comes back, exactly.
//
// CHAT_URL   address of a running chat example
// CHROMIUM   path of the browser; default /usr/bin/chromium
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";

const URL_OF_CHAT = process.env.CHAT_URL;
assert.ok(URL_OF_CHAT, "CHAT_URL is not set");

const PATIENCE_MS = 60_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

let browser;
let context;
let count = 0;
const errors = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: FLAGS,
  });
  context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
});

after(async () => {
  await browser?.close();
  assert.deepEqual(errors, [], "no page threw");
});

for (const transport of ["polling", "websocket", "both"]) {
  describe(`over ${transport}`, () => {
    test("a dropped link is recovered with exactly the missed messages", (t) =>
      withTabs(t, transport, async (a, b) => {
        await exchange(a, b, ["before"]);
        const id = await state(a, "socket.id");
        await drop(a);

        await send(b, ["missed 1", "missed 2", "missed 3"]);
        await comeBack(a, transport);

        await exchange(a, b, ["after"]);
        assert.equal(await a.page.textContent("#recovered"), "yes");
        assert.equal(await state(a, "socket.id"), id);
        assert.equal(await a.page.textContent("#socket-id"), id);
        assert.deepEqual(await received(a), [
          ["before", "live"],
          ["missed 1", "replayed"],
          ["missed 2", "replayed"],
          ["missed 3", "replayed"],
          ["after", "live"],
        ]);
        assert.deepEqual(await shown(a), [
          ["before", []],
          ["missed 1", ["replayed"]],
          ["missed 2", ["replayed"]],
          ["missed 3", ["replayed"]],
          ["after", []],
        ]);
      }));

    test("five losses in a row are no loss", (t) =>
      withTabs(t, transport, async (a, b) => {
        const id = await state(a, "socket.id");
        const expected = [];
        for (let round = 1; round <= 5; round += 1) {
          await drop(a);
          // The third loss is one in which nothing was missed.
          const texts = round === 3 ? [] : [`round ${round} a`, `round ${round} b`];
          await send(b, texts);
          await comeBack(a, transport);
          await waitForMessages(a, expected.length + texts.length);
          expected.push(...texts.map((text) => [text, "replayed"]));
        }
        await exchange(a, b, ["end"]);
        assert.deepEqual(await received(a), [...expected, ["end", "live"]]);
        assert.deepEqual(
          await state(a, "connections.slice(1)"),
          Array.from({ length: 5 }, () => ({ id, recovered: true })),
        );
      }));

    test("offline for seconds, and writing meanwhile", (t) =>
      withTabs(t, transport, async (a, b) => {
        const id = await state(a, "socket.id");
        await a.page.fill("#offline-seconds", "6");
        await click(a, "#offline");
        await a.page.waitForSelector("#status[data-state=offline]");

        await send(b, ["while away 1", "while away 2"]);
        await compose(a, "from afar");
        assert.equal(await state(a, "pending"), 1, "kept until there is a link");
        assert.equal(await a.page.textContent("#status"), "offline");

        await connected(a, transport);
        await a.page.waitForFunction(() => chat.pending === 0);
        await waitForMessages(a, 3);
        assert.equal(await state(a, "socket.id"), id);
        assert.equal(await a.page.textContent("#recovered"), "yes");
        assert.deepEqual(await received(a), [
          ["while away 1", "replayed"],
          ["while away 2", "replayed"],
          ["from afar", "live"],
        ]);
        await waitForMessages(b, 3);
        assert.deepEqual((await received(b)).map(([text]) => text), ["while away 1", "while away 2", "from afar"]);
        assert.equal(await a.page.locator("#outbox li").count(), 0);
      }));

    test("coming back early", (t) =>
      withTabs(t, transport, async (a, b) => {
        const id = await state(a, "socket.id");
        await a.page.fill("#offline-seconds", "3600");
        await click(a, "#offline");
        await a.page.waitForSelector("#status[data-state=offline]");
        await send(b, ["missed"]);
        await click(a, "#back");
        await connected(a, transport);
        await waitForMessages(a, 1);
        assert.deepEqual(await received(a), [["missed", "replayed"]]);
        assert.equal(await state(a, "socket.id"), id);
      }));

    test("a reload starts a session and catches up from the database", (t) =>
      withTabs(t, transport, async (a, b) => {
        const id = await state(a, "socket.id");
        await exchange(a, b, ["one", "two"]);
        await Promise.all([a.page.waitForEvent("load"), click(a, "#reload")]);
        await connected(a, transport);
        a.base = 0;
        await exchange(a, b, ["three"]);

        assert.equal(await a.page.textContent("#recovered"), "no");
        assert.notEqual(await state(a, "socket.id"), id);
        const all = await received(a);
        assert.deepEqual(all.slice(-3), [["one", "caught up"], ["two", "caught up"], ["three", "live"]]);
        const ids = await state(a, "messages.map((message) => message.id)");
        assert.deepEqual(ids, [...new Set(ids)].sort((x, y) => x - y), "each once, in order");
      }));

    test("a session that cannot be recovered catches up from the last message", (t) =>
      withTabs(t, transport, async (a, b) => {
        await exchange(a, b, ["before"]);
        const id = await state(a, "socket.id");
        // What an expired session looks like to the server: an unknown one. Keys in `auth` win.
        await a.page.evaluate(() => { chat.socket.auth.pid = "x".repeat(20); });
        await drop(a);
        await send(b, ["missed 1", "missed 2"]);
        await comeBack(a, transport);
        await exchange(a, b, ["after"]);

        assert.equal(await a.page.textContent("#recovered"), "no");
        assert.notEqual(await state(a, "socket.id"), id);
        assert.deepEqual(await received(a), [
          ["before", "live"],
          ["missed 1", "caught up"],
          ["missed 2", "caught up"],
          ["after", "live"],
        ]);
      }));

    test("a message whose acknowledgement was lost is stored once", (t) =>
      withTabs(t, transport, async (a, b) => {
        // The same client offset again, as the library does when it saw no acknowledgement.
        const answers = await b.page.evaluate(async () => {
          const key = `twice-${Math.random()}`;
          const first = await chat.socket.emitWithAck("chat message", "only once", key);
          const second = await chat.socket.emitWithAck("chat message", "only once", key);
          return [first.id, second.id];
        });
        assert.equal(typeof answers[0], "number");
        assert.equal(answers[0], answers[1]);
        await exchange(a, b, ["then"]);
        assert.deepEqual(await received(a), [["only once", "live"], ["then", "live"]]);
      }));

    test("text is shown as text, under the name of its author", (t) =>
      withTabs(t, transport, async (a, b) => {
        const text = `<img src=x onerror="alert(1)"> てすと 😀 "quoted" \\ `.trim();
        await b.page.fill("#name", "Ada <b>");
        await send(b, [text]);
        await waitForMessages(a, 1);
        assert.deepEqual(await shown(a), [[text, []]]);
        assert.equal(await a.page.locator("#messages li:last-child .from").textContent(), "Ada <b>");
        assert.equal(await a.page.locator("#messages img").count(), 0);
        await b.page.fill("#name", "");
        await b.page.press("#name", "Enter");
      }));
  });
}

/** Opens the page in two tabs and runs `body` with them; `base` is how much history each has shown. */
async function withTabs(t, transport, body) {
  count += 1;
  const a = await open(transport);
  const b = await open(transport);
  try {
    // The catch-up is complete in both when both have shown a message that came after it.
    const marker = `test ${count}: ${t.name}`;
    await compose(b, marker);
    for (const tab of [a, b]) {
      await tab.page.waitForFunction(
        (text) => chat.messages.some((message) => message.text === text), marker);
      tab.base = await state(tab, "messages.length");
    }
    await body(a, b);
    for (const tab of [a, b]) {
      assert.equal(await state(tab, "counts.duplicates"), 0);
    }
  } finally {
    await a.page.close();
    await b.page.close();
  }
}

async function open(transport) {
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${URL_OF_CHAT}/${transport === "both" ? "" : `?transport=${transport}`}`);
  const tab = { page, base: 0 };
  await connected(tab, transport);
  return tab;
}

function connected({ page }, transport) {
  const name = transport === "polling" ? "polling" : "websocket";
  return page.waitForFunction(
    (expected) =>
      chat.socket.connected &&
      document.querySelector("#status").dataset.state === "connected" &&
      document.querySelector("#transport").textContent === expected,
    name,
  );
}

/**
 * Presses the button that drops the link. The tab stays away until `comeBack`: a delay would run out
 * early on a busy machine.
 */
async function drop({ page }) {
  await page.evaluate(() => chat.socket.io.reconnection(false));
  await click({ page }, "#drop");
  await page.waitForFunction(() => !chat.socket.connected);
}

async function comeBack(tab, transport) {
  await tab.page.evaluate(() => {
    chat.socket.io.reconnection(true);
    chat.socket.connect();
  });
  await connected(tab, transport);
}

async function compose({ page }, text) {
  await page.bringToFront();
  await page.fill("#text", text);
  await page.click("#send");
}

/** A tab in the background is drawn too rarely for clicks to be prompt. */
async function click({ page }, selector) {
  await page.bringToFront();
  await page.click(selector);
}

/** Writes messages in a tab and waits until they are stored. */
async function send(tab, texts) {
  for (const text of texts) {
    await compose(tab, text);
  }
  await tab.page.waitForFunction(() => chat.pending === 0);
}

async function exchange(a, b, texts) {
  await send(b, texts);
  for (const { page } of [a, b]) {
    await page.waitForFunction(
      (text) => chat.messages.at(-1)?.text === text, texts.at(-1));
  }
}

function waitForMessages({ page, base }, n) {
  return page.waitForFunction((total) => chat.messages.length >= total, base + n);
}

function state({ page }, expression) {
  return page.evaluate(`chat.${expression}`);
}

/** What the page has received since `base`, as the page's own record has it. */
async function received(tab) {
  const messages = await state(tab, `messages.slice(${tab.base})`);
  return messages.map(({ text, replayed, caughtUp }) =>
    [text, replayed ? "replayed" : caughtUp ? "caught up" : "live"]);
}

/** What the page shows since `base`. */
function shown({ page, base }) {
  return page.evaluate((start) =>
    [...document.querySelectorAll("#messages .message")].slice(start).map((element) => [
      element.querySelector(".text").textContent,
      [...element.querySelectorAll(".badge")].map((badge) => badge.textContent),
    ]), base);
}
