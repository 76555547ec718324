//! The application decides slowly about claims. A claim that came in time keeps its session, but no
//! session is held for ever.

use std::time::Duration;

use socketio_proto::{
    hub::{Audience, ConnectRequest, ExpiryCause},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, ServerInput},
};

use crate::support::{Client, Session, World, broadcast, claim_packet, recovering};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
const NEARLY: Duration = Duration::from_secs(44);

/// A world whose application decides when the test does, with one session that is parked.
fn world(parked_sessions: usize) -> (World, Session) {
    let mut world = recovering(|recovery| {
        recovery.skip_authorization = false;
        recovery.parked_sessions = parked_sessions;
    });
    world.server.at(world.now).add_namespace("/other").unwrap();
    let (client, session) = world.connect();
    world.cut(client);
    (world, session)
}

/// Claims a session over a connection that is in another namespace, so that it may wait for long.
fn claim(world: &mut World, session: &Session) -> (Client, ConnectRequest) {
    world.auto_accept = true;
    let (client, _) = world.connect_with("40/other,");
    world.auto_accept = false;
    world.events.clear();
    world.send(client, &claim_packet(session, None));
    let (request, ..) = world.requested();
    (client, request)
}

fn accept(world: &mut World, request: ConnectRequest) -> RecoveryOutcome {
    world.server.at(world.now).accept(request).expect("the client is there");
    world.drain();
    world.connected().1
}

/// Time passes, and the client answers pings.
fn pass(world: &mut World, client: Client, time: Duration) {
    let end = world.now.saturating_add(time);
    while world.now < end {
        let step = end.saturating_since(world.now).min(Duration::from_secs(1));
        world.advance(step);
        for text in world.texts(client) {
            if text == "2" {
                world.send(client, "3");
            }
        }
    }
}

fn expired(world: &mut World) -> Vec<ExpiryCause> {
    world.pick(|event| match event {
        ServerEvent::SessionExpired { cause, .. } => Some(*cause),
        _ => None,
    })
}

const RECOVERED: RecoveryOutcome = RecoveryOutcome::Recovered { replayed: 0 };

#[test]
fn a_session_whose_time_is_up_waits_for_the_answer() {
    let (mut world, session) = world(10);
    world.advance(Duration::from_secs(119));
    let (client, request) = claim(&mut world, &session);
    pass(&mut world, client, NEARLY);
    assert_eq!(accept(&mut world, request), RECOVERED);
    assert_eq!(world.server.stats().total.sessions_expired, 0);
}

#[test]
fn an_application_that_does_not_answer_holds_no_session_for_ever() {
    let (mut world, session) = world(10);
    world.advance(Duration::from_secs(119));
    let (client, request) = claim(&mut world, &session);
    pass(&mut world, client, CONNECT_TIMEOUT);
    assert_eq!(expired(&mut world), [ExpiryCause::TimedOut]);
    assert_eq!(
        (world.server.stats().parked_sessions, world.server.stats().connects_waiting),
        (0, 1)
    );
    let unknown = RecoveryOutcome::Refused(RecoveryRefusal::Unknown);
    assert_eq!(accept(&mut world, request), unknown, "an answer after all");
}

/// What it would have replayed goes with its time, too.
#[test]
fn an_application_that_does_not_answer_holds_no_packet_for_ever() {
    let (mut world, session) = world(10);
    broadcast(&mut world, &Audience::all(), 1);
    world.advance(Duration::from_secs(119));
    let (client, _) = claim(&mut world, &session);
    // The log keeps a packet for 165 s and a batch of a second.
    pass(&mut world, client, NEARLY);
    assert_eq!(world.server.stats().log_packets, 1);
    pass(&mut world, client, Duration::from_secs(10));
    assert_eq!(world.server.stats().log_packets, 0);
}

/// An answer after that time is not too late if the session is still there.
#[test]
fn a_session_that_is_let_go_of_early_is_still_given_back() {
    let (mut world, session) = world(10);
    let (client, request) = claim(&mut world, &session);
    pass(&mut world, client, CONNECT_TIMEOUT + Duration::from_secs(10));
    assert_eq!(expired(&mut world), []);
    assert_eq!(accept(&mut world, request), RECOVERED);
}

/// The application could not answer while its process was stopped.
#[test]
fn a_pause_of_the_process_is_not_held_against_the_client() {
    for is_timeout_first in [true, false] {
        let (mut world, session) = world(10);
        world.advance(Duration::from_secs(119));
        let (_, request) = claim(&mut world, &session);
        world.now = world.now.saturating_add(Duration::from_secs(600));
        if is_timeout_first {
            world.input(ServerInput::Timeout);
        }
        assert_eq!(accept(&mut world, request), RECOVERED, "{is_timeout_first}");
    }
}

/// Too many sessions are parked while the application decides: the others are evicted first, whether
/// they were parked earlier or later.
#[test]
fn sessions_that_were_claimed_are_evicted_last() {
    for is_claimed_first in [true, false] {
        let (mut world, session) = world(2);
        world.auto_accept = true;
        let others: Vec<Client> = (0..5).map(|_| world.connect().0).collect();
        let mut asked = is_claimed_first.then(|| claim(&mut world, &session).1);
        for (number, other) in others.into_iter().enumerate() {
            world.cut(other);
            if number == 0 && asked.is_none() {
                asked = Some(claim(&mut world, &session).1);
            }
        }
        assert_eq!(world.server.stats().parked_sessions, 2);
        assert_eq!(expired(&mut world), [ExpiryCause::Evicted; 4]);
        assert_eq!(accept(&mut world, asked.unwrap()), RECOVERED, "{is_claimed_first}");
    }
}
