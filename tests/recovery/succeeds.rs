//! Holes of the reference in which recovery fails although it should work (protocol facts 3.10 A).
//!
//! Each test is named after its hole. The doc line says what the reference does. The test shows
//! what this crate promises.

use std::time::Duration;

use socketio_proto::{
    hub::Audience,
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
    socket,
};

use crate::support::{
    World, broadcast, claim_packet, event, numbers, parse_event, recovering, recovery_config,
};

/// The reference sends no offset before the first event. So a client that loses its link before
/// then loses its id, rooms and data.
#[test]
fn h01_a_session_without_events_is_recovered() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).set_data(socket, 7);
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    let (client, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(world.connected(), (socket, RecoveryOutcome::Recovered { replayed: 1 }));
    assert_eq!(world.server.data(socket), Some(&7));
    let packets = world.texts(client);
    assert_eq!(numbers(&packets).0, [1]);
    // An empty offset is what the Go client sends for none.
    world.cut(client);
    let (_, again) = world.claim(&session, Some(""));
    assert_eq!(again, session);
}

/// The reference refuses a client if its last event was pruned, even if the client missed nothing.
#[test]
fn h02_silence_however_long_loses_nothing() {
    let mut world = recovering(|recovery| recovery.buffer_packets = 3);
    let (client, session) = world.connect();
    let (quiet, _) = world.connected();
    let (_busy_client, _) = world.connect();
    let (busy, _) = world.connected();
    world.server.at(world.now).join(quiet, "quiet").unwrap();
    world.server.at(world.now).join(busy, "busy").unwrap();
    broadcast(&mut world, &Audience::room("quiet"), 1);
    let (_, offset) = numbers(&world.texts(client));
    for number in 10..50 {
        broadcast(&mut world, &Audience::room("busy"), number);
    }
    world.cut(client);
    broadcast(&mut world, &Audience::room("quiet"), 2);
    let (client, again) = world.claim(&session, offset.as_deref());
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
}

/// The reference creates a new session. Events that are emitted to the old one until its ping
/// timeout are lost.
#[test]
fn h03_a_half_open_link_is_taken_over() {
    let mut world = World::with_recovery();
    let (old, session) = world.connect();
    let (socket, _) = world.connected();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(old));
    // The link is dead, and the server does not know.
    broadcast(&mut world, &Audience::all(), 2);
    world.texts(old);
    let (new, again) = world.claim(&session, offset.as_deref());
    assert_eq!(again, session);
    assert!(world.is_closed(old), "the old link is closed");
    let story = world.pick(|event| match event {
        ServerEvent::Disconnected { socket, reason, data, .. } => {
            Some((*socket, format!("{reason:?} {data:?}")))
        }
        ServerEvent::Connected { socket, recovery, .. } => Some((*socket, format!("{recovery:?}"))),
        _ => None,
    });
    let expected = ["TakenOver None", "Recovered { replayed: 1 }"];
    assert_eq!(story, expected.map(|line| (socket, line.to_owned())));
    assert_eq!(numbers(&world.texts(new)).0, [2]);
    broadcast(&mut world, &Audience::all(), 3);
    assert_eq!(numbers(&world.texts(new)).0, [3], "live, and once");
    assert_eq!(world.server.stats().total.taken_over, 1);
}

/// In the reference a volatile event's last string becomes the client's offset, and its next
/// recovery fails.
#[test]
fn h04_a_trailing_string_is_never_taken_for_the_offset() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(client));
    let volatile = Audience::all().volatile();
    let tick = socket::Event::new("tick", &("just text",)).unwrap();
    world.server.at(world.now).broadcast("/", &volatile, &tick).unwrap();
    world.drain();
    let (name, args, marker) = parse_event(&world.text(client));
    assert_eq!((name.as_str(), args), ("tick", vec!["just text".into()]));
    assert_eq!(marker, offset, "the present position, so nothing is replayed twice");
    world.cut(client);
    let (client, again) = world.claim(&session, marker.as_deref());
    assert_eq!(again, session);
    assert!(world.texts(client).is_empty());
    // Without a trailing string nothing is added.
    world.server.at(world.now).broadcast("/", &volatile, &event("tick", 5)).unwrap();
    world.drain();
    assert_eq!(world.text(client), r#"42["tick",5]"#);
}

/// The reference consumes a session before the client has it, so a second loss is fatal.
#[test]
fn h08_two_losses_in_a_row_are_no_loss() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(client));
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 2);
    for _ in 0..5 {
        let client = world.open();
        world.send(client, &claim_packet(&session, offset.as_deref()));
        // The answer never arrives.
        world.cut(client);
    }
    let (client, again) = world.claim(&session, offset.as_deref());
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
    // A refusal by offset consumes nothing either.
    world.cut(client);
    let (_, other) = world.claim(&session, Some("garbage"));
    assert_ne!(other, session);
    let (_, again) = world.claim(&session, offset.as_deref());
    assert_eq!(again, session);
}

/// The reference deletes a dynamic namespace and its sessions when its last socket disconnects.
#[test]
fn h09_a_dynamic_namespace_outlives_its_last_link() {
    let mut world = World::with_recovery();
    world.server.at(world.now).add_namespaces_matching(|name| name.starts_with("/room-"));
    let (client, session) = world.connect_with("40/room-1,");
    world.cut(client);
    let claim = format!("40/room-1,{{\"pid\":\"{}\"}}", session.pid);
    let (client, again) = world.connect_with(&claim);
    assert_eq!(again, session);
    assert_eq!(world.server.stats().namespaces, 2);
    world.send(client, "41/room-1,");
    assert_eq!(world.server.stats().namespaces, 1, "nobody is left in it");
}

/// The official client keeps its last offset when it gets a new session.
#[test]
fn a_session_without_events_is_recovered_by_a_client_with_a_former_offset() {
    let mut world = World::with_recovery();
    let (first, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(first));
    world.cut(first);
    world.advance(Duration::from_secs(120));
    let (second, session_2) = world.claim(&session, offset.as_deref());
    assert_ne!(session_2, session, "away for too long");
    world.cut(second);
    broadcast(&mut world, &Audience::all(), 2);
    let (third, again) = world.claim(&session_2, offset.as_deref());
    assert_eq!(again, session_2);
    assert_eq!(numbers(&world.texts(third)).0, [2]);
}

/// The same if the earlier session belonged to an earlier process, and got more than is in the
/// snapshot.
#[test]
fn a_former_offset_from_behind_the_snapshot_says_nothing_of_a_later_session() {
    let mut world = World::with_recovery();
    let (first, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let snapshot = serde_json::to_string(&world.server.snapshot(world.now)).unwrap();
    broadcast(&mut world, &Audience::all(), 2);
    let (_, lost) = numbers(&world.texts(first));
    world.restore(recovery_config(), &snapshot).unwrap();
    // It has got what this process does not know: that is true for the restored session alone.
    let (second, session_2) = world.claim(&session, lost.as_deref());
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::InvalidOffset));
    world.cut(second);
    broadcast(&mut world, &Audience::all(), 3);
    let (third, again) = world.claim(&session_2, lost.as_deref());
    assert_eq!(again, session_2);
    assert_eq!(numbers(&world.texts(third)).0, [3]);
}

/// Clients in Dart write `null` for the offset that they do not have.
#[test]
fn a_null_offset_is_none() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    let claim = format!(r#"40{{"pid":"{}","offset":null}}"#, session.pid);
    let (client, again) = world.connect_with(&claim);
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [1]);
}

/// What was acknowledged, or cannot be any more, would not be replayed.
#[test]
fn a_settled_question_that_was_evicted_is_no_gap() {
    let mut world = recovering(|recovery| {
        recovery.replay_ack_events = true;
        recovery.buffer_packets = 1;
    });
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let (_other_client, _) = world.connect();
    let (other, _) = world.connected();
    for (number, answer) in [Some("430[]"), None].into_iter().enumerate() {
        let question = event("q", number as u64);
        let second = Duration::from_secs(1);
        world.server.at(world.now).emit_with_ack(socket, &question, second).unwrap();
        world.drain();
        // Evicted while it is awaited.
        world.server.at(world.now).emit(other, &event("m", 1)).unwrap();
        world.drain();
        let (lost, _) = world.claim(&session, None);
        let gap = RecoveryOutcome::Refused(RecoveryRefusal::Gap);
        assert_eq!(world.connected().1, gap, "it would be replayed");
        world.cut(lost);
        match answer {
            Some(answer) => world.send(client, answer),
            None => world.advance(second),
        }
    }
    world.take(client.wire);
    world.cut(client);
    let (_, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(world.connected().1, RecoveryOutcome::Recovered { replayed: 0 });
}

/// Rooms that were forgotten tell nothing if nothing was addressed to the session meanwhile.
#[test]
fn forgotten_memberships_that_nothing_depends_on_are_no_limit() {
    for packets in [1, 100] {
        let mut world = recovering(|recovery| {
            recovery.memberships = 1;
            recovery.buffer_packets = packets;
        });
        let (client, session) = world.connect();
        let (socket, _) = world.connected();
        let (_other, _) = world.connect();
        let (other, _) = world.connected();
        world.server.at(world.now).join(other, "x").unwrap();
        for room in ["a", "b", "c", "d"] {
            world.server.at(world.now).join(socket, room).unwrap();
            // In its own room, too, but withheld from it.
            world.server.at(world.now).join(other, room).unwrap();
            let others = Audience::room(room).except(session.sid.clone());
            broadcast(&mut world, &others, 1);
            broadcast(&mut world, &Audience::room("x"), 1);
            assert!(world.server.at(world.now).leave(socket, room));
        }
        assert!(world.texts(client).is_empty(), "nothing was addressed to it");
        world.cut(client);
        broadcast(&mut world, &Audience::room(session.sid.clone()), 2);
        let (client, again) = world.claim(&session, None);
        assert_eq!(again, session);
        assert_eq!(numbers(&world.texts(client)).0, [2]);
    }
}
