// The official client, which says what happens to it, and sends each line of its input as a message:
// `node follow.mjs URL [OTHER]`. With another server it uses WebSockets alone, and tries both in turn.
import readline from "node:readline";
import { io } from "socket.io-client";

const servers = process.argv.slice(2);
const transports = servers.length > 1 ? { transports: ["websocket"] } : {};
const socket = io(servers[0], { reconnectionDelay: 50, reconnectionDelayMax: 200, ...transports });
socket.io.on("reconnect_attempt", (attempt) => {
  socket.io.uri = servers[attempt % servers.length];
});
socket.on("connect", () => console.log(`connected, recovered: ${socket.recovered}`));
socket.on("disconnect", (reason) => console.log(`disconnected: ${reason}`));
socket.on("chat message", (message) => console.log(`message: ${message.text}`));
readline.createInterface({ input: process.stdin }).on("line", (text) => {
  socket.emit("chat message", text, `${text} ${Math.random()}`, () => {});
});
