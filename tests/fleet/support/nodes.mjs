// Nodes of a cluster: processes of the contract server, ours or the official one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "./ports.mjs";
import { pause, within } from "./wait.mjs";

const FOLDER = path.dirname(import.meta.dirname);

/** How the kinds of nodes are started. */
const COMMANDS = {
  official: () => [process.execPath, [path.join(FOLDER, "official.mjs")]],
  ours: () => {
    const { CONTRACT } = process.env;
    if (CONTRACT === undefined) {
      throw new Error("CONTRACT is not set: it names the binary of the example `contract`");
    }
    return [CONTRACT, ["--profile", "acceptance"]];
  },
};

export class Node {
  #process;
  #variables;

  /** Starts a node of `kind` with `variables` in the environment; it is ended when the test `t` ends. */
  static async start(t, kind, redis, name, variables = {}) {
    const node = new Node();
    Object.assign(node, { kind, name, port: await freePort() });
    const { SCHEME = "redis", ...others } = variables;
    const url = redis.url.replace("redis:", `${SCHEME}:`);
    node.#variables = { CLUSTER_URL: url, NODE_NAME: name, PORT: String(node.port), ...others };
    await node.start();
    t.after(() => node.end("SIGKILL"));
    return node;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid() {
    return this.#process.pid;
  }

  get isUp() {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  #spawn() {
    const [program, args] = COMMANDS[this.kind]();
    const env = { ...process.env, ...this.#variables };
    this.#process = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  }

  /** Starts it again after `end`, and kills it after so long, whatever it does then. */
  async startFor(ms) {
    this.#spawn();
    this.#process.stdout.resume();
    await pause(ms);
    await this.end("SIGKILL");
  }

  /** Starts it again after `end`, at the same address. */
  async start() {
    this.#spawn();
    const lines = createInterface({ input: this.#process.stdout });
    const listening = new Promise((resolve, reject) => {
      lines.on("line", (line) => line.startsWith("listening ") && resolve());
      this.#process.once("exit", (code, signal) => reject(new Error(`${this.name} ended: ${code ?? signal}`)));
    });
    await within(listening, `the start of ${this.name}`);
  }

  /**
   * Ends it with `signal` and tells its exit code, `null` where a signal was its end. What does not end by itself
   * is killed after ten seconds, as those who run servers do.
   */
  async end(signal) {
    if (this.isUp) {
      const ended = once(this.#process, "exit");
      this.#process.kill(signal);
      const timer = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
      await within(ended, `the end of ${this.name}`);
      clearTimeout(timer);
    }
    return this.#process.exitCode;
  }

  /** As a machine that stands still: its links stay, and nothing goes on until `resume`. */
  pause() {
    this.#process.kill("SIGSTOP");
  }

  resume() {
    this.#process.kill("SIGCONT");
  }
}

/** Starts one node of each of `kinds`; they are called `a`, `b`, and so on. */
export function startNodes(t, kinds, redis, variables) {
  const name = (index) => String.fromCharCode("a".charCodeAt(0) + index);
  return Promise.all(kinds.map((kind, index) => Node.start(t, kind, redis, name(index), variables)));
}
