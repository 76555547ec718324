"""python-socketio, the popular client of another language, against tests/fixtures/contract.

Started by tests/interop. The client knows nothing of connection state recovery; it sees the
offset that the server appends to events as one more argument.
"""

import os
import queue
import threading
import time
import unittest

import engineio
import socketio

# Fewer than what a server may answer a GET with: python-engineio gives up on more.
engineio.payload.Payload.max_decode_packets = 1000

INTEROP = os.environ["INTEROP_URL"]
"""`--profile interop`: pings after 1 s, for 4 s."""

PATIENCE = 60
"""Seconds before something is called missing. Never a measure of speed."""

TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}


class Peer:
    """A client with a record of everything it received."""

    def __init__(self, test, transport="websocket", namespaces=("/",), auth=None, in_order=True,
                 **options):
        self.client = socketio.Client(
            reconnection_delay=0.02, reconnection_delay_max=0.05, handle_sigint=False, **options)
        test.addCleanup(self.client.shutdown)
        if in_order:
            handle_in_order(self.client.eio)
        self.events = {name: [] for name in namespaces}
        self.connections = queue.Queue()
        self.disconnections = queue.Queue()
        for name in namespaces:
            self._listen(name)
        self.client.connect(
            INTEROP, transports=TRANSPORTS[transport], namespaces=list(namespaces), auth=auth,
            wait_timeout=PATIENCE)
        for _ in namespaces:
            self.connections.get(timeout=PATIENCE)

    def _listen(self, namespace):
        events = self.events[namespace]
        self.client.on("*", lambda name, *args: events.append([name, *args]), namespace=namespace)
        self.client.on("connect", lambda: self.connections.put(namespace), namespace=namespace)
        self.client.on(
            "disconnect", lambda reason: self.disconnections.put((namespace, reason)),
            namespace=namespace)

    def id(self, namespace="/"):
        return self.client.get_sid(namespace)

    def emit(self, event, *args, namespace="/"):
        self.client.emit(event, args, namespace=namespace)

    def call(self, event, *args, namespace="/"):
        return self.client.call(event, args, namespace=namespace, timeout=PATIENCE)

    def state(self, namespace="/"):
        """Its answer means that everything emitted to this client before has arrived."""
        return self.call("get-state", namespace=namespace)

    def heard(self, namespace="/"):
        """What was received except `auth`, without the offsets."""
        return [event[:-1] for event in self.events[namespace] if event[0] != "auth"]

    def wait_for(self, name, namespace="/"):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event in self.events[namespace]:
                if event[0] == name:
                    return event[1:-1]
            time.sleep(0.005)
        raise AssertionError(f"waited in vain for {name} after {self.events}")


def handle_in_order(connection):
    """python-engineio starts a thread for each message. On a busy machine a handler can overtake
    the one before it, so the record of a test would not be the order on the wire."""
    trigger = connection._trigger_event

    def trigger_in_order(event, *args, run_async=False, **options):
        return trigger(event, *args, run_async=False, **options)

    connection._trigger_event = trigger_in_order


class OverEachTransport:
    """Run once for each transport by the classes below."""

    transport = None

    def connect(self, **options):
        return Peer(self, transport=self.transport, **options)

    def test_connects_and_stays_on_the_transport(self):
        peer = self.connect()
        expected = "polling" if self.transport == "polling" else "websocket"
        self.assertEqual(peer.client.transport(), expected)
        self.assertRegex(peer.id(), r"^[\w-]{20}$")
        state = peer.state()
        self.assertEqual([state.pop("outcome"), state.pop("node")], ["new", INTEROP.rsplit(":", 1)[1]])
        self.assertEqual(
            state, {"id": peer.id(), "rooms": [peer.id()], "data": {}, "recovered": False})

    def test_hands_the_authentication_data_over(self):
        auth = {"token": "abc", "nested": [1, None, "ü"]}
        peer = self.connect(auth=auth)
        peer.state()
        self.assertEqual([event[:2] for event in peer.events["/"]], [["auth", auth]])

    def test_keeps_events_and_arguments_as_they_are(self):
        peer = self.connect()
        args = [0, -1.5, "", "てすと 😀 \u2028 \" \\", True, None, [], {}, {"a": [{"b": None}]}]
        for n in range(50):
            peer.emit("message", n)
        peer.emit("message", *args)
        peer.state()
        expected = [["message-back", n] for n in range(50)] + [["message-back", *args]]
        self.assertEqual(peer.heard(), expected)

    def test_carries_binary_arguments_both_ways(self):
        peer = self.connect()
        args = [b"\x01\x02", {"list": [b"", {"deep": b"\xff" * 3}], "text": "x"}, bytes(200_000)]
        peer.emit("message", *args)
        peer.emit("message", "plain")
        self.assertEqual(list(peer.call("message-with-ack", *args)), args)
        self.assertEqual(peer.heard(), [["message-back", *args], ["message-back", "plain"]])

    def test_acknowledges_what_the_server_asks(self):
        peer = self.connect()
        # The last argument would be the offset, but events that ask for an answer have none.
        peer.client.on("question", lambda *args: (*args, "and more", b"\x07"))
        peer.emit("ask", 5000, 1, {"a": [None]})
        (answer,) = peer.wait_for("answered")
        self.assertEqual(answer[:3], [1, {"a": [None]}, "and more"])

    def test_a_question_nobody_answers_times_out(self):
        # Its handler blocks, so the event behind it needs a thread of its own.
        peer = self.connect(in_order=False)
        release = threading.Event()
        self.addCleanup(release.set)
        peer.client.on("question", lambda *args: release.wait(PATIENCE))
        peer.emit("ask", 100)
        peer.wait_for("unanswered")

    def test_keeps_namespaces_apart(self):
        names = ("/", "/custom", "/dynamic-42")
        peer = self.connect(namespaces=names)
        self.assertEqual(len({peer.id(name) for name in names}), 3)
        for name in names:
            peer.emit("message", name, namespace=name)
        for name in names:
            peer.state(name)
            self.assertEqual(peer.heard(name), [["message-back", name]])

    def test_delivers_to_rooms(self):
        a, b = self.connect(), self.connect()
        a.call("join", "red")
        for room, n in [("red", 1), ("blue", 2), (a.id(), 3), ("red", 4)]:
            b.emit("broadcast", room, "m", n)
        b.state()
        a.state()
        a.call("leave", "red")
        b.emit("broadcast", "red", "m", 5)
        b.state()
        a.state()
        self.assertEqual((a.heard(), b.heard()), ([["m", 1], ["m", 3], ["m", 4]], []))

    def test_heartbeats_keep_an_idle_connection(self):
        peer = self.connect()
        before = peer.id()
        time.sleep(6)
        self.assertEqual(peer.state()["id"], before)
        self.assertTrue(peer.disconnections.empty())

    def test_the_server_disconnects_it(self):
        peer = self.connect(namespaces=("/", "/custom"))
        peer.emit("disconnect-me", False)
        self.assertEqual(
            peer.disconnections.get(timeout=PATIENCE),
            ("/", peer.client.reason.SERVER_DISCONNECT))
        peer.state("/custom")

    def test_it_leaves(self):
        peer = self.connect()
        witness = self.connect()
        peer.call("join", "room")
        peer.client.disconnect()
        self.assertEqual(
            peer.disconnections.get(timeout=PATIENCE),
            ("/", peer.client.reason.CLIENT_DISCONNECT))
        witness.emit("broadcast", "room", "m", 1)
        witness.state()

    def test_it_comes_back_as_somebody_else(self):
        peer = self.connect()
        before = peer.id()
        peer.call("join", "room")
        peer.emit("close-connection")
        peer.disconnections.get(timeout=PATIENCE)
        if self.transport == "polling":
            # A close packet is an answer to this client: it does not return by itself. It is told
            # before the former connection is done away with, which would end the next one as well.
            peer.client.eio.wait()
            peer.client.connect(INTEROP, transports=["polling"], wait_timeout=PATIENCE)
        peer.connections.get(timeout=PATIENCE)
        state = peer.state()
        self.assertNotEqual(state["id"], before)
        self.assertEqual((state["rooms"], state["recovered"]), ([state["id"]], False))


class OverPolling(OverEachTransport, unittest.TestCase):
    transport = "polling"


class OverWebSocket(OverEachTransport, unittest.TestCase):
    transport = "websocket"


class AfterAnUpgrade(OverEachTransport, unittest.TestCase):
    transport = "upgrade"


class Refusals(unittest.TestCase):
    def refusal(self, namespace, auth=None):
        client = socketio.Client(reconnection=False, handle_sigint=False)
        self.addCleanup(client.shutdown)
        errors = queue.Queue()
        client.on("connect_error", errors.put, namespace=namespace)
        with self.assertRaises(socketio.exceptions.ConnectionError):
            client.connect(INTEROP, namespaces=[namespace], auth=auth, wait_timeout=PATIENCE)
        return errors.get(timeout=PATIENCE)

    def test_an_unknown_namespace(self):
        for name in ("/unknown", "/dynamic-x"):
            self.assertEqual(self.refusal(name), {"message": "Invalid namespace"})

    def test_a_refusal_with_data(self):
        expected = {"message": "not a member", "data": {"code": 42, "retry": [True, None]}}
        self.assertEqual(self.refusal("/members", {"token": "wrong"}), expected)
        peer = Peer(self, namespaces=("/members",), auth={"token": "secret"})
        peer.state("/members")


if __name__ == "__main__":
    unittest.main()
