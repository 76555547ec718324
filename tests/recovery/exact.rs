//! Holes of the reference in which a recovered client loses events, gets events twice, or gets
//! events that were not for it (protocol facts 3.10 B).
//!
//! Each test is named after its hole. The doc line says what the reference does. The test shows
//! what this crate promises.

use std::time::Duration;

use socketio_proto::{
    ReplayOrder,
    hub::{AckFailure, Audience, Once},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
    socket::Args,
};

use crate::support::{World, broadcast, claim_packet, event, numbers, parse_event, recovering};

/// The reference computes the replay before the socket is live. Events that are emitted in between
/// are lost.
#[test]
fn h20_nothing_falls_between_replay_and_live() {
    let mut world = recovering(|recovery| recovery.skip_authorization = false);
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(client));
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 2);
    world.auto_accept = false;
    let client = world.open();
    world.send(client, &claim_packet(&session, offset.as_deref()));
    let (request, ..) = world.requested();
    // While the application makes up its mind.
    broadcast(&mut world, &Audience::all(), 3);
    world.server.at(world.now).accept(request).unwrap();
    broadcast(&mut world, &Audience::all(), 4);
    assert_eq!(world.session(client), session);
    assert_eq!(numbers(&world.texts(client)).0, [2, 3, 4]);
}

/// The reference uses the rooms at the time of the disconnection, not those at the time of each
/// event.
#[test]
fn h23_rooms_are_those_of_the_moment_of_emission() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let (_other, _) = world.connect();
    let (other, _) = world.connected();
    for room in ["left", "joined"] {
        world.server.at(world.now).join(other, room).unwrap();
    }
    world.server.at(world.now).join(socket, "left").unwrap();
    // These are on their way when the link breaks.
    broadcast(&mut world, &Audience::room("left"), 1);
    broadcast(&mut world, &Audience::room("joined"), 2);
    world.server.at(world.now).leave(socket, "left");
    world.server.at(world.now).join(socket, "joined").unwrap();
    broadcast(&mut world, &Audience::room("left"), 3);
    broadcast(&mut world, &Audience::room("joined"), 4);
    world.take(client.wire);
    world.cut(client);
    let (client, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [1, 4]);
}

/// The official client buffers events that arrive before CONNECT, and processes them twice if the
/// link breaks then. So CONNECT comes first, and every replayed event advances the client's offset
/// at once.
#[test]
fn h24_the_replay_follows_connect() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    for number in 1..=4 {
        broadcast(&mut world, &Audience::all(), number);
    }
    let client = world.open();
    world.send(client, &claim_packet(&session, None));
    let packets = world.texts(client);
    assert!(packets[0].starts_with("40{"), "{packets:?}");
    // The link breaks in the middle of the replay: the client has two of four.
    let (had, offset) = numbers(&packets[1..3]);
    assert_eq!(had, [1, 2]);
    world.cut(client);
    let (client, _) = world.claim(&session, offset.as_deref());
    assert_eq!(numbers(&world.texts(client)).0, [3, 4]);
}

/// The reference's order is an option for byte-for-byte compatibility.
#[test]
fn h24_the_order_of_the_reference_is_an_option() {
    let mut world = recovering(|recovery| recovery.replay_order = ReplayOrder::BeforeConnect);
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    let client = world.open();
    world.send(client, &claim_packet(&session, None));
    let packets = world.texts(client);
    assert!(packets[0].starts_with("42[\"m\",1,"), "{packets:?}");
    assert!(packets[1].starts_with("40{"), "{packets:?}");
}

/// The official client presents the offset of an earlier session with a new private id. The
/// reference then replays events from before the new session.
#[test]
fn h25_an_offset_from_before_the_session_means_its_floor() {
    let mut world = World::with_recovery();
    let (first, _) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, stale) = numbers(&world.texts(first));
    broadcast(&mut world, &Audience::all(), 2);
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 3);
    let (client, again) = world.claim(&session, stale.as_deref());
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [3], "nothing from before the session");
    assert_eq!(world.connected().1, RecoveryOutcome::Recovered { replayed: 1 });
    world.cut(client);
    // One from the future, of another log, or of another shape says nothing.
    let refused = RecoveryOutcome::Refused(RecoveryRefusal::InvalidOffset);
    let (epoch, sequence) = stale.as_deref().unwrap().split_once('-').unwrap();
    let future = format!("{epoch}-{}", sequence.parse::<u64>().unwrap() + 1_000);
    let foreign = format!("{}-{sequence}", epoch.parse::<u32>().unwrap() ^ 1);
    for offset in [future.as_str(), foreign.as_str(), "MzUPkW0", "1", "1-2-3", "-", "1-x"] {
        world.connect_with(&claim_packet(&session, Some(offset)));
        assert_eq!(world.connected().1, refused, "{offset}");
    }
    for offset in ["7", "true", "[]", "{}", r#"["1-2"]"#] {
        world.connect_with(&format!(r#"40{{"pid":"{}","offset":{offset}}}"#, session.pid));
        assert_eq!(world.connected().1, refused, "{offset}");
    }
    assert_eq!(world.server.stats().total.refused.invalid_offset, 12);
    let (_, again) = world.claim(&session, None);
    assert_eq!(again, session, "the session is still there for who has it right");
}

/// A dynamic namespace is removed with its last session. A later claim of that session creates a new
/// namespace, where it finds nothing. The offset does not change the reason.
#[test]
fn a_session_of_a_namespace_that_has_gone_is_unknown_in_the_one_that_is_made_again() {
    let mut world = World::with_recovery();
    world.server.at(world.now).add_namespaces_matching(|name| name == "/dyn");
    let (client, session) = world.connect_with("40/dyn,");
    world.server.at(world.now).broadcast("/dyn", &Audience::all(), &event("m", 1)).unwrap();
    world.drain();
    let packet = world.text(client);
    let offset = parse_event(&packet.replace("/dyn,", "")).2.unwrap();
    world.send(client, "41/dyn,");
    assert_eq!(world.server.stats().namespaces, 1, "it has gone");
    for offset in [Some(offset.as_str()), None, Some("made up")] {
        let claim = claim_packet(&session, offset).replacen("40", "40/dyn,", 1);
        let (client, other) = world.connect_with(&claim);
        assert_ne!(other, session);
        assert_eq!(
            world.connected().1,
            RecoveryOutcome::Refused(RecoveryRefusal::Unknown),
            "{offset:?}"
        );
        world.send(client, "41/dyn,");
    }
}

/// In the reference, the same private id can be used several times at once. Then two live sockets
/// have one id, and when the older one ends, the newer one receives nothing more (H28).
#[test]
fn h26_h28_a_session_has_one_link_at_a_time() {
    let mut world = World::with_recovery();
    let (first, session) = world.connect();
    world.cut(first);
    let (second, _) = world.claim(&session, None);
    let (third, _) = world.claim(&session, None);
    assert!(world.is_closed(second));
    // Late word of the old links changes nothing.
    world.cut(second);
    world.cut(first);
    broadcast(&mut world, &Audience::all(), 1);
    assert_eq!(numbers(&world.texts(third)).0, [1]);
    assert_eq!(world.server.stats().sockets, 1);
    let own = Audience::room(session.sid.clone());
    broadcast(&mut world, &own, 2);
    assert_eq!(numbers(&world.texts(third)).0, [2]);
}

/// In the reference a later recovery may find the rooms of an earlier disconnection.
#[test]
fn h27_a_recovery_finds_the_present_rooms() {
    let mut world = World::with_recovery();
    let (mut client, session) = world.connect();
    let (socket, _) = world.connected();
    for round in 0..20 {
        world.server.at(world.now).join(socket, &format!("room {round}")).unwrap();
        world.cut(client);
        let again;
        (client, again) = world.claim(&session, None);
        assert_eq!(again, session);
        assert_eq!(world.server.rooms(socket).count(), round + 2, "its own and those joined");
    }
}

/// In the reference, events that ask for an acknowledgement are not replayed, and the emitter waits
/// forever. Here the acknowledgement fails immediately, or the event is replayed with its id.
#[test]
fn h29_acknowledgements_settle_when_the_link_is_lost() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let timeout = Duration::from_secs(600);
    let ack = world.server.at(world.now).emit_with_ack(socket, &event("q", 1), timeout).unwrap();
    world.drain();
    world.cut(client);
    let failed = world.pick(|event| match event {
        ServerEvent::AckFailed { ack, cause, .. } => Some((*ack, *cause)),
        _ => None,
    });
    assert_eq!(failed, [(ack, AckFailure::Disconnected)]);
    let (client, _) = world.claim(&session, None);
    assert!(world.texts(client).is_empty());
}

/// The option: the id is kept, and the acknowledgement moves to the recovered socket.
#[test]
fn h29_acknowledged_events_can_be_replayed_with_their_id() {
    let mut world = recovering(|recovery| recovery.replay_ack_events = true);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let timeout = Duration::from_secs(600);
    let ask = |world: &mut World, number| {
        let ack = world.server.at(world.now).emit_with_ack(socket, &event("q", number), timeout);
        world.drain();
        ack.unwrap()
    };
    let answered = ask(&mut world, 1);
    let lost = ask(&mut world, 2);
    let packets = world.texts(client);
    assert_eq!(packets, [r#"420["q",1]"#, r#"421["q",2]"#]);
    world.send(client, r#"430["yes"]"#);
    world.cut(client);
    let away = ask(&mut world, 3);
    let (client, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(world.texts(client), [r#"421["q",2]"#, r#"422["q",3]"#]);
    world.send(client, "431[]");
    world.send(client, "432[]");
    let acked = world.pick(|event| match event {
        ServerEvent::Acked { ack, .. } => Some(*ack),
        ServerEvent::AckFailed { .. } => panic!("{event:?}"),
        _ => None,
    });
    assert_eq!(acked, [answered, lost, away]);
}

/// Some of the reference's stores replay volatile events.
#[test]
fn h30_volatile_events_are_not_replayed() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all().volatile(), 1);
    broadcast(&mut world, &Audience::all(), 2);
    let (client, _) = world.claim(&session, None);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
    let (socket, _) = world.connected();
    world.server.at(world.now).emit_volatile(socket, &event("m", 3)).unwrap();
    world.cut(client);
    let (client, _) = world.claim(&session, None);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
}

/// One of the reference's stores replays a broadcast with acknowledgements as a plain event.
#[test]
fn h31_broadcasts_with_acknowledgements_are_not_replayed() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    let timeout = Duration::from_secs(5);
    let everyone = Audience::all();
    let ack =
        world.server.at(world.now).broadcast_with_ack("/", &everyone, &event("q", 1), timeout);
    world.drain();
    let settled = world.pick(|event| match event {
        ServerEvent::BroadcastAcked { ack, responses, missing, timed_out, .. } => {
            Some((*ack, responses.len(), *missing, *timed_out))
        }
        _ => None,
    });
    assert_eq!(settled, [(ack.unwrap(), 0, 0, false)], "nobody is connected");
    let (client, _) = world.claim(&session, None);
    assert!(world.texts(client).is_empty());
}

/// Each replayed packet carries its offset, so that the next recovery starts after it.
#[test]
fn h32_replayed_packets_carry_their_offset() {
    let mut world = World::with_recovery();
    let (mut client, session) = world.connect();
    let mut offset: Option<String> = None;
    for number in 1..=20 {
        world.cut(client);
        broadcast(&mut world, &Audience::all(), number);
        let again;
        (client, again) = world.claim(&session, offset.as_deref());
        assert_eq!(again, session);
        let (replayed, last) = numbers(&world.texts(client));
        assert_eq!(replayed, [number]);
        offset = last;
    }
}

/// In a cluster of the reference a disconnection overtakes the event emitted before it.
#[test]
fn h36_what_was_emitted_before_a_kick_arrives() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).emit(socket, &event("m", 1)).unwrap();
    world.server.at(world.now).disconnect(socket, false);
    world.drain();
    let packets = world.texts(client);
    assert_eq!(numbers(&packets[..1]).0, [1]);
    assert_eq!(packets[1], "41");
}

/// In the reference, an event that a middleware emits is logged although no client can receive it,
/// and is replayed in a later recovery. Here there is no socket to emit to before it is accepted.
#[test]
fn h39_there_is_no_socket_before_it_is_accepted() {
    let mut world = World::with_recovery();
    world.auto_accept = false;
    let client = world.open();
    world.send(client, "40");
    let (request, _, _, recoverable) = world.requested();
    assert_eq!(recoverable, None);
    broadcast(&mut world, &Audience::all(), 1);
    assert_eq!(world.server.stats().log_packets, 0, "addressed to nobody");
    world.server.at(world.now).accept(request).unwrap();
    world.drain();
    let session = world.session(client);
    world.cut(client);
    world.auto_accept = true;
    let (client, _) = world.claim(&session, None);
    assert!(world.texts(client).is_empty());
}

/// In the reference the answer to an event that was being handled when the link broke is lost, and
/// a retry is handled twice.
#[test]
fn h40_an_answer_outlives_the_link_and_a_retry_is_recognised() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.send(client, r#"421["order","o-1"]"#);
    let token = world.token();
    let once = world.server.at(world.now).accept_once(socket, "o-1", Some(token));
    let Ok(Once::Fresh(Some(token))) = once else {
        panic!("{once:?}");
    };
    world.cut(client);
    assert!(world.server.at(world.now).ack(token, &Args::new(&("done",)).unwrap()), "kept");
    let (client, _) = world.claim(&session, None);
    world.send(client, r#"422["order","o-1"]"#);
    let token = world.token();
    let once = world.server.at(world.now).accept_once(socket, "o-1", Some(token));
    assert_eq!(once, Ok(Once::Duplicate));
    world.drain();
    assert_eq!(world.texts(client), [r#"432["done"]"#]);
}

/// A clock that is set back makes positions of the reference ambiguous.
#[test]
fn h41_positions_do_not_depend_on_the_clock() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(client));
    world.now = socketio_proto::Timestamp::ZERO;
    broadcast(&mut world, &Audience::all(), 2);
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 3);
    let (client, again) = world.claim(&session, offset.as_deref());
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [2, 3]);
}

/// Two namespaces of one connection are recovered independently.
#[test]
fn namespaces_are_recovered_independently() {
    let mut world = World::with_recovery();
    world.server.at(world.now).add_namespace("/news").unwrap();
    let (client, main) = world.connect();
    world.send(client, "40/news,");
    let news = world.session(client);
    world.cut(client);
    world.server.at(world.now).broadcast("/news", &Audience::all(), &event("m", 1)).unwrap();
    broadcast(&mut world, &Audience::all(), 2);
    let (client, again) = world.claim(&main, None);
    assert_eq!(again, main);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
    world.send(client, &format!("40/news,{{\"pid\":\"{}\",\"offset\":\"bad\"}}", news.pid));
    assert_ne!(world.session(client), news);
    assert!(world.texts(client).is_empty());
}
