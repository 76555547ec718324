//! A claim of a session that this server does not know waits while it is looked up elsewhere. Here
//! the session is found in the snapshot of an earlier process, which is restored meanwhile.

use std::time::Duration;

use socketio_proto::{
    RecoveryConfig, ServerConfig,
    hub::{Audience, ConnectRequest, Rejection},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{Server, ServerEvent, ServerInput},
};

use crate::support::{
    Client, Session, World, broadcast, claim_packet, numbers, recovering, seeded_entropy,
};

const TIMEOUT: Duration = Duration::from_secs(1);

/// What the server asks for: the request, the private id, and the offset.
type Asked = (ConnectRequest, String, Option<String>);

fn config(skip_authorization: bool) -> ServerConfig {
    let recovery = RecoveryConfig::new().lookup_timeout(Some(TIMEOUT));
    ServerConfig::new().recovery(recovery.skip_authorization(skip_authorization))
}

/// A server that knows no session, after another one with a session that has missed three packets
/// of four. Returns the snapshot of the other one, the session, and the offset of its client.
fn world(skip_authorization: bool) -> (World, String, Session, String) {
    let mut world = World::new(config(skip_authorization));
    let (client, session) = world.connect();
    broadcast(&mut world, &Audience::all(), 1);
    let (_, offset) = numbers(&world.texts(client));
    world.cut(client);
    for number in 2..5 {
        broadcast(&mut world, &Audience::all(), number);
    }
    let snapshot = serde_json::to_string(&world.server.snapshot(world.now)).unwrap();
    world.server = Server::new(config(skip_authorization), seeded_entropy(9)).unwrap();
    world.server.at(world.now).add_namespace("/").unwrap();
    world.events.clear();
    (world, snapshot, session, offset.unwrap())
}

fn asked(world: &mut World) -> Vec<Asked> {
    world.pick(|event| match event {
        ServerEvent::LookupRequested { request, key, offset, .. } => {
            let offset = offset.as_ref().map(ToString::to_string);
            Some((*request, key.expose().to_owned(), offset))
        }
        _ => None,
    })
}

/// Opens a connection and claims a session, which is looked up.
fn claim(world: &mut World, session: &Session, offset: Option<&str>) -> (Client, ConnectRequest) {
    let client = world.open();
    world.send(client, &claim_packet(session, offset));
    let asked = asked(world);
    let [(request, key, presented)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((key, presented.as_deref()), (&session.pid, offset));
    assert_eq!(world.texts(client), [""; 0], "the client waits");
    (client, *request)
}

fn restore(world: &mut World, snapshot: &str) {
    let snapshot = serde_json::from_str(snapshot).unwrap();
    assert_eq!(world.server.at(world.now).restore(snapshot).unwrap().len(), 1);
}

fn end_lookup(world: &mut World, request: ConnectRequest, otherwise: RecoveryRefusal) -> bool {
    let is_waiting = world.server.at(world.now).end_lookup(request, otherwise);
    world.drain();
    is_waiting
}

/// Nothing waits any more, and no answer is accepted.
fn assert_over(world: &mut World, request: ConnectRequest) {
    assert_eq!(world.server.stats().connects_waiting, 0);
    assert!(!end_lookup(world, request, RecoveryRefusal::Unknown), "an answer that comes too late");
    let earliest = world.now.saturating_add(TIMEOUT);
    assert!(world.server.deadline().is_none_or(|due| due > earliest), "a timer is left");
    let before = world.events.len();
    world.advance(TIMEOUT * 2);
    assert_eq!(world.events.len(), before, "the lookup goes on");
}

#[test]
fn nobody_is_asked_unless_the_application_wants_it() {
    let (_, _, session, _) = world(true);
    let mut world = recovering(|_| ());
    world.claim(&session, None);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
    assert_eq!(world.server.stats().total.lookups, 0);
}

#[test]
fn a_session_that_is_found_elsewhere_is_recovered_as_if_it_had_been_here() {
    for skip_authorization in [true, false] {
        let (mut world, snapshot, session, offset) = world(skip_authorization);
        let (client, request) = claim(&mut world, &session, Some(&offset));
        restore(&mut world, &snapshot);
        world.auto_accept = false;
        assert!(end_lookup(&mut world, request, RecoveryRefusal::Unknown));
        if !skip_authorization {
            let (request, _, _, recoverable) = world.requested();
            assert!(recoverable.is_some(), "the application learns what it decides about");
            world.server.at(world.now).accept(request).unwrap();
            world.drain();
        }
        assert_eq!(world.session(client), session);
        assert_eq!(numbers(&world.texts(client)).0, [2, 3, 4]);
        assert_eq!(world.connected().1, RecoveryOutcome::Recovered { replayed: 3 });
        assert_over(&mut world, request);
    }
}

#[test]
fn a_session_that_is_nowhere_is_refused_with_the_reason_of_the_answer() {
    for refusal in [RecoveryRefusal::Unknown, RecoveryRefusal::Gap, RecoveryRefusal::Expired] {
        let (mut world, _, session, offset) = world(true);
        let (client, request) = claim(&mut world, &session, Some(&offset));
        assert_eq!(world.server.stats().connects_waiting, 1);
        assert!(end_lookup(&mut world, request, refusal));
        assert_ne!(world.session(client), session);
        assert_eq!(world.connected().1, RecoveryOutcome::Refused(refusal));
        assert_over(&mut world, request);
    }
}

#[test]
fn a_lookup_that_nobody_answers_ends_by_itself() {
    let (mut world, _, session, _) = world(true);
    let (client, request) = claim(&mut world, &session, None);
    assert_eq!(world.server.deadline(), Some(world.now.saturating_add(TIMEOUT)));
    world.advance(Duration::from_micros(999_999));
    assert_eq!(world.texts(client), [""; 0]);
    world.advance(Duration::from_micros(1));
    assert_ne!(world.session(client), session);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Unanswered));
    let total = world.server.stats().total;
    assert_eq!((total.lookups, total.refused.unanswered), (1, 1));
    assert_over(&mut world, request);
}

/// The answer may have arrived while the process did not run.
#[test]
fn a_process_that_was_stopped_first_reads_the_answer() {
    let (mut world, snapshot, session, offset) = world(true);
    let (client, request) = claim(&mut world, &session, Some(&offset));
    world.now = world.now.saturating_add(Duration::from_secs(5));
    world.input(ServerInput::Timeout);
    assert_eq!(world.texts(client), [""; 0], "the client waits");
    restore(&mut world, &snapshot);
    assert!(end_lookup(&mut world, request, RecoveryRefusal::Unknown));
    assert_eq!(world.session(client), session);
}

#[test]
fn a_client_that_goes_meanwhile_leaves_nothing_and_loses_nothing() {
    let (mut world, snapshot, session, offset) = world(true);
    let (client, request) = claim(&mut world, &session, Some(&offset));
    world.cut(client);
    world.events.clear();
    assert_eq!(world.server.deadline(), None, "nobody waits for the answer");
    assert_over(&mut world, request);

    restore(&mut world, &snapshot);
    let (client, same) = world.claim(&session, Some(&offset));
    assert_eq!(same, session);
    assert_eq!(numbers(&world.texts(client)).0, [2, 3, 4]);
}

#[test]
fn a_namespace_stays_while_a_session_is_looked_up_for_it_and_no_longer() {
    let (mut world, _, session, _) = world(true);
    world.server.at(world.now).add_namespaces_matching(|name| name == "/dynamic");
    let client = world.open();
    world.send(client, &format!(r#"40/dynamic,{{"pid":"{}"}}"#, session.pid));
    assert_eq!(asked(&mut world).len(), 1);
    assert_eq!(world.server.stats().namespaces, 2);
    world.cut(client);
    assert_eq!(world.server.stats().namespaces, 1);
}

#[test]
fn a_new_connect_replaces_the_claim_that_is_looked_up() {
    let (mut world, snapshot, session, offset) = world(true);
    let (client, earlier) = claim(&mut world, &session, None);
    world.send(client, &claim_packet(&session, Some(&offset)));
    let asked = asked(&mut world);
    let [(request, ..)] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(world.server.stats().connects_waiting, 1);
    restore(&mut world, &snapshot);
    assert!(!end_lookup(&mut world, earlier, RecoveryRefusal::Unknown), "it was replaced");
    assert_eq!(world.texts(client), [""; 0], "the client waits");
    assert!(end_lookup(&mut world, request, RecoveryRefusal::Unknown));
    assert_eq!(world.session(client), session);
    assert_eq!(numbers(&world.texts(client)).0, [2, 3, 4], "after the later offset");
    assert_over(&mut world, request);
}

#[test]
fn a_new_connect_without_a_claim_ends_the_lookup() {
    let (mut world, _, session, _) = world(true);
    let (client, request) = claim(&mut world, &session, None);
    world.send(client, "40");
    assert_ne!(world.session(client), session);
    assert_eq!(world.connected().1, RecoveryOutcome::New);
    assert_over(&mut world, request);
}

#[test]
fn of_two_claims_that_are_looked_up_the_later_one_wins() {
    for is_in_order in [true, false] {
        let (mut world, snapshot, session, offset) = world(true);
        let (earlier, first) = claim(&mut world, &session, Some(&offset));
        let (client, second) = claim(&mut world, &session, Some(&offset));
        restore(&mut world, &snapshot);
        let mut order = [first, second];
        if !is_in_order {
            order.reverse();
        }
        for request in order {
            assert!(end_lookup(&mut world, request, RecoveryRefusal::Unknown));
        }
        assert_eq!(world.session(client), session, "in order: {is_in_order}");
        assert_eq!(numbers(&world.texts(client)).0, [2, 3, 4]);
        if is_in_order {
            assert_eq!(world.session(earlier), session);
            assert!(world.is_closed(earlier), "the session was taken over");
        } else {
            assert_ne!(world.session(earlier), session);
            assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Superseded));
        }
        assert_over(&mut world, second);
    }
}

#[test]
fn an_application_that_decides_meanwhile_ends_the_lookup() {
    let (mut world, _, session, _) = world(true);
    let (client, request) = claim(&mut world, &session, None);
    assert!(world.server.at(world.now).accept(request).is_some());
    world.drain();
    assert_ne!(world.session(client), session);
    assert_eq!(world.connected().1, RecoveryOutcome::Refused(RecoveryRefusal::Unanswered));
    assert_over(&mut world, request);

    let (client, request) = claim(&mut world, &session, None);
    assert!(world.server.at(world.now).reject(request, &Rejection::new("no")));
    world.drain();
    assert_eq!(world.texts(client), [r#"44{"message":"no"}"#]);
    assert_over(&mut world, request);
}

#[test]
fn a_claim_that_no_server_can_satisfy_is_not_looked_up() {
    let (mut world, _, session, _) = world(true);
    let Session { pid, .. } = &session;
    let long = "7".repeat(65);
    for connect in [
        r#"40{"pid":"short"}"#.to_owned(),
        r#"40{"pid":7}"#.to_owned(),
        format!(r#"40{{"pid":"{pid}","offset":7}}"#),
        format!(r#"40{{"pid":"{pid}","offset":"{long}"}}"#),
    ] {
        world.connect_with(&connect);
        assert_eq!(
            world.connected().1,
            RecoveryOutcome::Refused(RecoveryRefusal::Unknown),
            "{connect}"
        );
    }
    assert_eq!(world.server.stats().total.lookups, 0);
}
