// Real Redis servers on free loopback ports, for as long as a test runs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createClient } from "redis";
import { freePort } from "./ports.mjs";
import { pause, until } from "./wait.mjs";

export class Redis {
  #process;
  #folder;
  #isDurable;
  port;

  /** Starts a server; with `isDurable` it has its data again after `kill` and `start`. */
  static async start(t, { isDurable = false } = {}) {
    const redis = new Redis();
    redis.#isDurable = isDurable;
    redis.#folder = await mkdtemp(path.join(tmpdir(), "fleet-redis-"));
    redis.port = await freePort();
    await redis.start();
    t.after(async () => {
      await redis.kill();
      await rm(redis.#folder, { recursive: true, force: true });
    });
    return redis;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start() {
    const durable = this.#isDurable ? ["--appendonly", "yes", "--appendfsync", "always"] : [];
    const options = ["--port", this.port, "--bind", "127.0.0.1", "--dir", this.#folder, "--save", ""];
    this.#process = spawn("redis-server", [...options, ...durable], { stdio: "ignore" });
    await until(() => this.#answers(), "Redis");
  }

  /** Ends it without a warning, as a crash does. */
  async kill() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
  }

  /** Its connections stay, but nothing is answered until `resume`. */
  pause() {
    this.#process.kill("SIGSTOP");
  }

  resume() {
    this.#process.kill("SIGCONT");
  }

  /** A client of the test's own. */
  async client(t) {
    const client = createClient({ url: this.url });
    client.on("error", () => {});
    await client.connect();
    t.after(() => client.destroy());
    return client;
  }

  async #answers() {
    const client = createClient({ url: this.url, socket: { reconnectStrategy: false } });
    client.on("error", () => {});
    try {
      await client.connect();
      const isUp = (await client.ping()) === "PONG";
      client.destroy();
      return isUp;
    } catch {
      await pause(20);
      return false;
    }
  }
}
