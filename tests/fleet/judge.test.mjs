// The judge of the exactness run finds what it is there to find.
import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, Session, Stream } from "./support/judge.mjs";

const ROOMS = [["id"], [], ["r"], ["other"], ["r", "other"], ["id"], []];

function verdict(log, { recoveries = [], start = "0", end, kept = [] } = {}) {
  const stream = new Stream();
  ROOMS.forEach((rooms, n) => stream.push(String(n), rooms));
  const session = new Session("id", ["r"]);
  Object.assign(session, { log: log.map(String), recoveries, start, keptByClient: new Set(kept) });
  return judge(session, stream, end).map(({ kind, recovery, place }) => [kind, recovery, place]);
}

test("what is addressed to a session, once and in order, is right", () => {
  assert.deepEqual(verdict([0, 1, 2, 4, 5, 6], { recoveries: [2], end: "6" }), []);
});

test("a session that was refused was promised nothing behind its last event", () => {
  assert.deepEqual(verdict([0, 1, 2]), []);
  assert.deepEqual(verdict([0, 1, 2], { end: "6" }), [["lost", -1, 4], ["lost", -1, 5], ["lost", -1, 6]]);
});

test("before the rooms are joined nothing is missing", () => {
  assert.deepEqual(verdict([1, 5, 6], { start: "5", end: "6" }), []);
  assert.deepEqual(verdict([1], { start: null }), []);
});

test("a lost event is the fault of the recovery in which it should have come", () => {
  assert.deepEqual(verdict([0, 1, 5, 6], { recoveries: [2, 3], end: "6" }), [["lost", 0, 2], ["lost", 0, 4]]);
  assert.deepEqual(verdict([0, 2, 4, 5, 6], { recoveries: [2], end: "6" }), [["lost", -1, 1]]);
  assert.deepEqual(verdict([0, 1, 2], { recoveries: [1, 3], end: "4" }), [["lost", 1, 4]]);
});

test("doubled, inverted, foreign and unknown events are found", () => {
  assert.deepEqual(verdict([0, 1, 2, 1, 4], { recoveries: [3] }), [["doubled", 0, 1]]);
  assert.deepEqual(verdict([0, 2, 1, 4], { recoveries: [1] }), [["inverted", 0, 1]]);
  assert.deepEqual(verdict([0, 1, 2, 3, 4], { recoveries: [1] }), [["foreign", 0, 3]]);
  assert.deepEqual(verdict([0, 1, 2, 9, 4]), [["nowhere", -1, "9"]]);
});

test("an event that the client kept by itself is not doubled by a server", () => {
  assert.deepEqual(verdict([0, 1, 2, 2, 4, 4], { recoveries: [3], kept: ["2"] }), [["doubled", 0, 4]]);
});
