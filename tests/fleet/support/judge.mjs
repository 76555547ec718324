// Whether a client got what was addressed to its session: each event once, in the order of the stream.

/** The order of a stream: places of its entries, and what they are. */
export class Stream {
  #places = new Map();
  entries = [];

  /** An entry: its id, and the rooms that it was sent to (empty: everyone). */
  push(id, rooms) {
    this.#places.set(id, this.entries.length);
    this.entries.push(rooms);
  }

  /** `undefined` for an id that is not in the stream. */
  place(id) {
    return this.#places.get(id);
  }
}

/**
 * One session as its client saw it. `log` has the offsets of its events as they came. `start` is the first of
 * them that has to be complete: rooms were joined before. `recoveries` are lengths of the log at which the
 * session was recovered, and `hosts` what it was connected to, one more than recoveries.
 */
export class Session {
  log = [];
  recoveries = [];
  hosts = [];
  /** Offsets of events that the client kept when its link closed, and delivers twice. */
  keptByClient = new Set();
  start = null;

  constructor(id, rooms) {
    this.id = id;
    this.rooms = rooms;
  }
}

/**
 * Compares `session` with `stream` up to the offset `end`, or up to the last event that it got: nobody promised
 * more to a session that was refused. Every violation is of a recovery (by its number), or of none (-1), and of
 * the host that the session had then.
 */
export function judge(session, stream, end = undefined) {
  const violations = [];
  const add = (kind, position, place) => {
    const recovery = session.recoveries.findLastIndex((start) => start <= position);
    violations.push({ kind, recovery, host: session.hosts[recovery + 1], session: session.id, place });
  };
  const first = session.start === null ? Infinity : stream.place(session.start);
  const rooms = new Set([...session.rooms, session.id]);
  const isAddressed = (place) =>
    stream.entries[place].length === 0 || stream.entries[place].some((room) => rooms.has(room));

  const received = new Map(); // place => position in the log
  let highest = -1;
  for (const [position, offset] of session.log.entries()) {
    const place = stream.place(offset);
    if (place === undefined) {
      add("nowhere", position, offset);
    } else if (received.has(place)) {
      if (!session.keptByClient.has(offset)) {
        add("doubled", position, place);
      }
    } else {
      received.set(place, position);
      if (!isAddressed(place)) {
        add("foreign", position, place);
      }
      if (place < highest) {
        add("inverted", position, place);
      }
      highest = Math.max(highest, place);
    }
  }

  const last = end === undefined ? highest : stream.place(end);
  // The position of the first event that came from behind the one that is missing.
  const ordered = [...received].sort(([a], [b]) => a - b);
  let next = 0;
  for (let place = first; place <= last; place += 1) {
    while (next < ordered.length && ordered[next][0] <= place) {
      next += 1;
    }
    if (isAddressed(place) && !received.has(place)) {
      add("lost", ordered[next]?.[1] ?? session.log.length, place);
    }
  }
  return violations;
}
