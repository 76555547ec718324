// The reference under the contract of the benchmarks (see examples/bench_server/app.rs), with
// recovery on. Usage: node --expose-gc server.js PORT
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer();
const io = new Server(server, {
  transports: ["websocket"],
  connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true },
});
io.on("connection", (socket) => {
  socket.on("join", (room, acknowledge) => {
    socket.join(room);
    acknowledge();
  });
  socket.on("echo", (value, acknowledge) => acknowledge(value));
  socket.on("bcast", (room, times, payload, acknowledge) => {
    for (let i = 0; i < times; i++) io.to(room).emit("msg", payload);
    acknowledge();
  });
  socket.on("count", (acknowledge) => acknowledge(io.of("/").sockets.size));
  socket.on("gc", (acknowledge) => {
    global.gc?.();
    acknowledge();
  });
});
const port = Number(process.argv[2]);
server.listen({ port, host: "127.0.0.1", backlog: 4096 }, () => console.log("listening", port));
