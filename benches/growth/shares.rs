//! Steps that get much: the share of each part of it.

use std::time::Duration;

use socketio_proto::{
    hub::Audience,
    recovery::{RecoveryOutcome, RecoveryRefusal},
};

use crate::{
    count::Meter,
    support::fleet::Fleet,
    world::{HOUR, Steps, config, event, recovery},
};

/// A session in many rooms, from each of which packets were evicted that excepted some of them.
pub fn of_rooms(count: usize, meter: &mut Meter) {
    let mut recovery = recovery();
    recovery.buffer_packets = count;
    let mut fleet = Fleet::new(config().recovery(recovery));
    let mut client = fleet.connect();
    // Others are in the rooms, too, so that these stay.
    let other = fleet.connect_in("annexe");
    for number in 0..count {
        for socket in [client.socket, other.socket] {
            Steps::join(&mut fleet, socket, &format!("room {number}"));
        }
    }
    for number in 0..2 * count {
        let [room, except] = [number, number * 7 + 1].map(|it| format!("room {}", it % count));
        fleet.broadcast(&Audience::room(room).except(except));
        fleet.drain();
    }
    // It leaves some rooms and comes back, so that there are past memberships to look at.
    for number in 0..count / 4 {
        let room = format!("room {number}");
        fleet.broadcast(&Audience::room("annexe"));
        assert!(fleet.server.at(fleet.now).leave(client.socket, &room));
        Steps::join(&mut fleet, client.socket, &room);
        fleet.drain();
    }
    for _ in meter.rounds() {
        meter.count_each("lose a WebSocket, a room", count, || {
            fleet.lose(client.wire);
            fleet.drain();
        });
        client.wire = fleet.open();
        let outcome =
            meter.count_each("CONNECT, recovers, a room", count, || fleet.claim(&mut client));
        assert!(outcome.is_recovered(), "{outcome:?}");
    }
    fleet.lose(client.wire);
    fleet.emit(client.socket);
    for _ in 0..count {
        fleet.broadcast(&Audience::room("annexe"));
        fleet.drain();
    }
    for _ in meter.rounds() {
        let wire = fleet.open();
        let claim = format!(r#"40{{"pid":"{}"}}"#, client.pid);
        let joined = meter.count_each("CONNECT, refused, a room", count, || {
            fleet.send(wire, &claim);
            fleet.drain().joined
        });
        assert_eq!(joined.expect("let in").1, RecoveryOutcome::Refused(RecoveryRefusal::Gap));
    }
    meter.count_each("disconnect, a room", count, || {
        assert!(fleet.server.at(fleet.now).disconnect(client.socket, true));
        fleet.drain();
    });
}

/// Many packets were missed, and as many withheld.
pub fn of_packets(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let mut client = fleet.connect_in("room 1");
    Steps::join(&mut fleet, client.socket, "quiet");
    fleet.connect_in("elsewhere");
    // The exceptions are looked for among these.
    for number in 0..count / 4 {
        Steps::join(&mut fleet, client.socket, &format!("other {number}"));
    }
    for _ in 0..count {
        fleet.broadcast(&Audience::room("room 1").except("quiet"));
        fleet.broadcast(&Audience::room("room 1").except("elsewhere"));
        fleet.drain();
    }
    for _ in meter.rounds() {
        fleet.lose(client.wire);
        fleet.drain();
        client.wire = fleet.open();
        let outcome =
            meter.count_each("CONNECT, recovers, a packet", count, || fleet.claim(&mut client));
        assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: count });
    }
}

/// Many sockets are concerned at once.
pub fn of_sockets(count: usize, meter: &mut Meter) {
    let mut fleet = Fleet::new(config());
    let room = Audience::room("room 1");
    let clients = fleet.room("room 1", count);
    for _ in meter.rounds() {
        meter.count_each("broadcast, a recipient", count, || {
            assert_eq!(fleet.broadcast(&room), count);
            fleet.drain();
        });
        meter.count_each("broadcast except others, a recipient", count, || {
            assert_eq!(fleet.broadcast(&Audience::room("room 1").except("elsewhere")), count);
            fleet.drain();
        });
        meter.count_each("broadcast_with_ack and its timeout, a recipient", count, || {
            let timeout = Duration::from_secs(1);
            let sent = fleet.server.at(fleet.now).broadcast_with_ack("/", &room, &event(), timeout);
            assert!(sent.is_ok());
            fleet.drain();
            fleet.now = fleet.now.saturating_add(timeout);
            fleet.time_out();
        });
        meter.count_each("sockets_join and sockets_leave, a socket", count, || {
            assert_eq!(fleet.server.at(fleet.now).sockets_join("/", &room, "hall"), Ok(count));
            assert_eq!(fleet.server.at(fleet.now).sockets_leave("/", &room, "hall"), Ok(count));
        });
    }
    meter.count_each("disconnect_sockets, a socket", count, || {
        assert_eq!(fleet.server.at(fleet.now).disconnect_sockets("/", &room, true), Ok(count));
        fleet.drain();
    });
    for client in clients {
        fleet.lose(client.wire);
    }
}

/// Many things are due at the same moment.
pub fn of_timeouts(count: usize, meter: &mut Meter) {
    let mut recovery = recovery();
    recovery.max_disconnection = HOUR;
    let mut fleet = Fleet::new(config().recovery(recovery));
    let client = fleet.connect();
    let timeout = Duration::from_secs(1);
    for _ in meter.rounds() {
        for _ in 0..count {
            let sent = fleet.server.at(fleet.now).emit_with_ack(client.socket, &event(), timeout);
            assert!(sent.is_ok());
        }
        fleet.drain();
        fleet.now = fleet.now.saturating_add(timeout);
        meter.count_each("timeouts of acknowledgements, one", count, || fleet.time_out());
    }
    for gone in fleet.room("room 1", count) {
        fleet.lose(gone.wire);
    }
    fleet.drain();
    fleet.now = fleet.now.saturating_add(HOUR);
    meter.count_each("sessions that expire, one", count, || fleet.time_out());
    assert_eq!(fleet.server.stats().parked_sessions, 0);
}
