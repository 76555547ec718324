import { once } from "node:events";
import net from "node:net";

let taken = 0;

/**
 * A port that nobody listens on; what is started again listens on its old one. It is below those that a system
 * gives to outgoing connections: one of these would keep the server from it, and a client that reaches for a
 * server that is down can even be connected with itself.
 */
export async function freePort() {
  for (;;) {
    // Other test programs may look for some at the same time.
    const port = 20_000 + (process.pid * 61 + taken++) % 10_000;
    const server = net.createServer().listen(port, "127.0.0.1");
    const isFree = await Promise.race([
      once(server, "listening").then(() => true, () => false),
      once(server, "error").then(() => false),
    ]);
    if (isFree) {
      server.close();
      await once(server, "close");
      return port;
    }
  }
}
