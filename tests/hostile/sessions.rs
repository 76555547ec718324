//! Clients that try to steal the sessions of others, or to overload the server with recoveries.
//!
//! Each test is one attack; see `peers.rs`.

use std::time::Duration;

use socketio_proto::{
    RecoveryConfig,
    hub::{Audience, DisconnectReason},
    server::{ServerEvent, ServerInput, Totals},
};

use crate::support::{
    Session, World, broadcast, bystander::Bystander, claim_packet, numbers, parse_event,
    recovery_config,
};

fn world(change: impl FnOnce(&mut RecoveryConfig)) -> (World, Bystander) {
    let mut recovery = RecoveryConfig::default();
    change(&mut recovery);
    let mut world = World::new(recovery_config().recovery(recovery));
    let bystander = Bystander::new(&mut world);
    (world, bystander)
}

fn totals(world: &World) -> Totals {
    world.server.stats().total
}

/// Private ids that were guessed | 120 random bits; `packets_per_second` | a new session | `refused.unknown`
#[test]
fn guessed_private_ids() {
    let (mut world, mut bystander) = world(|_| {});
    let (victim, session) = world.connect();
    world.cut(victim);
    let attacker = world.open();
    for number in 0..2_000 {
        // All but the last characters are right: that makes no difference.
        let pid = format!("{}{number:04}", &session.pid[..16]);
        world.send(attacker, &format!(r#"40{{"pid":"{pid}"}}"#));
        assert_ne!(world.session(attacker).sid, session.sid);
        world.send(attacker, "41");
    }
    for odd in ["\"\"", "7", "null", "[]", "{}", "\"\\u0000\"", "\"../../../../../../..\""] {
        world.send(attacker, &format!(r#"40{{"pid":{odd}}}"#));
        world.session(attacker);
        world.send(attacker, "41");
    }
    assert_eq!(totals(&world).refused.unknown, 2_007);
    assert_eq!(world.claim(&session, None).1, session, "the victim notices nothing");
    bystander.check(&mut world);
}

/// A private id whose session is over, again | - | a new session | `refused.unknown`
#[test]
fn a_replayed_private_id() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    world.send(client, "41");
    for _ in 0..100 {
        let (_, other) = world.claim(&session, None);
        assert_ne!(other.pid, session.pid);
    }
    assert_eq!(totals(&world).refused.unknown, 100);
    bystander.check(&mut world);
}

/// A private id in another namespace than its own | - | a new session | `refused.other_namespace`
#[test]
fn a_private_id_in_another_namespace() {
    let (mut world, mut bystander) = world(|_| {});
    world.server.at(world.now).add_namespace("/admin").unwrap();
    let (client, session) = world.connect();
    world.cut(client);
    let (_, other) = world.connect_with(&format!(r#"40/admin,{{"pid":"{}"}}"#, session.pid));
    assert_ne!(other.sid, session.sid);
    assert_eq!(totals(&world).refused.other_namespace, 1);
    bystander.check(&mut world);
}

/// Offsets of other sessions, of other logs, and made up | - | a new session, and nothing is replayed; one from before the session counts as none | `refused.invalid_offset`
#[test]
fn offsets_of_other_sessions() {
    let (mut world, mut bystander) = world(|_| {});
    world.server.at(world.now).add_namespace("/other").unwrap();
    broadcast(&mut world, &Audience::all(), 1);
    broadcast(&mut world, &Audience::all(), 2);
    let early = world.texts(bystander.client).swap_remove(0);
    let early = parse_event(&early).2.unwrap();
    let (_elsewhere, _) = world.connect_with("40/other,");
    let foreign = format!("{}1", &early[..early.len() - 1].replace(char::is_numeric, "7"));
    // That position lies before the birth of the session: it has missed nothing since then.
    let (client, session) = world.connect();
    world.cut(client);
    let (client, again) = world.claim(&session, Some(&early));
    assert_eq!(again, session);
    assert!(world.texts(client).is_empty());
    let made_up = ["0", "-", "-1", "1e3", "99999999999999999999-1", "0-0", &"9".repeat(10_000)];
    for offset in std::iter::once(&*foreign).chain(made_up) {
        let (client, session) = world.connect();
        world.cut(client);
        broadcast(&mut world, &Audience::all(), 2);
        world.take(bystander.client.wire);
        let (client, other) = world.claim(&session, Some(offset));
        assert_ne!(other.sid, session.sid, "{offset}");
        assert!(world.texts(client).is_empty(), "{offset}");
    }
    assert_eq!(totals(&world).refused.invalid_offset, 8);
    bystander.check(&mut world);
}

/// An own offset that is older than what was received | - | recovered; what was addressed to the session comes again, and nothing else | `replayed`
#[test]
fn an_own_offset_that_is_too_old() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    let own = Audience::room(session.sid.as_str());
    broadcast(&mut world, &own, 1);
    let first = parse_event(&world.text(client)).2.unwrap();
    broadcast(&mut world, &Audience::all().except(session.sid.as_str()), 2);
    broadcast(&mut world, &own, 3);
    world.cut(client);
    for _ in 0..5 {
        let (client, _) = world.claim(&session, Some(&first));
        assert_eq!(numbers(&world.texts(client)).0, [3]);
    }
    assert_eq!(totals(&world).replayed, 5);
    bystander.check(&mut world);
}

/// Claims of one session by many connections at once | one link per session | the earlier link is closed | `taken_over`
#[test]
fn parallel_claims_of_one_session() {
    let (mut world, mut bystander) = world(|recovery| recovery.skip_authorization = true);
    let (client, session) = world.connect();
    world.cut(client);
    broadcast(&mut world, &Audience::all(), 1);
    // None of the answers is taken before all have asked.
    let thieves: Vec<_> = (0..50).map(|_| world.open()).collect();
    world.auto_accept = false;
    for thief in &thieves {
        world.send(*thief, &claim_packet(&session, None));
    }
    broadcast(&mut world, &Audience::all(), 2);
    let live = thieves.iter().filter(|thief| {
        let got = world.take(thief.wire);
        !got.iter().any(|frame| matches!(frame, crate::support::Received::Closed(_)))
    });
    assert_eq!(live.count(), 1, "one has it");
    let stats = world.server.stats();
    assert_eq!((stats.total.recovered, stats.total.taken_over, stats.sockets), (50, 49, 2));
    let reasons = world.pick(|event| match event {
        ServerEvent::Disconnected { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reasons.iter().filter(|it| **it == DisconnectReason::TakenOver).count(), 49);
    bystander.check(&mut world);
}

/// Recoveries as fast as they can be asked for | `claim_burst`, `claims_per_second` | they queue | `paced`
#[test]
fn a_storm_of_recoveries() {
    let (mut world, mut bystander) = world(|recovery| {
        recovery.claim_burst = 10;
        recovery.claims_per_second = 10;
    });
    let sessions: Vec<_> = (0..100).map(|_| world.connect()).collect();
    for (client, _) in &sessions {
        world.cut(*client);
    }
    for (_, session) in &sessions {
        let client = world.open();
        world.send(client, &claim_packet(session, None));
    }
    assert_eq!((totals(&world).recovered, totals(&world).paced), (10, 90));
    assert_eq!(world.server.stats().recoveries_queued, 90);
    bystander.check(&mut world);
}

/// Recoveries of one own session, again and again | one waiting recovery per session; the session served least comes first | the newer one replaces the waiting one; the recoveries of other sessions come first | `paced`, `connections_closed.taken_over`
#[test]
fn recoveries_of_one_session_again_and_again() {
    let (mut world, mut bystander) = world(|recovery| {
        recovery.claim_burst = 10;
        recovery.claims_per_second = 10;
    });
    let (attacker, own) = world.connect();
    let (honest, session) = world.connect();
    let mut offset = None;
    for number in 0..5_000 {
        broadcast(&mut world, &Audience::all(), number);
        offset = numbers(&world.texts(honest)).1;
        for client in [bystander.client, attacker] {
            world.take(client.wire);
        }
    }
    world.cut(honest);
    for _ in 0..100 {
        let client = world.open();
        world.send(client, &claim_packet(&own, None));
        world.take(client.wire);
    }
    assert_eq!(world.server.stats().recoveries_queued, 1);
    let client = world.open();
    world.send(client, &claim_packet(&session, offset.as_deref()));
    world.advance(Duration::from_millis(200));
    assert_eq!(world.session(client), session, "two tokens are enough for it");
    assert_eq!(totals(&world).recovered, 1, "the attacker's has not paid yet");
    bystander.check(&mut world);
}

/// Recoveries that are refused, again and again | `claim_burst`, `claims_per_second` | they queue | `paced`, `refused.gap`
#[test]
fn recoveries_that_are_refused_again_and_again() {
    let (mut world, mut bystander) = world(|recovery| {
        recovery.claim_burst = 10;
        recovery.claims_per_second = 10;
        recovery.buffer_packets = 1;
    });
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    broadcast(&mut world, &Audience::all(), 2);
    world.cut(client);
    for _ in 0..100 {
        let client = world.open();
        world.send(client, &claim_packet(&session, None));
    }
    assert_eq!((totals(&world).refused.gap, totals(&world).paced), (10, 90));
    bystander.check(&mut world);
}

/// Recoveries that replay as much as they can | `claims_per_second`, one more for each 256 packets or 32 rooms; `replay_bytes` | they queue; beyond the bytes a new session | `paced`, `refused.limit`
#[test]
fn recoveries_that_replay_as_much_as_they_can() {
    let (mut world, mut bystander) = world(|recovery| {
        recovery.claim_burst = 100;
        recovery.claims_per_second = 10;
        recovery.replay_bytes = 1_000_000;
    });
    let (client, session) = world.connect();
    world.cut(client);
    for number in 0..5_000 {
        broadcast(&mut world, &Audience::all(), number);
        world.take(bystander.client.wire);
    }
    let claim = |world: &mut World| {
        let client = world.open();
        world.send(client, &claim_packet(&session, None));
        let replayed = world.take(client.wire).len();
        world.cut(client);
        replayed
    };
    // 19 + 1 tokens each.
    let served = (0..50).map(|_| claim(&mut world)).take_while(|packets| *packets > 0).count();
    assert_eq!(served, 5);
    assert!(totals(&world).paced > 0);
    bystander.check(&mut world);
}

/// Closing in an orderly way at the same replay, again and again | `replay_attempts` | a new session | `refused.poison_event`
#[test]
fn closing_at_the_same_replay() {
    let (mut world, mut bystander) = world(|_| {});
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.cut(client);
    world.server.at(world.now).emit(socket, &crate::support::event("m", 1)).unwrap();
    let mut recovered = 0;
    for _ in 0..100 {
        let (client, again) = world.claim(&session, None);
        recovered += u64::from(again == session);
        world.input(ServerInput::CloseFrame { wire: client.wire });
        world.cut(client);
    }
    assert_eq!((recovered, totals(&world).refused.poison_event), (5, 95));
    bystander.check(&mut world);
}

/// Sessions that are left behind, one after the other | `parked_sessions`, `max_disconnection` | the one away longest is evicted | `sessions_evicted`
#[test]
fn sessions_left_behind() {
    let (mut world, mut bystander) = world(|recovery| recovery.parked_sessions = 100);
    for _ in 0..1_000 {
        let (client, _) = world.connect();
        world.cut(client);
    }
    assert_eq!(totals(&world).sessions_evicted, 900);
    assert_eq!(world.server.stats().parked_sessions, 100);
    bystander.check(&mut world);
}

/// Events that make the log grow, where clients may cause them | `buffer_packets`, `buffer_bytes` | the oldest packets are evicted | `packets_evicted`
#[test]
fn a_log_that_grows() {
    let (mut world, mut bystander) = world(|recovery| recovery.buffer_packets = 100);
    let (client, session): (_, Session) = world.connect();
    world.cut(client);
    for number in 0..1_000 {
        broadcast(&mut world, &Audience::all(), number);
        world.take(bystander.client.wire);
    }
    assert_eq!(totals(&world).packets_evicted, 900);
    assert_eq!(world.server.stats().log_packets, 100);
    world.claim(&session, None);
    assert_eq!(totals(&world).refused.gap, 1, "and that is said");
    bystander.check(&mut world);
}
