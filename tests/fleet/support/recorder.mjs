// What a Redis publishes in the channels of the classic adapter or in the log beside those of the sharded one, with
// the positions that our nodes give it.
import { decode } from "@msgpack/msgpack";
import { Stream } from "./judge.mjs";

export class Recorder {
  stream = new Stream();
  #namespace;
  #client;
  #id;
  #number;
  #behind = 0;

  static async start(t, redis, namespace, scheme) {
    const recorder = new Recorder();
    recorder.#namespace = namespace;
    recorder.#client = await redis.client(t);
    recorder.#id = await recorder.#client.sendCommand(["CLIENT", "ID"]);
    if (scheme === "redis+sharded") {
      await recorder.#client.sSubscribe("socket.io#socketio-proto#", (line) => recorder.#takeLine(line), true);
      return recorder;
    }
    const take = (payload) => recorder.#take(payload);
    await recorder.#client.pSubscribe(["socket.io#*", "socket.io-request#*"], take, true);
    return recorder;
  }

  /** The numbers of the connections that nodes have subscribed with. */
  async subscribers(client) {
    const list = await client.sendCommand(["CLIENT", "LIST", "TYPE", "pubsub"]);
    const ids = [...list.matchAll(/^id=(\d+)/gm)].map(([, id]) => Number(id));
    return ids.filter((id) => id !== Number(this.#id));
  }

  /** An entry of ours, which is JSON here. */
  #takeLine(line) {
    const text = line.toString();
    const message = text[20] === "E" ? JSON.parse(text.slice(21)) : {};
    if (message.type === 3 && message.nsp === this.#namespace) {
      this.stream.push(`${Number(text.slice(0, 20))}-0`, message.data.opts.rooms);
    }
  }

  #take(payload) {
    const message = payload[0] === 0x7b ? JSON.parse(payload.toString()) : decode(payload);
    const [, packet, opts, ours] = Array.isArray(message) ? message : [undefined, undefined, undefined, message];
    if (ours?.pos === undefined) {
      this.#behind += 1;
    } else {
      [this.#number, this.#behind] = [Number(ours.pos), 0];
    }
    if (packet?.nsp === this.#namespace) {
      this.stream.push(`${this.#number}-${this.#behind}`, opts.rooms);
    }
  }
}
