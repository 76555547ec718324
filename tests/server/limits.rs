//! A test reaches every limit of the configuration and checks the documented consequence.
//! Meanwhile, another client is served as before.

use std::time::Duration;

use socketio_proto::{
    ConfigError, Limits, RecoveryConfig, ServerConfig,
    hub::{Audience, DisconnectReason, EmitError, ExpiryCause, NamespaceError, RoomError},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{Server, ServerEvent, ServerInput},
    socket,
};

use crate::support::{
    Received, World, bystander::Bystander, counting_entropy, get, recovery_config,
};

fn limited(change: impl FnOnce(&mut Limits)) -> World {
    let mut limits = Limits::default();
    change(&mut limits);
    World::new(recovery_config().limits(limits))
}

fn recovering(change: impl FnOnce(&mut RecoveryConfig)) -> World {
    let mut recovery = RecoveryConfig::default();
    change(&mut recovery);
    World::new(recovery_config().recovery(recovery))
}

fn text(bytes: usize) -> socket::Event {
    socket::Event::new("m", &("x".repeat(bytes), 0)).unwrap()
}

#[test]
fn connections() {
    let mut world = limited(|limits| limits.connections = 2);
    let mut bystander = Bystander::new(&mut world);
    let _second = world.open();
    let wire = world.wire();
    world.input(ServerInput::Request { wire, head: get("EIO=4&transport=polling"), body: None });
    let received = world.take(wire);
    let [Received::Response(response)] = &received[..] else { panic!("{received:?}") };
    assert_eq!(response.status, 400);
    assert!(response.body.starts_with(b"{\"code\":3,"), "{:?}", response.body);
    let upgrade = get("EIO=4&transport=websocket");
    let head = socketio_proto::engine::RequestHead { upgrade: true, ..upgrade };
    assert!(world.server.verify(world.now, &head).is_err());
    let wire = world.wire();
    world.input(ServerInput::WebSocketOpened { wire, head });
    assert_eq!(world.take(wire), [Received::Closed(Some(1013))]);
    bystander.check(&mut world);
}

#[test]
fn handshakes() {
    let mut world = limited(|limits| {
        limits.handshake_burst = 3;
        limits.handshakes_per_second = 10;
    });
    let mut bystander = Bystander::new(&mut world);
    let (_second, _third) = (world.open(), world.open());
    let refused = |world: &mut World| {
        let wire = world.wire();
        world.input(ServerInput::Request {
            wire,
            head: get("EIO=4&transport=polling"),
            body: None,
        });
        matches!(&world.take(wire)[..], [Received::Response(response)] if response.status == 400)
    };
    assert!(refused(&mut world));
    let upgrade = get("EIO=4&transport=websocket");
    let head = socketio_proto::engine::RequestHead { upgrade: true, ..upgrade };
    let refusal = world.server.verify(world.now, &head).unwrap_err();
    assert_eq!(refusal.context, "TOO_MANY_HANDSHAKES");
    let wire = world.wire();
    world.input(ServerInput::WebSocketOpened { wire, head });
    assert_eq!(world.take(wire), [Received::Closed(Some(1013))]);
    assert_eq!(world.server.stats().total.requests_refused.too_many_handshakes, 3);
    bystander.check(&mut world);
    // One comes back each tenth of a second.
    world.advance(Duration::from_millis(99));
    assert!(refused(&mut world));
    world.advance(Duration::from_millis(1));
    assert!(world.server.verify(world.now, &head).is_ok(), "to ask costs nothing");
    assert!(!refused(&mut world));
    assert!(refused(&mut world));
}

fn paced_packets() -> World {
    limited(|limits| {
        limits.packet_burst = 100;
        limits.packets_per_second = 10;
    })
}

#[test]
fn packets() {
    let mut world = paced_packets();
    let mut bystander = Bystander::new(&mut world);
    let (client, session) = world.connect();
    world.events.clear();
    let mut sent = 0;
    while !world.is_closed(client) {
        world.send(client, "42[\"flood\"]");
        sent += 1;
    }
    assert_eq!(sent, 100, "99 after the CONNECT, and the one that was too much");
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, data, .. } => Some((*reason, data.is_none())),
        _ => None,
    });
    assert_eq!(reasons, [(DisconnectReason::RateLimited, true)], "parked");
    assert_eq!(world.server.stats().total.connections_closed.rate_limited, 1);
    let (back, again) = world.claim(&session, None);
    assert_eq!(again, session);
    // What comes at the rate may come for ever.
    for _ in 0..200 {
        world.advance(Duration::from_millis(100));
        world.send(back, "42[\"event\"]");
    }
    assert!(!world.is_closed(back));
    bystander.check(&mut world);
}

#[test]
fn packets_by_their_bytes() {
    let mut world = paced_packets();
    let mut bystander = Bystander::new(&mut world);
    let (client, _) = world.connect();
    let event = format!("42[\"{}\"]", "x".repeat(400_000));
    world.send(client, &event);
    world.send(client, &event);
    assert!(!world.is_closed(client), "49 each");
    world.send(client, &event);
    assert!(!world.is_closed(client), "who finds one left may take more");
    world.send(client, "42[\"a\"]");
    assert_eq!(world.take(client.wire), [Received::Closed(Some(1008))]);
    bystander.check(&mut world);
}

#[test]
fn attachments_that_do_not_follow() {
    let mut world = World::with_recovery();
    let mut bystander = Bystander::new(&mut world);
    let (client, session) = world.connect();
    world.events.clear();
    world.send(client, "452-[\"a\",{\"_placeholder\":true,\"num\":0}]");
    world.advance(Duration::from_secs(29));
    world.send_binary(client, b"1");
    world.send(client, "3");
    bystander.pong(&mut world);
    world.advance(Duration::from_secs(29));
    assert!(!world.is_closed(client), "one came in time");
    // What proves that the client is there does not help it.
    world.send(client, "3");
    world.advance(Duration::from_secs(1));
    assert!(world.is_closed(client));
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reasons, [DisconnectReason::AttachmentTimeout]);
    assert_eq!(world.server.stats().total.connections_closed.attachment_timeout, 1);
    assert_eq!(world.claim(&session, None).1, session);
    bystander.check(&mut world);
}

#[test]
fn no_namespace_joined() {
    let mut world = World::with_recovery();
    let client = world.open();
    // Attachments do not prolong it.
    world.send(client, "451-[\"a\"]");
    world.advance(Duration::from_secs(44));
    assert!(!world.is_closed(client));
    world.send(client, "3");
    world.advance(Duration::from_secs(1));
    assert!(world.is_closed(client));
    assert_eq!(world.server.stats().total.connections_closed.connect_timeout, 1);
}

#[test]
fn queued_bytes_and_packets() {
    let by_bytes: fn(&mut Limits) = |limits| limits.queued_bytes = 10_000;
    let by_packets: fn(&mut Limits) = |limits| limits.queued_packets = 10;
    for (change, bytes) in [(by_bytes, 1_000), (by_packets, 10)] {
        let mut world = limited(change);
        let mut bystander = Bystander::new(&mut world);
        let (slow, session) = world.connect();
        world.events.clear();
        world.server.pause(slow.wire);
        for _ in 0..11 {
            let now = world.now;
            world.server.at(now).broadcast("/", &Audience::all(), &text(bytes)).unwrap();
            world.drain();
        }
        let story = world.pick(|event| match event {
            ServerEvent::Disconnected { reason, data, .. } => Some(format!("{reason:?} {data:?}")),
            ServerEvent::ConnectionClosed { reason, .. } => Some(format!("{reason:?}")),
            _ => None,
        });
        let expected = [format!("{:?} None", DisconnectReason::Overflow), "Overflow".to_owned()];
        assert_eq!(story, expected);
        assert_eq!(world.server.stats().total.connections_closed.overflow, 1);
        assert!(world.is_closed(slow));
        // Recovery is the back-pressure of last resort: nothing is lost.
        let (back, again) = world.claim(&session, None);
        assert_eq!(again, session);
        assert_eq!(world.texts(back).len(), 11);
        bystander.check(&mut world);
    }
}

#[test]
fn attachments_their_bytes_and_namespace_names() {
    let mut limits = Limits::default();
    limits.attachments = 2;
    limits.attachment_bytes = 5;
    limits.namespace_name_bytes = 8;
    let cases: [&[&str]; 2] = [&["453-[\"a\"]"], &["452-[\"a\"]", "b"]];
    let mut world = World::new(recovery_config().limits(limits.clone()));
    let client = world.open();
    world.send(client, "40/12345678,");
    let refusal = r#"44/12345678,{"message":"Namespace name too long"}"#;
    assert_eq!(world.texts(client), [refusal]);
    for packets in cases {
        let mut world = World::new(recovery_config().limits(limits.clone()));
        let mut bystander = Bystander::new(&mut world);
        let (client, session) = world.connect();
        for packet in packets {
            if *packet == "b" {
                world.send_binary(client, b"123");
                assert!(world.take(client.wire).is_empty(), "within the limits");
                world.send_binary(client, b"456");
            } else {
                world.send(client, packet);
            }
        }
        assert_eq!(world.take(client.wire), [Received::Closed(Some(1007))], "{packets:?}");
        assert_eq!(world.claim(&session, None).1, session, "an application may have done it");
        bystander.check(&mut world);
    }
}

#[test]
fn max_payload() {
    let mut world = World::new(recovery_config().max_payload(200));
    let mut bystander = Bystander::new(&mut world);
    let (client, _) = world.connect();
    world.send(client, &format!("42[\"{}\"]", "x".repeat(194)));
    assert!(world.take(client.wire).is_empty(), "200 bytes are within the limit");
    world.send(client, &format!("42[\"{}\"]", "x".repeat(195)));
    assert_eq!(world.take(client.wire), [Received::Closed(Some(1009))]);
    bystander.check(&mut world);
}

#[test]
fn namespaces() {
    let mut world = limited(|limits| limits.namespaces = 3);
    world.server.at(world.now).add_namespaces_matching(|_| true);
    let mut bystander = Bystander::new(&mut world);
    let client = world.open();
    for name in ["/a", "/b"] {
        world.send(client, &format!("40{name},"));
        world.session(client);
    }
    world.send(client, "40/c,");
    assert_eq!(world.texts(client), [r#"44/c,{"message":"Invalid namespace"}"#]);
    assert_eq!(
        world.server.at(world.now).add_namespace("/c"),
        Err(NamespaceError::TooMany { limit: 3 })
    );
    bystander.check(&mut world);
}

#[test]
fn namespaces_per_connection() {
    let mut world = limited(|limits| limits.namespaces_per_connection = 2);
    world.server.at(world.now).add_namespaces_matching(|_| true);
    let mut bystander = Bystander::new(&mut world);
    let client = world.open();
    for name in ["/a", "/b"] {
        world.send(client, &format!("40{name},"));
        world.session(client);
    }
    world.send(client, "40/c,");
    assert_eq!(world.texts(client), [r#"44/c,{"message":"Too many namespaces"}"#]);
    world.send(client, "41/a,");
    world.send(client, "40/c,");
    world.session(client);
    bystander.check(&mut world);
}

#[test]
fn rooms_per_socket_and_their_names() {
    let mut world = limited(|limits| {
        limits.rooms_per_socket = 3;
        limits.room_name_bytes = 20;
    });
    let (_client, _) = world.connect();
    let (socket, _) = world.connected();
    assert_eq!(world.server.at(world.now).join(socket, "a"), Ok(true));
    assert_eq!(world.server.at(world.now).join(socket, "b"), Ok(true));
    let too_many = Err(RoomError::TooManyRooms { limit: 3 });
    assert_eq!(world.server.at(world.now).join(socket, "c"), too_many, "its own room counts");
    assert_eq!(world.server.at(world.now).join(socket, "a"), Ok(false), "it is in that one");
    assert!(world.server.at(world.now).leave(socket, "a"));
    assert_eq!(world.server.at(world.now).join(socket, "c"), Ok(true));
    assert!(world.server.at(world.now).leave(socket, "c"));
    let too_long = Err(RoomError::NameTooLong { limit: 20 });
    assert_eq!(world.server.at(world.now).join(socket, &"r".repeat(21)), too_long);
    assert_eq!(world.server.at(world.now).join(socket, &"r".repeat(20)), Ok(true));
}

#[test]
fn pending_acks() {
    let mut world = limited(|limits| limits.pending_acks = 2);
    let (client, _) = world.connect();
    let (socket, _) = world.connected();
    let timeout = Duration::from_secs(5);
    let ask = |world: &mut World| {
        let result = world.server.at(world.now).emit_with_ack(socket, &text(1), timeout);
        world.drain();
        result
    };
    assert!(ask(&mut world).is_ok() && ask(&mut world).is_ok());
    assert_eq!(ask(&mut world), Err(EmitError::TooManyAcks { limit: 2 }));
    let everyone = Audience::all();
    let broadcast =
        world.server.at(world.now).broadcast_with_ack("/", &everyone, &text(1), timeout);
    assert_eq!(broadcast, Err(EmitError::TooManyAcks { limit: 2 }));
    world.send(client, "430[]");
    assert!(ask(&mut world).is_ok());
}

#[test]
fn answers_to_broadcasts_their_bytes() {
    let mut world = limited(|limits| limits.broadcast_answer_bytes = 10_000);
    let clients: Vec<_> = (0..4).map(|_| world.connect().0).collect();
    world.events.clear();
    let ask = |world: &mut World| {
        let (now, timeout) = (world.now, Duration::from_secs(5));
        world.server.at(now).broadcast_with_ack("/", &Audience::all(), &text(1), timeout).unwrap();
        world.drain();
    };
    ask(&mut world);
    ask(&mut world);
    let answer = |world: &mut World, client: usize, id: u64, bytes: usize| {
        world.send(clients[client], &format!("43{id}[\"{}\"]", "x".repeat(bytes)));
    };
    // Of what one client answers, whatever the broadcast, nothing costs another one its answer.
    answer(&mut world, 0, 0, 10);
    answer(&mut world, 1, 0, 6_000);
    answer(&mut world, 1, 1, 6_500);
    assert_eq!(world.server.stats().total.answers_dropped, 1, "the larger of the two");
    answer(&mut world, 2, 0, 20_000);
    assert_eq!(world.server.stats().total.answers_dropped, 2, "one that is too large by itself");
    answer(&mut world, 3, 0, 10);
    world.advance(Duration::from_secs(5));
    let settled = world.pick(|event| match event {
        ServerEvent::BroadcastAcked { responses, missing, timed_out, .. } => {
            Some((responses.len(), *missing, *timed_out))
        }
        _ => None,
    });
    assert_eq!(settled, [(3, 1, false), (0, 4, true)]);
    assert!(clients.iter().all(|client| !world.is_closed(*client)));
    assert_eq!(world.server.stats().total.acks_unmatched, 0);
    // What has settled takes no room.
    ask(&mut world);
    answer(&mut world, 0, 2, 9_000);
    assert_eq!(world.server.stats().total.answers_dropped, 2);
}

#[test]
fn parked_sessions() {
    let mut world = recovering(|recovery| recovery.parked_sessions = 2);
    let sessions: Vec<_> = (0..3).map(|_| world.connect()).collect();
    world.events.clear();
    for (client, _) in &sessions {
        world.cut(*client);
        world.advance(Duration::from_millis(1));
    }
    let evicted = world.pick(|event| match event {
        ServerEvent::SessionExpired { id, cause, .. } => Some((id.to_string(), *cause)),
        _ => None,
    });
    let oldest = sessions[0].1.sid.clone();
    assert_eq!(evicted, [(oldest, ExpiryCause::Evicted)], "the one that was away longest");
    assert_eq!(world.server.stats().parked_sessions, 2);
    assert_ne!(world.claim(&sessions[0].1, None).1, sessions[0].1);
    assert_eq!(world.claim(&sessions[1].1, None).1, sessions[1].1);
}

#[test]
fn replay_bytes() {
    let mut world = recovering(|recovery| recovery.replay_bytes = 1_000);
    let (client, session) = world.connect();
    world.cut(client);
    for _ in 0..2 {
        world.server.at(world.now).broadcast("/", &Audience::all(), &text(450)).unwrap();
    }
    let (client, again) = world.claim(&session, None);
    assert_eq!(again, session);
    world.cut(client);
    world.server.at(world.now).broadcast("/", &Audience::all(), &text(450)).unwrap();
    world.claim(&session, None);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Limit));
}

/// What is not kept for a replay may be larger than what is.
#[test]
fn replay_bytes_do_not_limit_volatile_broadcasts() {
    let mut world = recovering(|recovery| recovery.replay_bytes = 1_000);
    let (client, _) = world.connect();
    let (now, large) = (world.now, text(2_000));
    let mut at = world.server.at(now);
    let refused = at.broadcast("/", &Audience::all(), &large);
    assert!(matches!(refused, Err(EmitError::TooLarge { .. })), "{refused:?}");
    at.broadcast("/", &Audience::all().volatile(), &large).unwrap();
    world.drain();
    assert!(world.texts(client).last().unwrap().len() > 2_000);
}

#[test]
fn memberships() {
    let mut world = recovering(|recovery| recovery.memberships = 4);
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let (_other, _) = world.connect();
    for round in 0..20 {
        world.server.at(world.now).join(socket, "a").unwrap();
        let (now, room) = (world.now, Audience::room("a"));
        world.server.at(now).broadcast("/", &room, &text(round)).unwrap();
        world.server.at(world.now).leave(socket, "a");
    }
    world.drain();
    let frames = world.texts(client);
    assert_eq!(frames.len(), 20);
    world.cut(client);
    world.claim(&session, None);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Limit));
    // A client that needs only the latest memberships is recovered.
    let (_, _, offset) = crate::support::parse_event(&frames[16]);
    let (client, again) = world.claim(&session, offset.as_deref());
    assert_eq!(again, session);
    assert_eq!(world.texts(client).len(), 3);
}

/// Sockets that come, join, leave and go leave nothing behind.
#[test]
fn nothing_is_left_of_what_is_over() {
    let mut world = World::with_recovery();
    world.server.at(world.now).add_namespaces_matching(|_| true);
    for round in 0..200 {
        let (client, session) = world.connect();
        let (socket, _) = world.connected();
        world.server.at(world.now).join(socket, &format!("room {round}")).unwrap();
        let now = world.now;
        let but = Audience::all().except(session.sid.as_str());
        world.server.at(now).broadcast("/", &but, &text(10)).unwrap();
        world.server.at(now).broadcast("/", &Audience::room(session.sid), &text(10)).unwrap();
        world.send(client, &format!("40/dynamic-{round},"));
        world.cut(client);
        world.events.clear();
    }
    world.advance(Duration::from_secs(400));
    let stats = world.server.stats();
    assert_eq!((stats.connections, stats.sockets, stats.parked_sessions), (0, 0, 0));
    assert_eq!((stats.rooms, stats.namespaces), (0, 1));
    assert_eq!((stats.log_packets, stats.log_bytes, stats.pending_acks), (0, 0, 0));
    assert_eq!(world.server.deadline(), None, "nothing to wait for");
}

/// Packets stay as long as a half-open link may need them, and no longer.
#[test]
fn packets_are_kept_for_the_disconnection_and_the_heartbeat() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    world.server.at(world.now).broadcast("/", &Audience::all(), &text(10)).unwrap();
    world.drain();
    world.texts(client);
    let answer = |world: &mut World, client: crate::support::Client| {
        world.take(client.wire);
        world.send(client, "3");
    };
    for _ in 0..16 {
        world.advance(Duration::from_secs(10));
        answer(&mut world, client);
        assert_eq!(world.server.stats().log_packets, 1);
    }
    // 120 s of disconnection, 25 s and 20 s of heartbeat.
    world.advance(Duration::from_secs(7));
    assert_eq!(world.server.stats().log_packets, 0);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let mut limits = Limits::default();
    limits.attachments = 0;
    let config = ServerConfig::new().limits(limits);
    let refused = Server::<()>::new(config, counting_entropy());
    let expected = ConfigError::OutOfRange { field: "limits.attachments" };
    assert_eq!(refused.err(), Some(expected));
    let mut recovery = RecoveryConfig::default();
    recovery.claims_per_second = 0;
    assert!(ServerConfig::new().recovery(recovery).validate().is_err());
    assert!(ServerConfig::new().ping_timeout(Duration::ZERO).validate().is_err());
    assert!(ServerConfig::new().max_payload(10).validate().is_err());
}
