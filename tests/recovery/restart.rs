//! Planned restarts: what a snapshot contains, and what it does not.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig, Timestamp,
    hub::{Audience, ExpiryCause, Once, RestoreError, Snapshot},
    recovery::{Offset, RecoveryOutcome, RecoveryRefusal},
    server::{Server, ServerEvent},
    socket::{self, Args},
};

use crate::support::{
    Client, Received, Session, World, broadcast, counting_config, event, numbers, recovering,
    recovery_config, seeded_entropy,
};

const SECOND: Duration = Duration::from_secs(1);
const MAX_DISCONNECTION: Duration = Duration::from_secs(120);

fn config_with(change: impl FnOnce(&mut RecoveryConfig)) -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    change(&mut recovery);
    recovery_config().recovery(recovery)
}

fn snapshot(world: &World) -> String {
    serde_json::to_string(&world.server.snapshot(world.now)).unwrap()
}

/// Sessions that have expired since the last look, with their data and why.
fn expired(world: &mut World) -> Vec<(String, u32, ExpiryCause)> {
    let mut expired = Vec::new();
    for event in world.events.drain(..) {
        if let ServerEvent::SessionExpired { id, data, cause, .. } = event {
            expired.push((id.to_string(), data, cause));
        }
    }
    expired
}

/// The refusal of a claim.
fn refusal(world: &mut World, session: &Session, offset: Option<&str>) -> Option<RecoveryRefusal> {
    world.claim(session, offset);
    match world.connected().1 {
        RecoveryOutcome::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

/// Found by the simulator: a clock that was set back made a session expire early in the next process,
/// since the snapshot was taken at the last moment that the hub had heard of.
#[test]
fn a_snapshot_is_taken_at_the_latest_moment_of_the_server() {
    let mut world = World::with_recovery();
    let (client, _) = world.connect();
    let before = world.now;
    world.now = before.saturating_add(SECOND);
    world.send(client, "3");
    assert_eq!(world.server.snapshot(before).taken_at(), world.now);
}

/// In the reference, a restart loses everything that is in memory, and a store has only what was
/// written in time. Here the session continues in the next process with the same id, rooms and
/// data, and gets exactly the events that it missed, whether it was connected or parked when the
/// process ended.
#[test]
fn h06_a_restart_loses_nothing() {
    for is_graceful in [true, false] {
        let mut world = World::with_recovery();
        let (away, away_session) = world.connect();
        let (away_socket, _) = world.connected();
        let (client, session) = world.connect();
        let (socket, _) = world.connected();
        for socket in [away_socket, socket] {
            world.server.at(world.now).join(socket, "room").unwrap();
        }
        world.server.at(world.now).set_data(socket, 7);
        broadcast(&mut world, &Audience::room("room"), 1);
        let (_, offset) = numbers(&world.texts(client));
        world.texts(away);
        world.cut(away);
        broadcast(&mut world, &Audience::room("room"), 2);
        broadcast(&mut world, &Audience::room("elsewhere"), 3);
        broadcast(&mut world, &Audience::all().except(session.sid.clone()), 4);

        let waiting = world.restart(recovery_config(), is_graceful, SECOND);
        assert_eq!(waiting.len(), 2);
        let socket = world.find(&waiting, &session);
        broadcast(&mut world, &Audience::room("room"), 5);
        world.server.at(world.now).emit(socket, &event("m", 6)).unwrap();

        // It had received the second event, and lost it with the process.
        let (client, again) = world.claim(&session, offset.as_deref());
        assert_eq!(again, session);
        assert_eq!(world.connected(), (socket, RecoveryOutcome::Recovered { replayed: 3 }));
        assert_eq!(world.server.data(socket), Some(&7));
        assert_eq!(numbers(&world.texts(client)).0, [2, 5, 6]);
        let (away, again) = world.claim(&away_session, offset.as_deref());
        assert_eq!(again, away_session);
        assert_eq!(numbers(&world.texts(away)).0, [2, 4, 5]);
        broadcast(&mut world, &Audience::room("room"), 7);
        assert_eq!(numbers(&world.texts(client)).0, [7], "and on it goes");
    }
}

#[test]
fn binary_packets_survive() {
    let mut world = World::with_recovery();
    let (_, session) = world.connect();
    let (socket, _) = world.connected();
    let file = socket::Event::new("file", &(Bytes::from_static(b"\0\xff"), "é")).unwrap();
    world.server.at(world.now).emit(socket, &file).unwrap();
    world.restart(recovery_config(), false, SECOND);
    let (client, _) = world.claim(&session, None);
    let frames = world.take(client.wire);
    assert!(matches!(&frames[0], Received::Text(text) if text.starts_with("451-[\"file\",{")));
    assert_eq!(frames[1], Received::Binary(Bytes::from_static(b"\0\xff")));
}

#[test]
fn expiry_is_exact_and_the_time_of_the_restart_counts() {
    let almost = Duration::from_micros(69_999_999);
    for (downtime, is_recovered) in [(almost, true), (70 * SECOND, false)] {
        let mut world = World::with_recovery();
        let (client, session) = world.connect();
        let (socket, _) = world.connected();
        world.server.at(world.now).set_data(socket, 7);
        world.cut(client);
        world.advance(50 * SECOND);
        world.restart(recovery_config(), true, downtime);
        let expected = [(session.sid.clone(), 7, ExpiryCause::TimedOut)];
        let expected: &[_] = if is_recovered { &[] } else { &expected };
        assert_eq!(expired(&mut world), expected);
        let outcome = refusal(&mut world, &session, None);
        assert_eq!(outcome.is_none(), is_recovered, "{outcome:?}");
    }
}

#[test]
fn a_connected_session_counts_as_lost_when_the_snapshot_is_taken() {
    let mut world = World::with_recovery();
    let (_, session) = world.connect();
    world.advance(20 * SECOND);
    world.restart(recovery_config(), false, SECOND);
    world.advance(Duration::from_micros(118_999_999));
    assert_eq!(expired(&mut world), []);
    world.advance(Duration::from_micros(1));
    assert_eq!(expired(&mut world), [(session.sid, 0, ExpiryCause::TimedOut)]);
}

#[test]
fn a_clock_that_was_set_back_gives_nobody_more_time() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    world.cut(client);
    world.advance(50 * SECOND);
    let text = snapshot(&world);
    world.now = Timestamp::from_millis(3);
    world.restore(recovery_config(), &text).unwrap();
    world.advance(Duration::from_micros(69_999_999));
    assert_eq!(expired(&mut world), []);
    world.advance(Duration::from_micros(1));
    assert_eq!(expired(&mut world), [(session.sid, 0, ExpiryCause::TimedOut)]);
}

#[test]
fn what_was_accepted_once_is_not_accepted_again() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let accept = |world: &mut World, client: Client, number: u32| {
        world.send(client, &format!(r#"42{number}["m","offset {number}"]"#));
        let token = world.token();
        let socket = token.socket();
        let offset = format!("offset {number}");
        world.server.at(world.now).accept_once(socket, &offset, Some(token)).unwrap()
    };
    for number in 1..=2 {
        let Once::Fresh(Some(token)) = accept(&mut world, client, number) else { panic!() };
        world.server.at(world.now).ack(token, &Args::new(&(number,)).unwrap());
    }
    let Once::Fresh(_unanswered) = accept(&mut world, client, 3) else { panic!() };
    world.server.at(world.now).set_data(socket, 7);

    // Of two that are remembered, the first is forgotten.
    let config = recovery_config().limits({
        let mut limits = Limits::default();
        limits.client_offsets = 2;
        limits
    });
    world.restart(config, true, SECOND);
    let (client, _) = world.claim(&session, None);
    assert_eq!(accept(&mut world, client, 2), Once::Duplicate);
    world.drain();
    assert_eq!(world.text(client), "432[2]", "the stored answer");
    assert_eq!(accept(&mut world, client, 3), Once::Duplicate);
    world.drain();
    assert_eq!(world.texts(client), Vec::<String>::new(), "there is no answer to give");
    assert!(matches!(accept(&mut world, client, 1), Once::Fresh(_)));
}

#[test]
fn events_of_a_client_that_counts_go_on_being_counted() {
    let mut world = World::new(counting_config());
    let (client, session) = world.connect();
    world.send(client, "43[]");
    for number in 1..=3 {
        world.send(client, &format!("42{number}[\"m\"]"));
        let token = world.token();
        match number {
            1 => assert!(world.server.at(world.now).ack(token, &Args::new(&("one",)).unwrap())),
            2 => assert!(world.server.at(world.now).withdraw(token)),
            _ => {}
        }
    }
    world.restart(counting_config(), true, SECOND);
    let client = world.open();
    world.send(client, &crate::support::claim_packet(&session, None));
    let answer = world.text(client);
    assert!(answer.ends_with(r#","received":3}"#), "{answer}");
    // It asks for the three answers: one is there, one event is to be sent again.
    world.send(client, "43[1,2,3]");
    assert_eq!(world.texts(client), ["43[3,2]", r#"431["one"]"#]);
    world.send(client, "42[\"m\"]");
    world.send(client, "43[]");
    assert_eq!(world.texts(client), ["43[4]"]);
}

#[test]
fn who_was_told_of_events_after_the_snapshot_is_refused() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (behind, behind_session) = world.connect();
    for number in 1..=2 {
        broadcast(&mut world, &Audience::all(), number);
    }
    let (_, known) = numbers(&world.texts(behind));
    world.texts(client);
    let text = snapshot(&world);
    // The process crashes later, and the next one knows nothing of this.
    broadcast(&mut world, &Audience::all(), 3);
    let (_, unknown) = numbers(&world.texts(client));
    world.restore(recovery_config(), &text).unwrap();
    for number in 4..=6 {
        broadcast(&mut world, &Audience::all(), number);
    }
    let refused = refusal(&mut world, &session, unknown.as_deref());
    assert_eq!(
        refused,
        Some(RecoveryRefusal::InvalidOffset),
        "the position is another packet's now"
    );
    let (client, again) = world.claim(&behind_session, known.as_deref());
    assert_eq!(again, behind_session);
    let (received, latest) = numbers(&world.texts(client));
    assert_eq!(received, [4, 5, 6]);

    // Positions of each process are known to the next ones.
    world.restart(recovery_config(), true, SECOND);
    let (client, again) = world.claim(&behind_session, known.as_deref());
    assert_eq!(again, behind_session);
    assert_eq!(numbers(&world.texts(client)).0, [4, 5, 6]);
    let (client, again) = world.claim(&behind_session, latest.as_deref());
    assert_eq!(again, behind_session);
    assert_eq!(world.texts(client), Vec::<String>::new());
}

/// The process in between has assigned positions only after it had taken its snapshot.
#[test]
fn an_offset_from_before_the_session_means_its_floor_whichever_process_assigned_it() {
    let mut world = World::with_recovery();
    world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let text = snapshot(&world);
    world.restore(recovery_config(), &text).unwrap();
    let text = snapshot(&world);
    let (client, _) = world.connect();
    broadcast(&mut world, &Audience::all(), 2);
    let (_, stale) = numbers(&world.texts(client));
    // The process crashes, and the client gets a new session from the next one.
    world.restore(recovery_config(), &text).unwrap();
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 3);
    let (client, again) = world.claim(&session, stale.as_deref());
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [3]);
}

#[test]
fn positions_grow_across_restarts() {
    let mut world = World::with_recovery();
    let (_, session) = world.connect();
    let mut offsets: Vec<Offset> = Vec::new();
    let mut client = None;
    for number in 0..5 {
        broadcast(&mut world, &Audience::all(), number);
        world.restart(recovery_config(), number % 2 == 0, SECOND);
        let earlier = offsets.last().map(ToString::to_string);
        let recovered = world.claim(&session, earlier.as_deref());
        assert_eq!(recovered.1, session);
        let (received, offset) = numbers(&world.texts(recovered.0));
        assert_eq!(received, [number]);
        offsets.push(offset.unwrap().parse().unwrap());
        client = Some(recovered.0);
    }
    let epoch = |offset: &Offset| offset.to_string().split_once('-').unwrap().0.parse::<u64>();
    let is_later = |a: &Offset, b: &Offset| a < b && epoch(a).unwrap() < epoch(b).unwrap();
    assert!(offsets.is_sorted_by(is_later), "{offsets:?}");
    // An event without a position repeats the latest, also when that is of an earlier process.
    let volatile = socket::Event::new("v", &("text",)).unwrap();
    world.server.at(world.now).broadcast("/", &Audience::all().volatile(), &volatile).unwrap();
    world.drain();
    let packet = world.text(client.unwrap());
    assert!(packet.ends_with(&format!(",\"{}\"]", offsets.last().unwrap())), "{packet}");
}

#[test]
fn ids_are_not_given_out_again() {
    let mut world = World::with_recovery();
    let sessions: Vec<Session> = (0..3).map(|_| world.connect().1).collect();
    let text = snapshot(&world);
    // A seed that repeats itself, which no secure source does.
    let mut server = Server::new(recovery_config(), seeded_entropy(0)).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    server.at(world.now).restore(serde_json::from_str(&text).unwrap()).unwrap();
    world.server = server;
    for _ in 0..5 {
        let (_, new) = world.connect();
        assert!(sessions.iter().all(|old| old.sid != new.sid && old.pid != new.pid));
    }
    for session in &sessions {
        assert_eq!(world.claim(session, None).1, *session);
    }
}

#[test]
fn acknowledgements_end_with_the_process() {
    let config = || config_with(|recovery| recovery.replay_ack_events = true);
    let mut world = World::new(config());
    let (_, session) = world.connect();
    let (socket, _) = world.connected();
    let question = event("question", 1);
    let ack =
        world.server.at(world.now).emit_with_ack(socket, &question, MAX_DISCONNECTION).unwrap();
    world.server.at(world.now).emit(socket, &event("m", 2)).unwrap();
    let waiting = world.restart(config(), true, SECOND);
    assert_eq!(world.server.stats().pending_acks, 0);
    let socket = world.find(&waiting, &session);
    let again = world.server.at(world.now).emit_with_ack(socket, &question, MAX_DISCONNECTION);
    assert_ne!(again, Ok(ack), "a late answer is taken for no other");
    let (client, _) = world.claim(&session, None);
    let packets = world.texts(client);
    assert_eq!(packets.len(), 2, "the earlier question is not asked again: {packets:?}");
    assert!(packets[0].starts_with("42[\"m\",2,") && packets[1].starts_with("421[\"question\",1]"));
}

#[test]
fn namespaces_are_those_of_the_new_process() {
    let mut world = World::with_recovery();
    for name in ["/kept", "/gone"] {
        world.server.at(world.now).add_namespace(name).unwrap();
    }
    world.server.at(world.now).add_namespaces_matching(|name| name.starts_with("/room/"));
    let mut sessions = Vec::new();
    for (data, name) in (1..).zip(["/kept", "/gone", "/room/1", "/room/2"]) {
        sessions.push(world.connect_with(&format!("40{name},")).1);
        let (socket, _) = world.connected();
        world.server.at(world.now).set_data(socket, data);
    }
    let text = snapshot(&world);
    world.server = Server::new(recovery_config(), seeded_entropy(9)).unwrap();
    world.server.at(world.now).add_namespace("/kept").unwrap();
    world.server.at(world.now).add_namespaces_matching(|name| name == "/room/1");
    let waiting = world.server.at(world.now).restore(serde_json::from_str(&text).unwrap()).unwrap();
    world.drain();
    assert_eq!(waiting.len(), 2);
    let ended = [&sessions[1], &sessions[3]].map(|session| session.sid.clone());
    let expected = ended.into_iter().zip([2, 4]);
    let expected: Vec<_> = expected.map(|(sid, data)| (sid, data, ExpiryCause::Evicted)).collect();
    assert_eq!(expired(&mut world), expected);
    let stats = world.server.stats();
    assert_eq!((stats.namespaces, stats.parked_sessions), (2, 2));
    assert_eq!((stats.total.sessions_restored, stats.total.sessions_evicted), (4, 2));
    for (session, name) in [(&sessions[0], "/kept"), (&sessions[2], "/room/1")] {
        let (_, again) = world.connect_with(&format!(r#"40{name},{{"pid":"{}"}}"#, session.pid));
        assert_eq!(again, *session);
    }
}

#[test]
fn limits_are_those_of_the_new_process() {
    let mut world = World::with_recovery();
    let mut sessions = Vec::new();
    for number in 0..5 {
        let (client, session) = world.connect();
        world.cut(client);
        world.advance(SECOND);
        sessions.push(session);
        broadcast(&mut world, &Audience::all(), number);
    }
    let smaller = config_with(|recovery| {
        recovery.parked_sessions = 3;
        recovery.buffer_packets = 2;
    });
    world.restart(smaller, true, SECOND);
    let evicted: Vec<String> = expired(&mut world).into_iter().map(|(sid, ..)| sid).collect();
    assert_eq!(evicted, [sessions[0].sid.clone(), sessions[1].sid.clone()], "the oldest");
    assert_eq!(world.server.stats().log_packets, 2);
    assert_eq!(refusal(&mut world, &sessions[2], None), Some(RecoveryRefusal::Gap));
    assert_eq!(refusal(&mut world, &sessions[3], None), None);

    let none = ServerConfig::new();
    world.restart(none, true, SECOND);
    let stats = world.server.stats();
    assert_eq!((stats.parked_sessions, stats.log_packets, stats.rooms), (0, 0, 0));
}

#[test]
fn packets_that_are_too_old_are_evicted() {
    let mut world = recovering(|recovery| recovery.max_disconnection = Duration::from_hours(1));
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    let patient = config_with(|recovery| recovery.max_disconnection = Duration::from_hours(3));
    world.restart(patient, true, Duration::from_hours(2));
    assert_eq!(world.server.stats().log_packets, 1, "by the present configuration it is not");
    let patient = config_with(|recovery| recovery.max_disconnection = Duration::from_hours(3));
    world.restart(patient, true, Duration::from_mins(59));
    world.advance(Duration::from_secs(30));
    assert_eq!(world.claim(&session, None).1, session);
    world.advance(Duration::from_mins(2));
    assert_eq!(world.server.stats().log_packets, 0, "three hours, a heartbeat and its answer");
}

#[test]
fn a_server_in_use_is_not_restored() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let text = snapshot(&world);
    let read = || serde_json::from_str(&text).unwrap();
    assert_eq!(world.server.at(world.now).restore(read()), Err(RestoreError::InUse));
    broadcast(&mut world, &Audience::all(), 1);
    world.send(client, "41");
    assert_eq!(world.server.stats().sockets, 0);
    assert_eq!(
        world.server.at(world.now).restore(read()),
        Err(RestoreError::InUse),
        "its log has begun"
    );
    assert!(refusal(&mut world, &session, None).is_some());
}

#[test]
fn a_server_without_recovery_has_nothing_to_say() {
    let mut world = World::new(ServerConfig::new());
    world.connect();
    let text = snapshot(&world);
    assert!(text.ends_with(r#""namespaces":[]}"#), "{text}");
}

#[test]
fn secrets_are_not_shown() {
    let mut world = World::with_recovery();
    let (_, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).emit(socket, &event("secret", 1)).unwrap();
    let taken = world.server.snapshot(world.now);
    assert_eq!((taken.taken_at(), taken.sessions()), (world.now, 1));
    let shown = format!("{taken:?} {taken:#?}");
    assert!(!shown.contains(&session.pid) && !shown.contains("secret"), "{shown}");
    assert!(serde_json::to_string(&taken).unwrap().contains(&session.pid), "but kept");
}

#[test]
fn another_version_is_refused() {
    let text = snapshot(&World::with_recovery());
    let other = text.replacen("\"version\":1", "\"version\":2", 1);
    let error = serde_json::from_str::<Snapshot<u32>>(&other).unwrap_err().to_string();
    assert!(error.starts_with("a snapshot of version 2, not 1"), "{error}");
}

/// Found by the simulator: a packet that nobody can be missing any more took more room in the restored
/// log than it had before, so a packet that somebody was missing had to go.
#[test]
fn a_packet_for_nobody_takes_no_more_room_than_before() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (other, _) = world.connect();
    let (socket, _) = world.connected();
    world.cut(client);
    broadcast(&mut world, &Audience::room(session.sid.as_str()), 1);
    world.server.at(world.now).emit(socket, &event("m", 2)).unwrap();
    assert!(world.server.at(world.now).disconnect(socket, true));
    world.take(other.wire);
    let before = world.server.stats();
    let config = config_with(|recovery| recovery.buffer_bytes = before.log_bytes);
    world.restart(config, true, SECOND);
    assert_eq!(world.server.stats().log_packets, before.log_packets);
    let (client, again) = world.claim(&session, None);
    assert_eq!(again, session);
    assert_eq!(numbers(&world.texts(client)).0, [1]);
}

/// The form is part of the interface: what one release has written, the next one reads, or the
/// version is another one.
#[test]
fn the_form_does_not_change_unnoticed() {
    let golden = include_str!("../snapshots/version1.json");
    let mut world = World::new(recovery_config());
    world.now = Timestamp::from_millis(2_000_000);
    world.server = Server::new(config_with(|it| it.buffer_packets = 4), seeded_entropy(3)).unwrap();
    world.server.at(world.now).add_namespace("/").unwrap();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    let (other, _) = world.connect();
    let (second, _) = world.connected();
    world.server.at(world.now).set_data(socket, 7);
    for room in ["a", "b"] {
        world.server.at(world.now).join(socket, room).unwrap();
        world.server.at(world.now).join(second, room).unwrap();
    }
    broadcast(&mut world, &Audience::room("a"), 1);
    broadcast(&mut world, &Audience::room("a").except("b"), 2);
    broadcast(&mut world, &Audience::room("a").to("b").except(session.sid), 3);
    world.server.at(world.now).leave(socket, "a");
    let file = socket::Event::new("file", &(Bytes::from_static(b"\0\xff"),)).unwrap();
    world.server.at(world.now).emit(socket, &file).unwrap();
    world.advance(SECOND);
    broadcast(&mut world, &Audience::all(), 4);
    world.server.at(world.now).emit_with_ack(socket, &event("question", 1), SECOND).unwrap();
    world.send(client, r#"421["m","offset"]"#);
    let token = world.token();
    let once = world.server.at(world.now).accept_once(socket, "offset", Some(token)).unwrap();
    let Once::Fresh(Some(token)) = once else { panic!() };
    world.server.at(world.now).ack(token, &Args::new(&("answer",)).unwrap());
    world.cut(other);
    broadcast(&mut world, &Audience::room("b"), 5);
    world.advance(SECOND);
    let value: serde_json::Value = serde_json::from_str(&snapshot(&world)).unwrap();
    let text = format!("{value:#}\n");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/version1.json");
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, golden, "UPDATE_SNAPSHOTS=1 writes it");
    world.restore(config_with(|it| it.buffer_packets = 4), golden).unwrap();
    let mut again: serde_json::Value = serde_json::from_str(&snapshot(&world)).unwrap();
    // It is the same again but for what a restart changes: the epoch, and the next handle.
    let mut once = value;
    for value in [&mut again, &mut once] {
        value["namespaces"][0]["log"]["positions"].take();
        value["next_generation"].take();
    }
    assert_eq!(again, once);
}
