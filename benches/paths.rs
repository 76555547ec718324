//! The hot paths of a server, one by one; with `--guard`, their instructions against a budget.
//!
//!     cargo bench --bench paths                  # time and allocations
//!     cargo bench --bench paths -- --guard       # counts by valgrind, compared with the budget
//!     cargo bench --bench paths -- --update      # counts by valgrind, written to the budget

// Not in `support`, which the benches of the peers share: it needs base64.
#[path = "support/entries.rs"]
mod entries;
mod support;

use std::time::Duration;

use bytes::Bytes;
use entries::Reader;
use serde::{Deserialize, Serialize};
use socketio_proto::{
    Limits, WireId,
    engine::{EnginePacket, Frame, Method, Payload, RequestHead},
    hub::Audience,
    server::{ServerEvent, ServerInput, ServerOutput},
    socket::{self, Args, Decoder, DecoderLimits, Encoded, Kind, NamespaceName},
};
use support::{
    Bench,
    fleet::{self, Client, Fleet},
    guard,
    workload::SMALL,
};

fn main() {
    let paths: [(&str, usize, guard::Path); 14] = [
        ("small event, encode", 1, encode),
        ("small event, decode raw", 1, decode_raw),
        ("small event, decode typed", 1, decode_typed),
        ("broadcast to 1,000, a recipient", RECIPIENTS, broadcast),
        ("event to one socket", 1, emit),
        ("event to one socket, acknowledged", 1, emit_with_ack),
        ("event of a client, acknowledged", 1, echo),
        ("ping and pong", 1, heartbeat),
        ("POST of 10 events", 1, post),
        ("GET of 10 events", 1, get),
        ("entry of a cluster for nobody here", 1, entry_for_nobody),
        ("entry for nobody, 10 kB", 1, large_entry_for_nobody),
        ("entry for nobody, 200 binary bytes", 1, binary_entry_for_nobody),
        ("entry of a cluster, read", 1, entry_read),
    ];
    if guard::run(&paths) {
        return;
    }
    let bench = Bench::from_args("hot paths, output taken");
    for (name, items, path) in paths {
        bench.run(name, items, path());
    }
}

const RECIPIENTS: usize = 1_000;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chat {
    id: u32,
    room: String,
}

fn encode() -> Box<dyn FnMut()> {
    let args = ("hello world", Chat { id: 123, room: "lobby".into() });
    Box::new(move || {
        let event = socket::Event::new("chat message", &args).expect("legal");
        let packet = Encoded::event(&NamespaceName::ROOT, &event, None, None);
        assert_eq!(packet.head().len(), 1 + SMALL.len());
    })
}

fn decode(wire: &[u8]) -> socket::Event {
    // As a WebSocket library does: one copy out of its buffer, and a check for UTF-8.
    let text = Bytes::copy_from_slice(wire);
    let frame = Frame::Text(text.try_into().expect("text"));
    let EnginePacket::Message(Payload::Text(text)) = EnginePacket::decode(frame).expect("a packet")
    else {
        unreachable!("it is a message");
    };
    let mut decoder = Decoder::new(DecoderLimits::from(&Limits::default()));
    match decoder.push_text(text).expect("a packet").expect("complete").kind {
        Kind::Event { event, .. } => event,
        kind => unreachable!("{kind:?}"),
    }
}

fn decode_raw() -> Box<dyn FnMut()> {
    let wire = format!("4{SMALL}");
    Box::new(move || assert_eq!(decode(wire.as_bytes()).name(), "chat message"))
}

fn decode_typed() -> Box<dyn FnMut()> {
    let wire = format!("4{SMALL}");
    Box::new(move || {
        let (text, chat) = decode(wire.as_bytes()).parse::<(String, Chat)>().expect("typed");
        assert_eq!((text.len(), chat.id), (11, 123));
    })
}

/// A server that does not let packets of old pile up.
fn server() -> Fleet {
    let mut recovery = socketio_proto::RecoveryConfig::default();
    recovery.buffer_packets = 1_000;
    Fleet::new(fleet::config().recovery(recovery))
}

fn event() -> socket::Event {
    socket::Event::new("msg", &("x".repeat(100),)).expect("legal")
}

fn broadcast() -> Box<dyn FnMut()> {
    let mut fleet = server();
    fleet.room("lobby", RECIPIENTS);
    let (lobby, event) = (Audience::room("lobby"), event());
    Box::new(move || {
        let sent = fleet.server.at(fleet.now).broadcast("/", &lobby, &event);
        assert_eq!(sent.map(|reach| reach.sockets), Ok(RECIPIENTS));
        assert_eq!(fleet.count_frames(), RECIPIENTS);
    })
}

fn one() -> (Fleet, Client) {
    let mut fleet = server();
    let client = fleet.connect();
    (fleet, client)
}

fn emit() -> Box<dyn FnMut()> {
    let ((mut fleet, client), event) = (one(), event());
    Box::new(move || {
        assert_eq!(fleet.server.at(fleet.now).emit(client.socket, &event), Ok(()));
        assert_eq!(fleet.count_frames(), 1);
    })
}

fn emit_with_ack() -> Box<dyn FnMut()> {
    let ((mut fleet, client), event) = (one(), event());
    let mut id = 0_u64;
    Box::new(move || {
        let timeout = Duration::from_secs(10);
        let sent = fleet.server.at(fleet.now).emit_with_ack(client.socket, &event, timeout);
        assert!(sent.is_ok());
        assert_eq!(fleet.count_frames(), 1);
        fleet.send(client.wire, &format!("43{id}[]"));
        id += 1;
        let Some(ServerOutput::Event(ServerEvent::Acked { .. })) = fleet.server.poll_output()
        else {
            unreachable!("the acknowledgement");
        };
    })
}

fn echo() -> Box<dyn FnMut()> {
    let (mut fleet, client) = one();
    let args = Args::new(&("x".repeat(100),)).expect("legal");
    let request = format!(r#"427["echo","{}"]"#, "x".repeat(100));
    Box::new(move || {
        fleet.send(client.wire, &request);
        let Some(ServerOutput::Event(ServerEvent::Received { ack: Some(token), .. })) =
            fleet.server.poll_output()
        else {
            unreachable!("the event");
        };
        assert!(fleet.server.at(fleet.now).ack(token, &args));
        assert_eq!(fleet.count_frames(), 1);
    })
}

fn heartbeat() -> Box<dyn FnMut()> {
    let (mut fleet, _) = one();
    Box::new(move || {
        fleet.now = fleet.now.saturating_add(Duration::from_secs(25));
        assert_eq!(fleet.time_out().frames, 1);
        assert_eq!(fleet.server.stats().connections, 1);
    })
}

/// Another node emits to a room that nobody of this one is in.
fn entry_for_nobody() -> Box<dyn FnMut()> {
    let mut reader = Reader::plain(50);
    Box::new(move || assert_eq!(reader.read().options.rooms(), ["elsewhere"]))
}

fn large_entry_for_nobody() -> Box<dyn FnMut()> {
    let mut reader = Reader::plain(10_000);
    Box::new(move || assert_eq!(reader.read().options.rooms(), ["elsewhere"]))
}

fn binary_entry_for_nobody() -> Box<dyn FnMut()> {
    let mut reader = Reader::binary(200);
    Box::new(move || assert_eq!(reader.read().options.rooms(), ["elsewhere"]))
}

/// Someone of this node is in the room.
fn entry_read() -> Box<dyn FnMut()> {
    let mut reader = Reader::plain(50);
    Box::new(move || {
        let packet = reader.read().packet().expect("an event");
        assert_eq!(packet.event.name(), "chat message");
    })
}

/// A client that polls.
struct Poller {
    fleet: Fleet,
    query: String,
    wire: u64,
}

impl Poller {
    fn new() -> Self {
        let query = "EIO=4&transport=polling".to_owned();
        let mut poller = Self { fleet: server(), query, wire: 0 };
        let body = poller.exchange(Method::Get, None).expect("the open packet");
        let sid = body.split("\"sid\":\"").nth(1).and_then(|rest| rest.get(..20)).expect("a sid");
        poller.query = format!("{}&sid={sid}", poller.query);
        poller.exchange(Method::Post, Some("40"));
        assert!(poller.exchange(Method::Get, None).is_some(), "the CONNECT answer");
        poller
    }

    fn request(&mut self, method: Method, body: Option<&str>) -> WireId {
        self.wire += 1;
        let wire = WireId(self.wire);
        let head =
            RequestHead { method, query: &self.query, upgrade: false, origin: None, binary: false };
        let body = body.map(|body| Bytes::copy_from_slice(body.as_bytes()));
        let input = ServerInput::Request { wire, head, body };
        self.fleet.server.handle_input(self.fleet.now, input);
        wire
    }

    /// Returns the answer, if it came at once.
    fn exchange(&mut self, method: Method, body: Option<&str>) -> Option<String> {
        let sent = self.request(method, body);
        let mut answer = None;
        while let Some(output) = self.fleet.server.poll_output() {
            match output {
                ServerOutput::Respond { wire, response } if wire == sent => {
                    answer = String::from_utf8(response.body.to_vec()).ok();
                }
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.fleet.server.at(self.fleet.now).accept(request);
                }
                _ => {}
            }
        }
        answer
    }

    fn count(&mut self) -> (usize, usize) {
        let (mut events, mut bytes) = (0, 0);
        while let Some(output) = self.fleet.server.poll_output() {
            match output {
                ServerOutput::Respond { response, .. } => bytes += response.body.len(),
                ServerOutput::Event(_) => events += 1,
                _ => {}
            }
        }
        (events, bytes)
    }
}

fn post() -> Box<dyn FnMut()> {
    let mut poller = Poller::new();
    let body = support::workload::payload10();
    Box::new(move || {
        poller.request(Method::Post, Some(&body));
        assert_eq!(poller.count(), (10, 2), "ten events, and an `ok`");
    })
}

fn get() -> Box<dyn FnMut()> {
    let mut poller = Poller::new();
    let event = event();
    Box::new(move || {
        for _ in 0..10 {
            let all = Audience::all();
            let sent = poller.fleet.server.at(poller.fleet.now).broadcast("/", &all, &event);
            assert_eq!(sent.map(|reach| reach.sockets), Ok(1));
        }
        poller.request(Method::Get, None);
        let (events, bytes) = poller.count();
        assert_eq!(events, 0);
        assert!(bytes > 1_000, "ten packets in one body: {bytes} bytes");
    })
}
