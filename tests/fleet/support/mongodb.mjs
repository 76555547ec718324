// SecantusDB, which speaks the protocol of MongoDB, on free loopback ports, for as long as a test runs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { MongoClient } from "mongodb";
import { freePort } from "./ports.mjs";
import { pause, until } from "./wait.mjs";

export class Mongodb {
  #process;
  #folder;
  port;

  /** Starts a server. SECANTUS names its program: the tests of `drivers/mongodb` install it. */
  static async start(t) {
    const mongodb = new Mongodb();
    mongodb.#folder = await mkdtemp(path.join(tmpdir(), "fleet-mongodb-"));
    mongodb.port = await freePort();
    await mongodb.start();
    t.after(async () => {
      await mongodb.kill();
      await rm(mongodb.#folder, { recursive: true, force: true });
    });
    return mongodb;
  }

  get url() {
    return `mongodb://127.0.0.1:${this.port}/fleet.events?directConnection=true`;
  }

  async start() {
    const { SECANTUS } = process.env;
    if (SECANTUS === undefined) {
      throw new Error("SECANTUS is not set: it names the program `secantusd-py`");
    }
    const options = ["--host", "127.0.0.1", "--port", String(this.port), "--storage-path", this.#folder];
    this.#process = spawn(SECANTUS, options, { stdio: "ignore" });
    await until(() => this.#answers(), "SecantusDB");
  }

  /** Ends it without a warning, as a crash does. */
  async kill() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
  }

  /** A client of the test's own. What is sent over several connections would come in any order. */
  async client(t) {
    const client = await new MongoClient(this.url.replace("fleet.events", ""), { maxPoolSize: 1 }).connect();
    t.after(() => client.close());
    return client;
  }

  async #answers() {
    const client = new MongoClient(this.url.replace("fleet.events", ""), { serverSelectionTimeoutMS: 1_000 });
    try {
      await client.connect();
      // As the documents say: the adapter does not make it.
      await client.db("fleet").collection("events").createIndex({ createdAt: 1 }, { expireAfterSeconds: 3_600 });
      return true;
    } catch {
      await pause(20);
      return false;
    } finally {
      await client.close();
    }
  }
}
