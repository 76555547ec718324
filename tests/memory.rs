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
fn rooms_that_have_gone_leave_no_table() {
    for config in [fleet::config(), fleet::recovery()] {
        let mut fleet = Fleet::new(config);
        let mut names = (0..10_000).map(|number| format!("room {number}"));
        let early = fleet.connect();
        // Rooms that stay hold the tables of no others.
        assert_eq!(fleet.server.join(early.socket, &names.next().unwrap()), Ok(true));
        let event = socket::Event::new("m", &()).unwrap();
        let held = growth(|| {
            let clients: Vec<_> = (0..20).map(|_| fleet.connect()).collect();
            for (number, name) in names.enumerate() {
                let client = clients[number % clients.len()].socket;
                assert_eq!(fleet.server.join(client, &name), Ok(true));
                fleet.server.broadcast(fleet.now, "/", &Audience::room(&name), &event).unwrap();
            }
            for client in clients {
                fleet.server.disconnect(fleet.now, client.socket, true);
            }
            fleet.drain();
            // The log is empty, and so is what it knew of rooms.
            fleet.pass(Duration::from_secs(600));
        });
        assert_eq!((fleet.server.stats().rooms, fleet.server.stats().log_packets), (2, 0));
        assert!(held < 30_000, "{held} bytes for rooms that have gone");
    }
}

#[test]
fn rooms_that_come_and_go_take_the_place_of_others() {
    let mut fleet = Fleet::new(fleet::recovery());
    let client = fleet.connect();
    let mut round = |count: u32| {
        for number in 0..count {
            assert_eq!(fleet.server.join(client.socket, &format!("room {number}")), Ok(true));
        }
        for number in 0..count {
            // Every seventh stays until the end.
            assert!(
                number % 7 == 0 || fleet.server.leave(client.socket, &format!("room {number}"))
            );
        }
        for number in (0..count).step_by(7) {
            assert!(fleet.server.leave(client.socket, &format!("room {number}")));
        }
        assert_eq!(fleet.server.stats().rooms, 1);
    };
    round(100);
    let held = growth(|| {
        for count in [1_000, 300, 1_000, 100] {
            round(count);
        }
    });
    assert!(held < 30_000, "{held} bytes for rooms that have gone");
}

#[test]
fn clients_that_have_gone_leave_no_table() {
    for config in [fleet::config(), fleet::recovery()] {
        let mut fleet = Fleet::new(config);
        let _stays = fleet.connect();
        let held = growth(|| {
            let clients: Vec<_> = (0..5_000).map(|_| fleet.connect()).collect();
            let audience = Audience::all().except("nobody");
            let event = socket::Event::new("m", &()).unwrap();
            fleet.server.broadcast(fleet.now, "/", &audience, &event).unwrap();
            for client in &clients {
                fleet.lose(client.wire);
            }
            fleet.drain();
            fleet.pass(Duration::from_secs(600));
            // Queues of what was told are given back when the next one comes.
            let next = fleet.connect();
            fleet.lose(next.wire);
            fleet.drain();
            fleet.pass(Duration::from_secs(600));
        });
        let stats = fleet.server.stats();
        assert_eq!((stats.connections, stats.sockets, stats.parked_sessions), (1, 1, 0));
        assert!(held < 100_000, "{held} bytes for 5,000 clients that have gone");
    }
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
