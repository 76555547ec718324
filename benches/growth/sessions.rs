//! Steps of a single session that holds much.

use socketio_proto::{
    hub::{Audience, Once},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, ServerOutput},
    socket::Args,
};

use crate::{
    count::Meter,
    support::fleet::{Client, Fleet},
    world::{HOUR, Steps, config, event, recovery},
};

/// It is in many rooms.
pub fn rooms(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let client = in_rooms(&mut fleet, count);
    let socket = client.socket;
    for round in meter.rounds() {
        everyday_steps(&mut fleet, meter, &client);
        let room = format!("new {round}");
        meter.count("join, nothing emitted since the last one", || {
            Steps::join(&mut fleet, socket, &room);
        });
        meter.count("leave", || assert!(fleet.server.at(fleet.now).leave(socket, &room)));
        fleet.broadcast(&Audience::room("room 3"));
        fleet.drain();
        meter.count("join, one packet emitted since", || Steps::join(&mut fleet, socket, &room));
        fleet.broadcast(&Audience::room("elsewhere"));
        meter.count("leave, one packet emitted to others since", || {
            assert!(fleet.server.at(fleet.now).leave(socket, &room));
        });
        fleet.broadcast(&Audience::room("room 4"));
        fleet.drain();
    }
}

fn in_rooms(fleet: &mut Fleet, count: usize) -> Client {
    let client = fleet.connect();
    for number in 0..count {
        Steps::join(fleet, client.socket, &format!("room {number}"));
    }
    client
}

/// What goes on in any session.
fn everyday_steps(fleet: &mut Fleet, meter: &mut Meter, client: &Client) {
    meter.count("emit", || {
        fleet.emit(client.socket);
        fleet.drain();
    });
    meter.count("broadcast to a room", || {
        assert_eq!(fleet.broadcast(&Audience::room("room 1")), 1);
        fleet.drain();
    });
    meter.count("EVENT", || {
        fleet.send(client.wire, r#"42["m"]"#);
        fleet.drain();
    });
    meter.count("EVENT, acknowledged", || {
        let token = fleet.ask(client.wire, 1);
        assert!(fleet.server.at(fleet.now).ack(token, &Args::empty()));
        fleet.drain();
    });
    meter.count("broadcast to it except others", || {
        let audience = Audience::room("room 1").except("elsewhere");
        fleet.broadcast(&audience);
        fleet.drain();
    });
}

/// Many packets were emitted to its rooms and withheld from it, and it has joined a room since.
pub fn withheld(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let client = fleet.connect_in("room 1");
    let _other = fleet.connect_in("room 1");
    Steps::join(&mut fleet, client.socket, "quiet");
    for _ in 0..count {
        fleet.broadcast(&Audience::room("room 1").except("quiet"));
        fleet.drain();
    }
    Steps::join(&mut fleet, client.socket, "noted");
    for round in meter.rounds() {
        let room = format!("new {round}");
        fleet.broadcast(&Audience::room("room 1").except("quiet"));
        fleet.drain();
        meter.count("join", || Steps::join(&mut fleet, client.socket, &room));
        fleet.broadcast(&Audience::room("room 1").except("quiet"));
        fleet.drain();
        meter.count("leave", || assert!(fleet.server.at(fleet.now).leave(client.socket, &room)));
        meter.count("broadcast except its room", || {
            fleet.broadcast(&Audience::room("room 1").except("quiet"));
            fleet.drain();
        });
    }
}

/// Many of its events were answered, and the answers are kept: those to events that its client
/// counts, and those to events with an offset.
pub fn answers(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let client = fleet.connect();
    let (socket, wire) = (client.socket, client.wire);
    // Sent before the client asks, so it counts.
    fleet.send(wire, "43[]");
    fleet.drain();
    fleet.send(wire, "43[]");
    fleet.drain();
    for number in 0..count {
        accept(&mut fleet, &client, number);
    }
    for round in meter.rounds() {
        let number = count + 2 * round;
        meter.count("accept_once and ack", || accept(&mut fleet, &client, number));
        let token = fleet.ask(wire, number);
        let duplicate = offset(number / 2);
        meter.count("accept_once of a duplicate", || {
            let once = fleet.server.at(fleet.now).accept_once(socket, &duplicate, Some(token));
            assert_eq!(once, Ok(Once::Duplicate));
        });
        fleet.drain();
        let token = fleet.ask(wire, number + 1);
        let once = fleet.server.at(fleet.now).accept_once(socket, "withdrawn", Some(token));
        let Ok(Once::Fresh(Some(token))) = once else { panic!("{once:?}") };
        meter.count("withdraw", || assert!(fleet.server.at(fleet.now).withdraw(token)));
        meter.count("question about an event", || {
            fleet.send(wire, "43[1]");
            assert_eq!(fleet.drain().frames, 2, "the count, and the answer");
        });
    }
    for _ in meter.rounds() {
        meter.count("question about no event", || {
            fleet.send(wire, "43[]");
            assert_eq!(fleet.drain().frames, 1);
        });
    }
    // Nothing was read on this link, so all are kept.
    let mut client = client;
    for _ in meter.rounds() {
        fleet.lose(client.wire);
        fleet.drain();
        client.wire = fleet.open();
        let outcome = meter.count("CONNECT, recovers", || fleet.claim(&mut client));
        assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: 0 });
    }
}

fn accept(fleet: &mut Fleet, client: &Client, number: usize) {
    let token = fleet.ask(client.wire, number);
    let offset = offset(number);
    let once = fleet.server.at(fleet.now).accept_once(client.socket, &offset, Some(token));
    let Ok(Once::Fresh(Some(token))) = once else { panic!("{once:?}") };
    assert!(fleet.server.at(fleet.now).ack(token, &Args::empty()));
    fleet.drain();
}

/// Offsets that stand anywhere among each other.
fn offset(number: usize) -> String {
    format!("{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The server waits for many acknowledgements of it, and for many of others.
pub fn questions(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let client = fleet.connect_in("room 1");
    for _ in 0..count {
        let sent = fleet.server.at(fleet.now).emit_with_ack(client.socket, &event(), HOUR);
        assert!(sent.is_ok());
        fleet.drain();
    }
    for round in meter.rounds() {
        everyday_steps(&mut fleet, meter, &client);
        meter.count("ACK", || {
            fleet.send(client.wire, &format!("43{round}[]"));
            let acked = fleet.server.poll_output();
            assert!(
                matches!(acked, Some(ServerOutput::Event(ServerEvent::Acked { .. }))),
                "{acked:?}"
            );
        });
    }
}

/// One broadcast waits for the answers of many.
pub fn answers_of_many(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let clients = fleet.room("room 1", count);
    let room = Audience::room("room 1");
    let sent = fleet.server.at(fleet.now).broadcast_with_ack("/", &room, &event(), HOUR);
    assert!(sent.is_ok());
    fleet.drain();
    for client in clients.iter().take(meter.rounds().len()) {
        meter.count("ACK", || {
            fleet.send(client.wire, "430[]");
            fleet.drain();
        });
    }
    for client in clients.iter().rev().take(meter.rounds().len()) {
        meter.count("lose a WebSocket", || {
            fleet.lose(client.wire);
            fleet.drain();
        });
    }
}

/// Many packets are queued for its client, which does not read.
pub fn queued(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let client = fleet.connect_in("room 1");
    fleet.server.pause(client.wire);
    for _ in 0..count {
        fleet.emit(client.socket);
    }
    for _ in meter.rounds() {
        everyday_steps(&mut fleet, meter, &client);
        fleet.server.resume(fleet.now, client.wire);
        meter.count("one frame is taken", || assert!(fleet.server.poll_output().is_some()));
        fleet.server.pause(client.wire);
    }
}

/// A broadcast excepted its room in each of many rooms, and all of that was evicted.
pub fn evicted(count: usize, meter: &mut Meter) {
    let mut recovery = recovery();
    recovery.buffer_packets = count;
    let mut fleet = Fleet::new(config().recovery(recovery));
    let mut client = fleet.connect_in("quiet");
    for number in 0..count {
        let room = format!("room {number}");
        fleet.connect_in(&room);
        fleet.broadcast(&Audience::room(&room).except("quiet"));
        fleet.drain();
    }
    for number in 0..count {
        fleet.broadcast(&Audience::room(format!("room {number}")).except("quiet"));
        fleet.drain();
    }
    for round in meter.rounds() {
        let audience = Audience::room(format!("room {round}")).except("quiet");
        meter.count("broadcast, which evicts", || fleet.broadcast(&audience));
        fleet.drain();
        meter.count("join", || Steps::join(&mut fleet, client.socket, &format!("new {round}")));
    }
    fleet.lose(client.wire);
    fleet.drain();
    for _ in meter.rounds() {
        client.wire = fleet.open();
        let outcome = meter.count("CONNECT, recovers", || fleet.claim(&mut client));
        assert!(outcome.is_recovered(), "{outcome:?}");
    }
    fleet.emit(client.socket);
    for number in 0..count {
        fleet.broadcast(&Audience::room(format!("room {number}")));
        fleet.drain();
    }
    for _ in meter.rounds() {
        let wire = fleet.open();
        let claim = format!(r#"40{{"pid":"{}"}}"#, client.pid);
        meter.count("CONNECT, refused since a packet is gone", || {
            fleet.send(wire, &claim);
            let joined = fleet.drain().joined.expect("let in");
            assert_eq!(joined.1, RecoveryOutcome::Refused(RecoveryRefusal::Gap));
        });
    }
}
