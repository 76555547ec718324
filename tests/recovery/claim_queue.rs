//! Claims that have to wait. No client loses its session because of this, and no client has to wait
//! for a greedy one.

use std::time::Duration;

use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig,
    hub::{Audience, ExpiryCause, Rejection},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
};

use crate::support::{Client, Session, World, broadcast, claim_packet, numbers, recovering};

/// The world in which one claim a second is looked at.
fn slow() -> World {
    recovering(|recovery| {
        recovery.claim_burst = 1;
        recovery.claims_per_second = 1;
    })
}

/// Opens a WebSocket session and claims an earlier one, which may have to wait.
fn claim(world: &mut World, session: &Session) -> Client {
    let client = world.open();
    world.send(client, &claim_packet(session, None));
    client
}

fn outcomes(world: &mut World) -> Vec<RecoveryOutcome> {
    world.pick(|event| match event {
        ServerEvent::Connected { recovery, .. } => Some(*recovery),
        _ => None,
    })
}

fn expired(world: &mut World) -> Vec<ExpiryCause> {
    world.pick(|event| match event {
        ServerEvent::SessionExpired { cause, .. } => Some(*cause),
        _ => None,
    })
}

#[test]
fn a_session_does_not_expire_while_its_claim_waits() {
    let mut world = slow();
    let sessions: Vec<_> = (0..40).map(|_| world.connect()).collect();
    for (client, _) in &sessions {
        world.cut(*client);
    }
    world.advance(Duration::from_secs(100));
    world.events.clear();
    for (_, session) in &sessions {
        claim(&mut world, session);
    }
    world.advance(Duration::from_secs(44));
    assert_eq!(outcomes(&mut world), [RecoveryOutcome::Recovered { replayed: 0 }; 40]);
    assert_eq!(world.server.stats().total.sessions_expired, 0);
}

#[test]
fn what_a_session_missed_does_not_get_too_old_while_its_claim_waits() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 1;
        recovery.claims_per_second = 1;
        recovery.max_disconnection = Duration::from_secs(10);
    });
    let others: Vec<_> = (0..41).map(|_| world.connect()).collect();
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    // The link is half-open, and found out by a pong that does not come.
    world.advance(Duration::from_secs(44));
    assert_eq!(world.server.stats().total.connections_closed.ping_timeout, 0);
    world.cut(client);
    for (client, _) in &others {
        world.cut(*client);
    }
    world.advance(Duration::from_secs(9));
    for (_, session) in &others {
        claim(&mut world, session);
    }
    let client = claim(&mut world, &session);
    assert_eq!(world.server.stats().log_packets, 1);
    world.advance(Duration::from_secs(30));
    assert_eq!(world.texts(client), ["2"], "a ping");
    assert_eq!(world.server.stats().log_packets, 1, "too old, and held");
    world.advance(Duration::from_secs(14));
    assert_eq!(world.session(client), session);
    assert_eq!(numbers(&world.texts(client)).0, [1]);
    world.advance(Duration::from_secs(11));
    assert_eq!(world.server.stats().log_packets, 0, "nobody waits for it any more");
}

#[test]
fn a_session_that_was_held_expires_when_its_claimer_has_gone() {
    let mut world = slow();
    let (client, first) = world.connect();
    world.cut(client);
    let (client, session) = world.connect();
    world.cut(client);
    world.advance(Duration::from_secs(119));
    let first = claim(&mut world, &first);
    world.cut(first);
    // There is no token for a second, and the link breaks before.
    let waiting = claim(&mut world, &session);
    assert_eq!(world.server.stats().recoveries_queued, 1);
    world.advance(Duration::from_millis(999));
    world.cut(waiting);
    world.events.clear();
    assert_eq!(world.server.stats().recoveries_queued, 0);
    world.advance(Duration::from_millis(2));
    assert_eq!(expired(&mut world), [ExpiryCause::TimedOut]);
    assert_eq!(world.server.stats().parked_sessions, 1, "the first was parked anew");
}

#[test]
fn nothing_is_due_when_a_session_has_ended_whose_time_was_over_while_it_was_held() {
    let mut world = slow();
    let (client, first) = world.connect();
    world.cut(client);
    let (client, session) = world.connect();
    world.cut(client);
    world.advance(Duration::from_millis(119_500));
    claim(&mut world, &first);
    let waiting = claim(&mut world, &session);
    world.advance(Duration::from_millis(800));
    world.events.clear();
    world.cut(waiting);
    assert_eq!(expired(&mut world), [ExpiryCause::TimedOut], "it was held until now");
    let due = world.server.deadline();
    assert!(due.is_none_or(|due| due > world.now), "{due:?} at {:?}", world.now);
}

#[test]
fn a_session_is_held_until_the_application_has_answered() {
    let mut world = recovering(|recovery| recovery.skip_authorization = false);
    let (client, session) = world.connect();
    world.cut(client);
    world.auto_accept = false;
    world.advance(Duration::from_secs(119));
    let client = claim(&mut world, &session);
    let (request, ..) = world.requested();
    world.advance(Duration::from_secs(20));
    world.server.at(world.now).accept(request).unwrap();
    world.drain();
    assert_eq!(world.session(client), session, "it was claimed in time");
    world.cut(client);
    world.advance(Duration::from_secs(119));
    let client = claim(&mut world, &session);
    let (request, ..) = world.requested();
    world.advance(Duration::from_secs(20));
    assert!(world.server.at(world.now).reject(request, &Rejection::new("no")));
    world.advance(Duration::from_secs(1));
    assert_eq!(expired(&mut world), [ExpiryCause::TimedOut], "nobody claims it any more");
    assert_eq!(world.texts(client).len(), 1, "the refusal");
}

#[test]
fn a_session_that_has_expired_is_not_held() {
    let mut world = slow();
    let (client, session) = world.connect();
    world.cut(client);
    world.now = world.now.saturating_add(Duration::from_secs(120));
    // The timer has not been handled yet.
    let _ = claim(&mut world, &session);
    assert_eq!(
        outcomes(&mut world),
        [RecoveryOutcome::New, RecoveryOutcome::Refused(RecoveryRefusal::Expired)]
    );
}

#[test]
fn a_newer_claim_replaces_the_one_that_waits_and_keeps_its_place() {
    let mut world = slow();
    let sessions: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for (client, _) in &sessions {
        world.cut(*client);
    }
    let clients: Vec<_> = sessions.iter().map(|(_, session)| claim(&mut world, session)).collect();
    assert_eq!(world.server.stats().recoveries_queued, 3);
    let newer = claim(&mut world, &sessions[1].1);
    assert_eq!(world.server.stats().recoveries_queued, 3, "one of each session");
    assert!(world.is_closed(clients[1]), "as if it had been let in before");
    assert_eq!(world.server.stats().total.connections_closed.taken_over, 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.session(newer), sessions[1].1, "it comes in before those behind it");
    world.advance(Duration::from_secs(2));
    assert_eq!(world.session(clients[3]), sessions[3].1);
    assert_eq!(world.server.stats().connects_waiting, 0);
}

/// Claims a session with other `auth` each time, so that no claim repeats another.
fn claim_anew(world: &mut World, client: Client, session: &Session, attempt: u32) {
    let text = claim_packet(session, None);
    world.send(client, &format!("{},\"attempt\":{attempt}}}", text.strip_suffix('}').unwrap()));
}

#[test]
fn a_client_that_asks_anew_keeps_its_place() {
    let mut world = slow();
    let sessions: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for (client, _) in &sessions {
        world.cut(*client);
    }
    let clients: Vec<_> = sessions.iter().map(|(_, session)| claim(&mut world, session)).collect();
    claim_anew(&mut world, clients[1], &sessions[1].1, 1);
    assert_eq!(world.server.stats().recoveries_queued, 3);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.session(clients[1]), sessions[1].1, "it comes in before those behind it");
    world.advance(Duration::from_secs(2));
    assert_eq!(world.session(clients[3]), sessions[3].1);
    assert_eq!(world.server.stats().connects_waiting, 0);
}

#[test]
fn a_client_that_asks_anew_in_step_with_the_rate_of_claims_gets_in() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 1;
        recovery.claims_per_second = 1;
        recovery.skip_authorization = false;
    });
    let (first, first_session) = world.connect();
    let (second, session) = world.connect();
    world.cut(first);
    world.cut(second);
    claim(&mut world, &first_session);
    // The application takes its time, so that each turn comes just before the client asks anew.
    world.auto_accept = false;
    world.events.clear();
    let client = world.open();
    claim_anew(&mut world, client, &session, 0);
    for attempt in 1..=2 {
        world.advance(Duration::from_millis(500));
        claim_anew(&mut world, client, &session, attempt);
    }
    let asked: Vec<_> = world.pick(|event| match event {
        ServerEvent::ConnectRequested { request, .. } => Some(*request),
        _ => None,
    });
    assert_eq!(asked.len(), 2, "at the turn, and for the newer claim, which has it");
    assert!(world.server.at(world.now).accept(asked[0]).is_none(), "it was asked anew");
    world.server.at(world.now).accept(asked[1]).unwrap();
    world.drain();
    assert_eq!(world.session(client), session);
}

#[test]
fn a_turn_is_made_up_for_only_once() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 1;
        recovery.claims_per_second = 1;
        recovery.skip_authorization = false;
    });
    let (client, session) = world.connect();
    world.cut(client);
    world.auto_accept = false;
    let client = claim(&mut world, &session);
    world.events.clear();
    for attempt in 0..20 {
        claim_anew(&mut world, client, &session, attempt);
    }
    let asked = |event: &ServerEvent<u32>| {
        matches!(event, ServerEvent::ConnectRequested { .. }).then_some(())
    };
    assert_eq!(world.pick(asked).len(), 1);
    assert_eq!(world.server.stats().recoveries_queued, 1);
    // Neither is it a turn for another connection.
    let other = claim(&mut world, &session);
    assert!(world.is_closed(client) && world.pick(asked).is_empty());
    world.advance(Duration::from_secs(1));
    assert_eq!(world.pick(asked).len(), 1);
    assert!(!world.is_closed(other));
}

#[test]
fn a_turn_is_not_made_up_for_by_a_claim_that_costs_more() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 1;
        recovery.claims_per_second = 1;
        recovery.skip_authorization = false;
    });
    let (client, session) = world.connect();
    let mut offset = None;
    for number in 0..2_000 {
        broadcast(&mut world, &Audience::all(), number);
        offset = numbers(&world.texts(client)).1;
    }
    world.cut(client);
    world.auto_accept = false;
    world.events.clear();
    let client = world.open();
    world.send(client, &claim_packet(&session, offset.as_deref()));
    let asked = |event: &ServerEvent<u32>| {
        matches!(event, ServerEvent::ConnectRequested { .. }).then_some(())
    };
    assert_eq!(world.pick(asked).len(), 1, "nothing is missed, so little is looked at");
    world.send(client, &claim_packet(&session, None));
    assert_eq!(world.pick(asked).len(), 0);
    assert_eq!(world.server.stats().recoveries_queued, 1, "2,000 packets are to be looked at");
    world.advance(Duration::from_secs(10));
    assert_eq!(world.pick(asked).len(), 1);
}

#[test]
fn a_claim_that_costs_much_waits_for_itself_and_not_for_others() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 2;
        recovery.claims_per_second = 2;
    });
    let (greedy, own) = world.connect();
    for number in 0..5_000 {
        broadcast(&mut world, &Audience::all(), number);
        world.take(greedy.wire);
    }
    let others: Vec<_> = (0..10).map(|_| world.connect()).collect();
    world.cut(greedy);
    let greedy = claim(&mut world, &own);
    for (client, session) in &others {
        world.cut(*client);
        let client = claim(&mut world, session);
        world.advance(Duration::from_secs(1));
        assert_eq!(world.session(client), *session, "let in within two tokens");
    }
    assert!(world.texts(greedy).is_empty());
    world.advance(Duration::from_secs(10));
    assert_eq!(numbers(&world.texts(greedy)[1..]).0.len(), 5_000);
}

#[test]
fn parked_sessions_are_bounded_although_some_are_held() {
    let mut world = recovering(|recovery| {
        recovery.claim_burst = 1;
        recovery.claims_per_second = 1;
        recovery.parked_sessions = 3;
    });
    let sessions: Vec<_> = (0..6).map(|_| world.connect()).collect();
    for (client, _) in &sessions[..3] {
        world.cut(*client);
    }
    for (_, session) in &sessions[..3] {
        claim(&mut world, session);
    }
    assert_eq!(world.server.stats().recoveries_queued, 2);
    for (client, _) in &sessions[3..] {
        world.cut(*client);
    }
    assert_eq!(world.server.stats().parked_sessions, 3);
    world.events.clear();
    world.advance(Duration::from_secs(2));
    assert_eq!(outcomes(&mut world), [RecoveryOutcome::Recovered { replayed: 0 }; 2]);
}

/// The queue has one place a session, whatever is opened and closed meanwhile.
#[test]
fn claims_over_several_namespaces_wait_together() {
    let mut limits = Limits::default();
    limits.connections = 50;
    let mut recovery = RecoveryConfig::default();
    recovery.claim_burst = 1;
    recovery.claims_per_second = 100;
    let mut world = World::new(ServerConfig::new().limits(limits).recovery(recovery));
    let spaces = ["/a", "/b", "/c", "/d"];
    for space in spaces {
        world.server.at(world.now).add_namespace(space).unwrap();
    }
    let mut sessions = Vec::new();
    let clients: Vec<_> = (0..50).map(|_| world.open()).collect();
    for client in clients {
        for space in spaces {
            world.send(client, &format!("40{space},"));
            sessions.push((space, world.session(client)));
        }
        world.cut(client);
    }
    for client in sessions.chunks(4) {
        let link = world.open();
        for (space, session) in client {
            world
                .send(link, &claim_packet(session, None).replacen("40", &format!("40{space},"), 1));
        }
    }
    assert_eq!(world.server.stats().recoveries_queued, 199);
    world.events.clear();
    world.advance(Duration::from_secs(2));
    assert_eq!(outcomes(&mut world), [RecoveryOutcome::Recovered { replayed: 0 }; 199]);
}
