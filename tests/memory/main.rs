//! The memory that peers can make a server use is as SECURITY.md says, and is freed afterwards.

mod bounds;
mod footprint;
mod poller;
#[path = "../../benches/support/mod.rs"]
mod support;

use std::time::Duration;

use poller::Poller;
use socketio_proto::{
    engine::Method,
    hub::{AckToken, Audience, Once},
    server::{ServerEvent, ServerOutput},
    socket::{self, Args},
};
use support::{
    allocator,
    fleet::{self, Fleet},
};

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
        assert_eq!(fleet.server.at(fleet.now).join(early.socket, &names.next().unwrap()), Ok(true));
        let event = socket::Event::new("m", &()).unwrap();
        let held = growth(|| {
            let clients: Vec<_> = (0..20).map(|_| fleet.connect()).collect();
            for (number, name) in names.enumerate() {
                let client = clients[number % clients.len()].socket;
                assert_eq!(fleet.server.at(fleet.now).join(client, &name), Ok(true));
                fleet.server.at(fleet.now).broadcast("/", &Audience::room(&name), &event).unwrap();
            }
            for client in clients {
                fleet.server.at(fleet.now).disconnect(client.socket, true);
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
            assert_eq!(
                fleet.server.at(fleet.now).join(client.socket, &format!("room {number}")),
                Ok(true)
            );
        }
        for number in 0..count {
            // Every seventh stays until the end.
            assert!(
                number % 7 == 0
                    || fleet.server.at(fleet.now).leave(client.socket, &format!("room {number}"))
            );
        }
        for number in (0..count).step_by(7) {
            assert!(fleet.server.at(fleet.now).leave(client.socket, &format!("room {number}")));
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
            fleet.server.at(fleet.now).broadcast("/", &audience, &event).unwrap();
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
                fleet.server.at(now).broadcast_with_ack("/", &Audience::all(), &question, timeout);
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
            assert!(fleet.server.at(fleet.now).ack(token, &args));
            fleet.drain();
        }
        poller.request(&mut fleet, Method::Get, None)
    });
    assert!(held < 20_000, "{held} bytes for 20 answers of 3");
}

/// Takes an event, as one that may come again.
fn accept_once(fleet: &mut Fleet, offset: &str) -> AckToken {
    while let Some(output) = fleet.server.poll_output() {
        let ServerOutput::Event(ServerEvent::Received { socket, ack, .. }) = output else {
            continue;
        };
        let once = fleet.server.at(fleet.now).accept_once(socket, offset, ack).unwrap();
        let Once::Fresh(Some(token)) = once else { panic!("it is new") };
        return token;
    }
    panic!("nothing was received")
}

/// Asks the client on polling, and returns what it answers in a large body.
fn answer_of(fleet: &mut Fleet, poller: &mut Poller, id: u32) -> Args {
    let question = socket::Event::new("question", &()).unwrap();
    let (now, timeout) = (fleet.now, Duration::from_secs(10));
    let asked = fleet.server.at(now).emit_with_ack(poller.socket.unwrap(), &question, timeout);
    asked.unwrap();
    let events = poller.post(fleet, large_body_with(&format!("43{id}[1]")));
    let args = events.into_iter().find_map(|event| match event {
        ServerEvent::Acked { args, .. } => Some(args),
        _ => None,
    });
    args.expect("it has answered")
}
