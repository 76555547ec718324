//! Holes of the reference that concern security, resources and operation (protocol facts 3.10 C
//! and D).
//!
//! Each test is named after its hole. The doc line says what the reference does. The test shows
//! what this crate promises.

use std::time::Duration;

use socketio_proto::{
    hub::{Audience, DisconnectReason, ExpiryCause, Rejection},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
};

use crate::support::{World, broadcast, claim_packet, numbers, recovering};

/// A key presented in another namespace is unknown there.
#[test]
fn h50_a_session_is_bound_to_its_namespace() {
    let mut world = World::with_recovery();
    world.server.at(world.now).add_namespace("/admin").unwrap();
    let (client, session) = world.connect();
    world.connected();
    world.cut(client);
    let (_, other) = world.connect_with(&format!("40/admin,{{\"pid\":\"{}\"}}", session.pid));
    assert_ne!(other.sid, session.sid);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::OtherNamespace));
    let (_, again) = world.claim(&session, None);
    assert_eq!(again, session);
}

/// By default the reference lets blocked users back in for two minutes. Here the application decides.
#[test]
fn h51_the_application_is_asked_at_each_recovery() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.cut(client);
    world.auto_accept = false;
    let client = world.open();
    world.send(client, &format!(r#"40{{"pid":"{}","token":"t"}}"#, session.pid));
    let (request, _, auth, recoverable) = world.requested();
    assert_eq!(recoverable, Some(socket));
    assert_eq!(auth, r#"{"token":"t"}"#, "without the private id (H55)");
    assert!(world.server.at(world.now).reject(request, &Rejection::new("blocked")));
    world.drain();
    assert_eq!(world.text(client), r#"44{"message":"blocked"}"#);
}

/// A claim is looked up when it arrives. An offset that was not assigned by then is invalid, even
/// if an event gets that position while the application decides.
#[test]
fn h51_an_offset_from_the_future_is_none_when_the_application_takes_its_time() {
    let start = || {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.connected();
        (world, client, session)
    };
    let (mut twin, client, _) = start();
    broadcast(&mut twin, &Audience::all(), 1);
    let (_, first) = numbers(&twin.texts(client));

    let (mut world, client, session) = start();
    world.cut(client);
    world.auto_accept = false;
    let client = world.open();
    world.send(client, &claim_packet(&session, first.as_deref()));
    let (request, _, _, recoverable) = world.requested();
    assert_eq!(recoverable, None);
    broadcast(&mut world, &Audience::all(), 1);
    world.server.at(world.now).accept(request).unwrap();
    world.drain();
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::InvalidOffset));
}

/// The reference's default is a setting here.
#[test]
fn h51_the_application_is_not_asked_if_it_does_not_want_to_be() {
    let mut world = recovering(|recovery| recovery.skip_authorization = true);
    let (client, session) = world.connect();
    world.cut(client);
    world.auto_accept = false;
    let (_, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert!(world.connected().1.is_recovered());
    let client = world.open();
    world.send(client, r#"40{"pid":"AAAAAAAAAAAAAAAAAAAA"}"#);
    assert!(world.texts(client).is_empty(), "a new session is the application's to decide");
}

/// In the reference, a kick or a logout is not final: the private id still works.
#[test]
fn h52_a_kick_and_a_logout_are_final() {
    for is_kick in [true, false] {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        // One recovery first: it leaves a second copy of the session behind in the reference.
        world.cut(client);
        let (client, _) = world.claim(&session, None);
        let (socket, _) = world.connected();
        if is_kick {
            world.server.at(world.now).disconnect(socket, true);
            world.drain();
        } else {
            world.send(client, "41");
            world.cut(client);
        }
        let (_, other) = world.claim(&session, None);
        assert_ne!(other, session);
        assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
    }
}

/// The reference ignores joins, leaves and kicks while a client is away.
#[test]
fn h53_rooms_and_kicks_work_while_parked() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).join(socket, "old").unwrap();
    world.cut(client);
    let everyone = Audience::all();
    assert_eq!(world.server.at(world.now).sockets_join("/", &everyone, "new"), Ok(1));
    assert_eq!(world.server.at(world.now).sockets_leave("/", &everyone, "old"), Ok(1));
    broadcast(&mut world, &Audience::room("old"), 1);
    broadcast(&mut world, &Audience::room("new"), 2);
    let (client, _) = world.claim(&session, None);
    assert_eq!(numbers(&world.texts(client)).0, [2]);
    world.cut(client);
    assert_eq!(world.server.at(world.now).disconnect_sockets("/", &everyone, false), Ok(1));
    world.drain();
    let causes = world.pick(|event| match event {
        ServerEvent::SessionExpired { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(causes, [ExpiryCause::Disconnected]);
    let (_, other) = world.claim(&session, None);
    assert_ne!(other, session);
}

/// In the reference the missed packets are on the wire before the middlewares decide.
#[test]
fn h54_nothing_is_replayed_before_authorisation() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    world.auto_accept = false;
    let client = world.open();
    world.send(client, &claim_packet(&session, None));
    assert!(world.texts(client).is_empty());
    let (request, ..) = world.requested();
    world.server.at(world.now).reject(request, &Rejection::new("no"));
    world.drain();
    assert_eq!(world.texts(client), [r#"44{"message":"no"}"#]);
}

/// In the reference, the private id is in `handshake.auth`, and so in every log that contains it.
#[test]
fn h55_the_private_id_is_shown_to_nobody() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    let (_client, _) = world.claim(&session, None);
    let shown = format!("{:?} {:?}", world.events, world.server);
    assert!(!shown.contains(&session.pid), "{shown}");
    assert!(shown.contains(&session.sid), "events were shown");
}

/// The reference keeps the session of a client that broke the protocol.
#[test]
fn h56_who_breaks_the_protocol_is_not_waited_for() {
    for violation in ["4x", "42[", "44", "451-[\"a\"]\u{1e}", "9"] {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.send(client, violation);
        if violation.starts_with("451-") {
            world.send(client, "42[\"plaintext\"]");
        }
        let over = world.pick(|event| match event {
            ServerEvent::Disconnected { reason, data, .. } => Some((*reason, data.is_some())),
            _ => None,
        });
        let reason = match violation {
            "9" => DisconnectReason::ParseError,
            _ => DisconnectReason::ProtocolViolation,
        };
        assert_eq!(over, [(reason, true)], "{violation}");
        // A packet that can be read costs no more than the namespace that it is for.
        assert_eq!(world.is_closed(client), violation != "44", "{violation}");
        let (_, other) = world.claim(&session, None);
        assert_ne!(other, session, "{violation}");
    }
}

/// Several CONNECTs while one is pending make several sockets in the reference.
#[test]
fn h57_connects_while_one_is_pending_make_one_socket() {
    let mut world = World::with_recovery();
    world.auto_accept = false;
    let client = world.open();
    for packet in ["40", "40", r#"40{"a":1}"#, r#"40{"a":1}"#] {
        world.send(client, packet);
    }
    let requests = world.pick(|event| match event {
        ServerEvent::ConnectRequested { request, .. } => Some(*request),
        _ => None,
    });
    assert_eq!(requests.len(), 2, "the same wish is asked for once");
    assert_eq!(world.server.at(world.now).accept(requests[0]), None, "another one has replaced it");
    assert!(world.server.at(world.now).accept(requests[1]).is_some());
    world.drain();
    world.session(client);
    assert_eq!((world.server.stats().sockets, world.texts(client).len()), (1, 0));
}

/// In the reference the log is bounded by time alone, and a recovery scans all of it.
#[test]
fn h60_the_log_is_bounded_by_count_and_bytes() {
    let mut world = recovering(|recovery| recovery.buffer_packets = 10);
    let (_client, _) = world.connect();
    for number in 0..100 {
        broadcast(&mut world, &Audience::all(), number);
    }
    assert_eq!(world.server.stats().log_packets, 10);
    let mut world = recovering(|recovery| recovery.buffer_bytes = 10_000);
    let (_client, _) = world.connect();
    for number in 0..1_000 {
        broadcast(&mut world, &Audience::all(), number);
        assert!(world.server.stats().log_bytes <= 10_000);
    }
    assert!(world.server.stats().log_packets > 10);
}

/// In the reference, refusals and expiries are silent. Here each refusal has a reason, and each
/// session an end that is reported.
#[test]
fn h64_every_refusal_has_a_reason_and_every_session_an_end() {
    let mut world = recovering(|recovery| recovery.buffer_packets = 2);
    let (client, session) = world.connect();
    let (first, _) = world.connected();
    world.cut(client);
    for number in 0..3 {
        broadcast(&mut world, &Audience::all(), number);
    }
    world.claim(&session, None);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Gap));
    world.advance(Duration::from_secs(121));
    let ends = world.pick(|event| match event {
        ServerEvent::SessionExpired { socket, cause, .. } => Some((*socket, *cause)),
        _ => None,
    });
    assert!(ends.contains(&(first, ExpiryCause::TimedOut)), "{ends:?}");
    world.claim(&session, None);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
    let refused = world.server.stats().total.refused;
    assert_eq!((refused.gap, refused.unknown), (1, 1));
}

/// Expiry is exact: a session is recovered one microsecond before its expiry, but not at its
/// expiry.
#[test]
fn h67_a_session_expires_exactly_when_its_time_is_up() {
    for (late, is_recovered) in [(0, true), (1, false)] {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        world.cut(client);
        let away =
            Duration::from_secs(120) - Duration::from_micros(1) + Duration::from_micros(late);
        world.now = world.now.saturating_add(away);
        // No timer has fired yet: the claim comes first.
        let (_, again) = world.claim(&session, None);
        assert_eq!(again == session, is_recovered, "{late}");
        if !is_recovered {
            assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Expired));
        }
    }
}

/// After a recovery, a session does not expire at the time that was set while it was parked.
#[test]
fn h67_a_recovered_session_does_not_expire() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    world.advance(Duration::from_secs(60));
    let (client, _) = world.claim(&session, None);
    for _ in 0..20 {
        world.advance(Duration::from_secs(10));
        world.send(client, "3");
    }
    assert_eq!(world.server.stats().sockets, 1);
    let expired =
        world.pick(|event| matches!(event, ServerEvent::SessionExpired { .. }).then_some(()));
    assert_eq!(expired, []);
    broadcast(&mut world, &Audience::all(), 1);
    assert!(world.texts(client).iter().any(|packet| packet.starts_with("42[\"m\",1,")));
}

/// The reference writes the replay in one burst, even if the client cannot read it as fast.
#[test]
fn h65_the_replay_waits_for_a_wire_that_is_paused() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    for number in 0..100 {
        broadcast(&mut world, &Audience::all(), number);
    }
    let client = world.open();
    world.server.pause(client.wire);
    world.send(client, &claim_packet(&session, None));
    assert_eq!(world.texts(client), Vec::<String>::new());
    world.server.resume(world.now, client.wire);
    world.drain();
    let packets = world.texts(client);
    assert!(packets[0].starts_with("40"));
    assert_eq!(numbers(&packets[1..]).0, (0..100).collect::<Vec<_>>());
}

/// The reference does not limit the work that many simultaneous reconnections cause.
#[test]
fn h68_a_storm_of_reconnections_is_paced() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 10;
        recovery.claims_per_second = 10;
    });
    let sessions: Vec<_> = (0..50).map(|_| world.connect()).collect();
    for (client, _) in &sessions {
        world.cut(*client);
    }
    let mut clients = Vec::new();
    for (_, session) in &sessions {
        let client = world.open();
        world.send(client, &claim_packet(session, None));
        clients.push(client);
    }
    let recovered = |world: &World| world.server.stats().total.recovered;
    assert_eq!(recovered(&world), 10);
    assert_eq!(world.server.stats().total.paced, 40);
    world.advance(Duration::from_secs(1));
    assert_eq!(recovered(&world), 20);
    world.advance(Duration::from_secs(3));
    assert_eq!(recovered(&world), 50, "everyone comes in, in turn");
    for (client, (_, session)) in clients.into_iter().zip(&sessions) {
        assert_eq!(world.session(client), *session);
    }
}
