// The page of the chat example: the official socket.io-client, no build step.
//
// client → server
//   CONNECT auth          { serverOffset, name }   serverOffset: id of the last message this page has
//   "chat message"        (text, clientOffset, ack)   ack({ id }) | ack({ error })
//   "name"                (name, ack)   ack({ name })
// server → client
//   "chat message"        ({ id, text, from, sender, at, caughtUp?, again? })
//                                  again: it is announced once more, in case that nobody had heard of it
//   "skipped"             (count)   older messages that a catch-up left out
//   "recovered"           (count, ack)   so many events were replayed
//   "online"              (count)   volatile
// Events that recovery can replay carry one more argument at the end, their offset; it is the
// client library's business, so every listener below reads only the arguments it knows.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);

  if (typeof io === "undefined") {
    byId("missing").hidden = false;
    byId("status").textContent = "client missing";
    byId("status").dataset.state = "refused";
    return;
  }

  const NOT_RECOVERABLE = new Set(["online", "recovered"]);
  const parameters = new URLSearchParams(location.search);
  // Servers that are one chat: `?other=http://localhost:3001`. Each request of long-polling could reach
  // another one, so a page that knows several uses WebSockets alone.
  const servers = [location.origin, ...parameters.getAll("other")];
  const transport = servers.length > 1 ? "websocket" : parameters.get("transport");
  const savedName = read("name");

  // What the server stores only once is named by the page: random per page load, then counted.
  const unique = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");
  let counter = 0;

  const socket = io({
    transports: ["polling", "websocket"].includes(transport) ? [transport] : ["polling", "websocket"],
    auth: { serverOffset: 0, name: savedName },
    retries: 3,
    ackTimeout: 10000,
  });

  // For tests and for the curious: everything that arrived, in order, nothing hidden.
  const chat = {
    socket,
    messages: [],
    connections: [],
    counts: { received: 0, duplicates: 0, replayed: 0, caughtUp: 0, skipped: 0 },
    pending: 0,
  };
  window.chat = chat;

  // --- connection -----------------------------------------------------------------------------

  const ownIds = new Set();
  let offline = null;
  // Recoverable events since the link was last lost. The first of them are the replay, whose
  // length the server tells with "recovered".
  let sinceLoss = [];
  let replayUnsettled = false;

  socket.on("connect", () => {
    ownIds.add(socket.id);
    chat.connections.push({ id: socket.id, recovered: socket.recovered === true });
    replayUnsettled = socket.recovered === true;
    socket.io.engine.on("upgrade", () => show());
    show();
  });

  socket.on("disconnect", (reason) => {
    // The link broke between the replay and its "recovered": nothing else can have arrived yet.
    settleReplay(sinceLoss.length);
    sinceLoss = [];
    show(reason);
  });

  socket.on("connect_error", (error) => show(error.message));
  socket.io.on("reconnect_attempt", (attempt) => {
    // The first attempt goes to another server already, where the session is recovered as well.
    socket.io.uri = servers[attempt % servers.length];
    show();
  });

  socket.onAny((event, ...args) => {
    if (!NOT_RECOVERABLE.has(event)) {
      sinceLoss.push(null);
    }
  });

  socket.on("recovered", (count, ack) => {
    settleReplay(count);
    if (typeof ack === "function") {
      ack();
    }
  });

  socket.on("online", (count) => {
    byId("online").textContent = count === 1 ? "only you here" : `${count} tabs here`;
    byId("online").hidden = false;
  });

  function settleReplay(count) {
    if (!replayUnsettled) {
      return;
    }
    replayUnsettled = false;
    for (const entry of sinceLoss.slice(0, count)) {
      if (entry) {
        entry.message.replayed = true;
        chat.counts.replayed += 1;
        addBadge(entry.element, "replayed");
      }
    }
  }

  function show(detail) {
    const status = byId("status");
    if (socket.connected) {
      status.dataset.state = "connected";
      status.textContent = "connected";
    } else if (offline) {
      status.dataset.state = "offline";
      status.textContent = "offline";
    } else if (socket.active) {
      status.dataset.state = "connecting";
      status.textContent = chat.connections.length ? "reconnecting" : "connecting";
    } else {
      status.dataset.state = "refused";
      status.textContent = "disconnected";
    }
    status.title = detail || "";

    const last = chat.connections.at(-1);
    const recovered = socket.connected && last ? (last.recovered ? "yes" : "no") : "–";
    byId("recovered").textContent = recovered;
    byId("recovered").dataset.value = recovered;
    byId("socket-id").textContent = socket.id || "–";
    byId("transport").textContent = socket.connected ? socket.io.engine.transport.name : "–";
    byId("drop").disabled = !socket.connected;
    byId("offline").disabled = !socket.connected;
    byId("back").hidden = !offline;
    if (offline) {
      const seconds = Math.max(0, Math.ceil((offline.until - Date.now()) / 1000));
      byId("back").textContent = `Come back now (${seconds} s)`;
    }
  }

  // --- buttons --------------------------------------------------------------------------------

  byId("drop").addEventListener("click", () => socket.io.engine.close());

  byId("offline-form").addEventListener("submit", (event) => {
    event.preventDefault();
    goOffline(byId("offline-seconds").valueAsNumber);
  });

  byId("back").addEventListener("click", comeBack);
  byId("reload").addEventListener("click", () => location.reload());

  // Not socket.disconnect(): that would end the session. The link is dropped below it, and the
  // client is kept from opening another one for a while.
  function goOffline(seconds) {
    if (offline || !socket.connected) {
      return;
    }
    offline = {
      until: Date.now() + seconds * 1000,
      timer: setTimeout(comeBack, seconds * 1000),
      clock: setInterval(() => show(), 500),
    };
    socket.io.reconnection(false);
    socket.io.engine.close();
    show();
  }

  function comeBack() {
    if (!offline) {
      return;
    }
    clearTimeout(offline.timer);
    clearInterval(offline.clock);
    offline = null;
    socket.io.reconnection(true);
    socket.io.open();
    show();
  }

  for (const link of document.querySelectorAll("[data-transport]")) {
    if (link.dataset.transport === (transport || "")) {
      link.setAttribute("aria-current", "page");
    }
  }

  // --- messages -------------------------------------------------------------------------------

  const list = byId("messages");
  const seen = new Set();

  socket.on("chat message", ({ id, text, from, sender, at, caughtUp, again }) => {
    if (again && seen.has(id)) {
      return;
    }
    const message = {
      id, text, from, at,
      replayed: false,
      caughtUp: caughtUp === true,
      duplicate: seen.has(id),
    };
    seen.add(id);
    chat.messages.push(message);
    chat.counts.received += 1;
    chat.counts.duplicates += message.duplicate ? 1 : 0;
    chat.counts.caughtUp += message.caughtUp ? 1 : 0;
    socket.auth.serverOffset = Math.max(socket.auth.serverOffset, id);

    const element = bubble(message.from || "anonymous", message.text, new Date(at));
    element.dataset.id = id;
    element.classList.toggle("own", ownIds.has(sender));
    if (message.caughtUp) {
      addBadge(element, "caught up");
    }
    if (message.duplicate) {
      addBadge(element, "duplicate");
    }
    append(element);
    // The entry that onAny has just made for this event.
    sinceLoss[sinceLoss.length - 1] = { message, element };
  });

  socket.on("skipped", (count) => {
    chat.counts.skipped += count;
    const note = document.createElement("li");
    note.className = "note";
    note.textContent = count === 1 ? "One older message is not shown" : `${count} older messages are not shown`;
    append(note);
  });

  function append(element) {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    list.append(element);
    if (atEnd) {
      list.scrollTop = list.scrollHeight;
    }
  }

  function bubble(from, text, at) {
    const element = document.createElement("li");
    element.className = "message";
    const head = document.createElement("div");
    head.className = "head";
    const name = document.createElement("span");
    name.className = "from";
    name.textContent = from;
    head.append(name);
    if (at) {
      const time = document.createElement("time");
      time.dateTime = at.toISOString();
      time.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      head.append(time);
    }
    const body = document.createElement("p");
    body.className = "text";
    body.textContent = text;
    element.append(head, body);
    return element;
  }

  function addBadge(element, text) {
    const badge = document.createElement("span");
    badge.className = `badge ${text.replace(" ", "-")}`;
    badge.textContent = text;
    element.querySelector(".head").append(badge);
  }

  // --- composing ------------------------------------------------------------------------------

  const nameField = byId("name");
  const textField = byId("text");
  nameField.value = savedName;

  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = textField.value.trim();
    if (text) {
      saveName();
      send(text, `${unique}-${counter++}`);
      textField.value = "";
    }
    textField.focus();
  });

  nameField.addEventListener("change", saveName);

  function saveName() {
    const name = nameField.value.trim();
    if (name !== socket.auth.name) {
      socket.auth.name = name;
      write("name", name);
      socket.emit("name", name, () => {});
    }
  }

  function send(text, clientOffset) {
    const entry = bubble("sending", text);
    entry.classList.add("own", "pending");
    byId("outbox").append(entry);
    list.scrollTop = list.scrollHeight;
    chat.pending += 1;
    // The library sends it again until it is acknowledged, also on the next link.
    socket.emit("chat message", text, clientOffset, (error, answer) => {
      chat.pending -= 1;
      const problem = error ? "not delivered" : answer?.error;
      if (!problem) {
        entry.remove();
        return;
      }
      addBadge(entry, "failed");
      entry.querySelector(".from").textContent = problem;
      const again = document.createElement("button");
      again.type = "button";
      again.textContent = "Try again";
      again.addEventListener("click", () => {
        entry.remove();
        // Under the same name: had it been stored after all, it is not stored twice.
        send(text, clientOffset);
      });
      entry.append(again);
    });
  }

  // Storage may be forbidden; the page then just forgets.
  function read(key) {
    try {
      return localStorage.getItem(key) || "";
    } catch {
      return "";
    }
  }

  function write(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {}
  }

  show();
})();
