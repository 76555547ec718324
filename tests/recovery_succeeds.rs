//! Holes of the reference in which recovery fails although it should work (protocol facts 3.10 A).
//!
//! Each test is named after its hole. The doc line says what the reference does; the test, what we
//! promise.

mod support;

use socketio_proto::{hub::Audience, recovery::RecoveryOutcome, server::Event, socket};
use support::{World, broadcast, claim_packet, event, numbers, parse_event, recovering};

/// The reference has no offset to give before the first event, so id, rooms and data are lost.
#[test]
fn h01_a_session_without_events_is_recovered() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.set_data(socket, 7);
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

/// The reference refuses whoever's last event was pruned, though nothing was missed.
#[test]
fn h02_silence_however_long_loses_nothing() {
    let mut world = recovering(|recovery| recovery.buffer_packets = 3);
    let (client, session) = world.connect();
    let (quiet, _) = world.connected();
    let (_busy_client, _) = world.connect();
    let (busy, _) = world.connected();
    world.server.join(quiet, "quiet").unwrap();
    world.server.join(busy, "busy").unwrap();
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

/// The reference makes a new identity; what is emitted to the old one until its ping timeout is
/// lost.
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
        Event::Disconnected { socket, reason, data, .. } => {
            Some((*socket, format!("{reason:?} {data:?}")))
        }
        Event::Connected { socket, recovery, .. } => Some((*socket, format!("{recovery:?}"))),
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
    world.server.broadcast(world.now, "/", &volatile, &tick).unwrap();
    world.drain();
    let (name, args, marker) = parse_event(&world.text(client));
    assert_eq!((name.as_str(), args), ("tick", vec!["just text".into()]));
    assert_eq!(marker, offset, "the present position, so nothing is replayed twice");
    world.cut(client);
    let (client, again) = world.claim(&session, marker.as_deref());
    assert_eq!(again, session);
    assert!(world.texts(client).is_empty());
    // Without a trailing string nothing is added.
    world.server.broadcast(world.now, "/", &volatile, &event("tick", 5)).unwrap();
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

/// The reference deletes a dynamic namespace with its sessions when its last socket goes.
#[test]
fn h09_a_dynamic_namespace_outlives_its_last_link() {
    let mut world = World::with_recovery();
    world.server.add_namespaces_matching(|name| name.starts_with("/room-"));
    let (client, session) = world.connect_with("40/room-1,");
    world.cut(client);
    let claim = format!("40/room-1,{{\"pid\":\"{}\"}}", session.pid);
    let (client, again) = world.connect_with(&claim);
    assert_eq!(again, session);
    assert_eq!(world.server.stats().namespaces, 2);
    world.send(client, "41/room-1,");
    assert_eq!(world.server.stats().namespaces, 1, "nobody is left in it");
}
