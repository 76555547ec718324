// An official server with connection state recovery, for `tests/official_server`. If the environment has
// TLS_CERT and TLS_KEY, in PEM, it speaks TLS.
//
// stdin: one JSON array per line.
//   ["emit", namespace, event, ...args]   to every socket of the namespace
//   ["disconnect", namespace]             disconnect(true) for every socket of the namespace
//   ["lose"]                              give up every connection, as after a ping timeout
//   ["count"]                             answered with what is connected
// stdout: `listening <port>`, then one JSON array per line.
//   ["stored", number]                    a `store` event with a number that was not stored before
//   ["count", sockets, connections]
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { Server } from "socket.io";

const say = (...line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const { TLS_CERT: cert, TLS_KEY: key } = process.env;
const http = cert ? createTlsServer({ cert, key }) : createServer();
const io = new Server(http, { connectionStateRecovery: {} });

const stored = new Set();
const told = new Set();

function serve(socket) {
  socket.emit("auth", socket.handshake.auth);
  socket.on("message", (...args) => socket.emit("message-back", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
  socket.on("silence", () => {});
  // Asks the client, and tells it what was heard.
  socket.on("ask-for-ack", (timeout, ...args) => {
    socket.timeout(timeout).emit("question", ...args, (error, ...answer) => {
      socket.emit("heard", error ? "timeout" : "answer", ...answer);
    });
  });
  socket.on("broadcast", (...args) => socket.nsp.emit(...args));
  // As the application of the official tutorial does.
  socket.on("chat message", (text, clientOffset, ack) => {
    if (!told.has(clientOffset)) {
      told.add(clientOffset);
      socket.nsp.emit("chat message", text);
    }
    ack();
  });
  // As an application stores messages that come at least once.
  socket.on("store", (number, ack) => {
    if (!stored.has(number)) {
      stored.add(number);
      say("stored", number);
    }
    ack(number);
  });
}

io.on("connection", serve);
io.of("/custom").on("connection", serve);
io.of("/no").use((socket, next) => {
  const error = new Error("no entry");
  error.data = { code: 7, auth: socket.handshake.auth };
  next(error);
});

const commands = {
  emit: (namespace, ...event) => io.of(namespace).emit(...event),
  disconnect: (namespace) => io.of(namespace).disconnectSockets(true),
  lose: () => Object.values(io.engine.clients).forEach((client) => client.close(true)),
  count: () => say("count", io.of("/").sockets.size, io.engine.clientsCount),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [name, ...args] = JSON.parse(line);
    commands[name](...args);
  })
  .on("close", () => process.exit());

http.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  process.stdout.write(`listening ${http.address().port}\n`);
});
