//! What peers can make a server hold is as much as SECURITY.md says, and what is over leaves nothing.

#[path = "../benches/support/mod.rs"]
mod support;

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    SocketKey, WireId,
    engine::{Method, RequestHead},
    hub::{AckToken, Audience, Once},
    server::{Event, Input, Output},
    socket::{self, Args},
};
use support::{
    allocator,
    fleet::{self, Fleet},
};

/// A client on HTTP long-polling, which may or may not read.
struct Poller {
    sid: String,
    /// In the main namespace.
    socket: Option<SocketKey>,
    next_wire: u64,
}

impl Poller {
    /// Opens a session. Wires of different clients have different numbers.
    fn open(fleet: &mut Fleet, number: u64) -> Self {
        let mut poller = Self { sid: String::new(), socket: None, next_wire: (number + 1) << 32 };
        let open = poller.request(fleet, Method::Get, None).expect("the open packet");
        let open: serde_json::Value = serde_json::from_slice(&open[1..]).unwrap();
        open["sid"].as_str().unwrap().clone_into(&mut poller.sid);
        poller
    }

    /// Opens a session and joins the main namespace.
    fn connect(fleet: &mut Fleet, number: u64) -> Self {
        let mut poller = Self::open(fleet, number);
        let events = poller.post(fleet, "40".into());
        poller.socket = events.iter().find_map(|event| match event {
            Event::Connected { socket, .. } => Some(*socket),
            _ => None,
        });
        let answer = poller.request(fleet, Method::Get, None).expect("the answer");
        assert!(answer.starts_with(b"40{"));
        poller
    }

    fn post(&mut self, fleet: &mut Fleet, body: String) -> Vec<Event<()>> {
        let mut events = Vec::new();
        let response = self.exchange(fleet, Method::Post, Some(body.into()), &mut events);
        assert_eq!(response.as_deref(), Some(&b"ok"[..]));
        events
    }

    fn request(&mut self, fleet: &mut Fleet, method: Method, body: Option<Bytes>) -> Option<Bytes> {
        self.exchange(fleet, method, body, &mut Vec::new())
    }

    fn exchange(
        &mut self,
        fleet: &mut Fleet,
        method: Method,
        body: Option<Bytes>,
        events: &mut Vec<Event<()>>,
    ) -> Option<Bytes> {
        self.next_wire += 1;
        let wire = WireId(self.next_wire);
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        let query = format!("EIO=4&transport=polling{sid}");
        let head =
            RequestHead { method, query: &query, upgrade: false, origin: None, binary: false };
        fleet.server.handle_input(fleet.now, Input::Request { wire, head, body });
        let mut answer = None;
        while let Some(output) = fleet.server.poll_output() {
            match output {
                Output::Respond { wire: to, response } if to == wire => {
                    answer = Some(response.body);
                }
                Output::Event(Event::ConnectRequested { request, .. }) => {
                    fleet.server.accept(fleet.now, request);
                }
                Output::Event(event) => events.push(event),
                _ => {}
            }
        }
        answer
    }
}

/// Heap bytes that are held after `f` and were not before. What `f` returns is dropped first.
fn growth<T>(f: impl FnOnce() -> T) -> i64 {
    let before = allocator::bytes();
    drop(f());
    allocator::bytes() - before
}

/// A body of half a megabyte that ends with a small packet.
fn large_body_with(packet: &str) -> String {
    format!("42[\"large\",\"{}\"]\u{1e}{packet}", "x".repeat(500_000))
}

#[test]
fn an_answer_to_a_broadcast_does_not_hold_the_body_that_it_came_in() {
    let mut fleet = Fleet::new(fleet::config());
    let _silent = fleet.connect();
    let mut poller = Poller::connect(&mut fleet, 0);
    let question = socket::Event::new("question", &()).unwrap();
    let held = growth(|| {
        for id in 0..20 {
            let (now, timeout) = (fleet.now, Duration::from_secs(10));
            let asked =
                fleet.server.broadcast_with_ack(now, "/", &Audience::all(), &question, timeout);
            asked.unwrap();
            poller.post(&mut fleet, large_body_with(&format!("43{id}[1]")));
        }
        // What was asked is read.
        poller.request(&mut fleet, Method::Get, None)
    });
    assert!(held < 20_000, "{held} bytes for 20 answers of 3");
}

#[test]
fn an_answer_that_is_kept_does_not_hold_the_body_that_it_came_in() {
    let mut fleet = Fleet::new(fleet::recovery());
    let asker = fleet.connect();
    let mut poller = Poller::connect(&mut fleet, 0);
    let held = growth(|| {
        for id in 0..20 {
            // The application passes the answer of one client on to another.
            fleet.send(asker.wire, &format!("42{id}[\"ask\"]"));
            let token = accept_once(&mut fleet, &id.to_string());
            let args = answer_of(&mut fleet, &mut poller, id);
            assert!(fleet.server.ack(fleet.now, token, &args));
            fleet.drain();
        }
        poller.request(&mut fleet, Method::Get, None)
    });
    assert!(held < 20_000, "{held} bytes for 20 answers of 3");
}

/// Takes an event, as one that may come again.
fn accept_once(fleet: &mut Fleet, offset: &str) -> AckToken {
    while let Some(output) = fleet.server.poll_output() {
        let Output::Event(Event::Received { socket, ack, .. }) = output else { continue };
        let once = fleet.server.accept_once(fleet.now, socket, offset, ack).unwrap();
        let Once::Fresh(Some(token)) = once else { panic!("it is new") };
        return token;
    }
    panic!("nothing was received")
}

/// Asks the client on polling, and returns what it answers in a large body.
fn answer_of(fleet: &mut Fleet, poller: &mut Poller, id: u32) -> Args {
    let question = socket::Event::new("question", &()).unwrap();
    let (now, timeout) = (fleet.now, Duration::from_secs(10));
    let asked = fleet.server.emit_with_ack(now, poller.socket.unwrap(), &question, timeout);
    asked.unwrap();
    let events = poller.post(fleet, large_body_with(&format!("43{id}[1]")));
    let args = events.into_iter().find_map(|event| match event {
        Event::Acked { args, .. } => Some(args),
        _ => None,
    });
    args.expect("it has answered")
}
