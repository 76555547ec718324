// Real PostgreSQL servers on free loopback ports, for as long as a test runs.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { freePort } from "./ports.mjs";
import { pause, until } from "./wait.mjs";

const run = promisify(execFile);
const INSTALLED = "/usr/lib/postgresql";
// PostgreSQL does not run as root.
const AS_USER = process.getuid() === 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] : [];

/** The command of a program of PostgreSQL. */
function program(name, ...args) {
  const versions = existsSync(INSTALLED) ? readdirSync(INSTALLED) : [];
  const folder = versions.map((version) => path.join(INSTALLED, version, "bin")).find((bin) => existsSync(path.join(bin, name)));
  const [file, ...rest] = [...AS_USER, folder === undefined ? name : path.join(folder, name), ...args];
  return [file, rest];
}

export class Postgres {
  #process;
  #folder;
  port;

  /** Starts a server. */
  static async start(t) {
    const postgres = new Postgres();
    postgres.#folder = await mkdtemp(path.join(tmpdir(), "fleet-postgres-"));
    if (AS_USER.length > 0) {
      await run("chown", ["postgres", postgres.#folder]);
    }
    postgres.port = await freePort();
    const options = ["--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", "--no-sync", "-D", postgres.#data];
    await run(...program("initdb", ...options));
    await postgres.start();
    t.after(async () => {
      await postgres.kill();
      await rm(postgres.#folder, { recursive: true, force: true });
    });
    return postgres;
  }

  get url() {
    return `postgres://test@127.0.0.1:${this.port}/postgres`;
  }

  get #data() {
    return path.join(this.#folder, "data");
  }

  async start() {
    const options = ["-D", this.#data, "-p", this.port, "-h", "127.0.0.1", "-k", this.#folder, "-c", "fsync=off", "-c", "max_connections=200"];
    const [file, args] = program("postgres", ...options.map(String));
    this.#process = spawn(file, args, { stdio: "ignore" });
    await until(() => this.#answers(), "PostgreSQL");
  }

  /** Ends it without a warning, as a crash does. */
  async kill() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGQUIT");
      await once(this.#process, "exit");
    }
  }

  /** A client of the test's own. */
  async client(t) {
    const client = new pg.Client(this.url);
    client.on("error", () => {});
    await client.connect();
    t.after(() => client.end());
    return client;
  }

  async #answers() {
    const client = new pg.Client(this.url);
    client.on("error", () => {});
    try {
      await client.connect();
      // As the documents say: the adapter does not make it.
      await client.query("CREATE TABLE IF NOT EXISTS socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)");
      await client.end();
      return true;
    } catch {
      await pause(20);
      return false;
    }
  }
}
