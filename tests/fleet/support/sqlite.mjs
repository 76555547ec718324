// An SQLite file that nodes of ours share, for as long as a test runs.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { decode } from "@msgpack/msgpack";

/** Python has SQLite, Node.js 20 has not. It only reads, so it changes nothing about the file. */
const READ = `
import sqlite3, sys
path, after = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
db.execute("BEGIN")
(epoch,) = db.execute("SELECT epoch FROM channel").fetchone()
for row, message in db.execute("SELECT row, message FROM entries WHERE row > ? ORDER BY row", (after,)):
    print(epoch, row, message.hex())
`;

export class SqliteFile {
  #path;
  /** The last row that was read. */
  #row = 0;

  static async start(t) {
    const file = new SqliteFile();
    const folder = await mkdtemp(path.join(tmpdir(), "fleet-sqlite-"));
    file.#path = path.join(folder, "sessions.db");
    t.after(() => rm(folder, { recursive: true, force: true }));
    return file;
  }

  get url() {
    return `sqlite:${this.#path}`;
  }

  /** Adds the events of a namespace that were emitted since the last call to `stream`. */
  async readInto(stream, namespace) {
    const options = { maxBuffer: 2 ** 30 };
    const { stdout } = await promisify(execFile)("python3", ["-c", READ, this.#path, String(this.#row)], options);
    for (const line of stdout.split("\n").filter(Boolean)) {
      const [epoch, row, hex] = line.split(" ");
      this.#row = Number(row);
      const { nsp, type, data } = decode(Buffer.from(hex, "hex"));
      if (nsp === namespace && type === 3) {
        stream.push(`${epoch}-${row}`, data.opts.rooms);
      }
    }
  }
}
