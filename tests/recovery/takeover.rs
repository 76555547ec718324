//! A session is claimed while its old link is still open: what happens to the acknowledgements that
//! were requested on the old link.

use std::time::Duration;

use socketio_proto::{
    hub::{AckFailure, Audience},
    server::ServerEvent,
};

use crate::support::{World, claim_packet, event, recovering};

const HOUR: Duration = Duration::from_secs(3600);

/// What has settled since the last look: an answer, a failure, or how many answered a broadcast and
/// how many did not.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    Acked(String),
    Failed(AckFailure),
    Collected { responses: usize, missing: usize, timed_out: bool },
}

fn settled(world: &mut World) -> Vec<Settled> {
    world.pick(|event| match event {
        ServerEvent::Acked { args, .. } => Some(Settled::Acked(args.json().to_owned())),
        ServerEvent::AckFailed { cause, .. } => Some(Settled::Failed(*cause)),
        ServerEvent::BroadcastAcked { responses, missing, timed_out, .. } => {
            Some(Settled::Collected {
                responses: responses.len(),
                missing: *missing,
                timed_out: *timed_out,
            })
        }
        _ => None,
    })
}

#[test]
fn an_acknowledgement_that_is_not_replayed_fails_at_once() {
    let mut world = World::with_recovery();
    let (_first, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).emit_with_ack(socket, &event("q", 1), HOUR).unwrap();
    world.drain();
    let (second, again) = world.claim(&session, None);
    assert_eq!(again, session, "recovered");
    assert_eq!(settled(&mut world), [Settled::Failed(AckFailure::Disconnected)]);
    assert_eq!(world.server.stats().pending_acks, 0);
    // A late answer is answered to nobody, and the next one is that of the next question.
    world.send(second, r#"430["late"]"#);
    world.server.at(world.now).emit_with_ack(socket, &event("q", 2), HOUR).unwrap();
    world.drain();
    assert_eq!(world.texts(second), [r#"421["q",2]"#]);
    world.send(second, r#"431["yes"]"#);
    assert_eq!(settled(&mut world), [Settled::Acked(r#"["yes"]"#.into())]);
}

#[test]
fn an_acknowledgement_that_is_replayed_goes_on() {
    let mut world = recovering(|recovery| recovery.replay_ack_events = true);
    let (_first, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).emit_with_ack(socket, &event("q", 1), HOUR).unwrap();
    world.drain();
    let (second, again) = world.claim(&session, None);
    assert_eq!(again, session, "recovered");
    assert_eq!(settled(&mut world), []);
    assert_eq!(world.texts(second), [r#"420["q",1]"#]);
    world.send(second, r#"430["yes"]"#);
    assert_eq!(settled(&mut world), [Settled::Acked(r#"["yes"]"#.into())]);
}

/// Broadcasts with acknowledgement are never replayed.
#[test]
fn a_broadcast_counts_the_socket_as_missing_at_once() {
    for replay_ack_events in [false, true] {
        let mut world = recovering(|recovery| recovery.replay_ack_events = replay_ack_events);
        let (_first, session) = world.connect();
        let (other, _) = world.connect();
        world
            .server
            .at(world.now)
            .broadcast_with_ack("/", &Audience::all(), &event("q", 1), HOUR)
            .unwrap();
        world.drain();
        let (second, again) = world.claim(&session, None);
        assert_eq!(again, session, "recovered");
        assert_eq!(settled(&mut world), [], "the other one is awaited");
        world.send(second, r#"430["was not asked here"]"#);
        assert_eq!(settled(&mut world), []);
        world.send(other, r#"430["yes"]"#);
        let collected = Settled::Collected { responses: 1, missing: 1, timed_out: false };
        assert_eq!(settled(&mut world), [collected]);
    }
}

/// The old link and the new one are the same, so nothing was lost on it.
#[test]
fn an_acknowledgement_on_the_same_link_can_be_answered_still() {
    let mut world = World::with_recovery();
    let (client, session) = world.connect();
    let (socket, _) = world.connected();
    world.server.at(world.now).emit_with_ack(socket, &event("q", 1), HOUR).unwrap();
    world.drain();
    assert_eq!(world.texts(client), [r#"420["q",1]"#]);
    world.send(client, &claim_packet(&session, None));
    assert_eq!(world.session(client), session, "the same session");
    world.send(client, r#"430["yes"]"#);
    assert_eq!(settled(&mut world), [Settled::Acked(r#"["yes"]"#.into())]);
}
