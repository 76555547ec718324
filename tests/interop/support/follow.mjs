// The official client, which says what happens to it: `node follow.mjs URL`.
import { io } from "socket.io-client";

const socket = io(process.argv[2], { reconnectionDelay: 50, reconnectionDelayMax: 200 });
socket.on("connect", () => console.log(`connected, recovered: ${socket.recovered}`));
socket.on("disconnect", (reason) => console.log(`disconnected: ${reason}`));
socket.on("chat message", (message) => console.log(`message: ${message.text}`));
