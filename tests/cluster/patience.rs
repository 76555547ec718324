//! Claims that wait for an engine that is slow. Many clients that come back at once wait for each other there.

use socketio_proto::{recovery::RecoveryRefusal, server::ServerEvent};

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
    store::{RECOVERED, refused, stored},
};

/// A part of a claim that the engine is slow with, and what it has done before.
type Stage = (&'static str, fn(&mut Fleet));

const STAGES: [Stage; 3] = [
    ("the claim", |_| {}),
    ("the fetch", |fleet| {
        fleet.take(2, 1);
        fleet.read(2, usize::MAX);
    }),
    ("the take", |fleet| {
        fleet.take(2, 1);
        fleet.read(2, usize::MAX);
        fleet.take(2, 1);
        fleet.read(2, usize::MAX);
    }),
];

/// A client at node 2, whose session is in the store.
fn claimed(stage: fn(&mut Fleet)) -> (Fleet, (String, String), Client) {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    stage(&mut fleet);
    (fleet, client, back)
}

fn is_answered(fleet: &Fleet) -> bool {
    let mut events = fleet.nodes[2].events.iter();
    events.any(|event| matches!(event, ServerEvent::Connected { .. }))
}

#[test]
fn a_client_waits_for_an_engine_that_is_slow() {
    for (name, stage) in STAGES {
        let (mut fleet, client, back) = claimed(stage);
        fleet.wait(9_999);
        assert!(!is_answered(&fleet), "{name}");
        fleet.settle();
        assert_eq!((ids(&fleet, back), outcome(&fleet, 2)), (client, RECOVERED), "{name}");
    }
}

#[test]
fn a_client_does_not_wait_forever_for_an_engine() {
    for (name, stage) in STAGES {
        let (mut fleet, client, _) = claimed(stage);
        fleet.wait(10_000);
        assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::OwnerUnreachable), "{name}");
        // An answer that comes later does not lose the session.
        fleet.settle();
        let later = fleet.open_with(1, &claim(&client.0, "7000-0"));
        fleet.settle();
        assert_eq!(ids(&fleet, later), client, "{name}");
    }
}

/// Nobody can say that it answers at all.
#[test]
fn a_client_does_not_wait_for_an_engine_that_is_away() {
    for (name, stage) in STAGES {
        let (mut fleet, ..) = claimed(stage);
        fleet.wait(1_500);
        fleet.cut(2, 0);
        fleet.wait(1_000);
        assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::EngineAway), "{name}");
    }
}

/// What was sent before a gap does not come any more.
#[test]
fn a_client_does_not_wait_for_a_claim_that_was_given_up() {
    let (mut fleet, ..) = claimed(|_| {});
    fleet.cut(2, 0);
    fleet.at(1, |at| at.all().emit("in the gap", &()).unwrap());
    fleet.settle();
    fleet.channel.trimmed = fleet.channel.entries.len();
    fleet.connect(2);
    fleet.settle();
    fleet.wait(1_000);
    assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::OwnerUnreachable));
}

/// The store is asked once more by the node that has the session.
#[test]
fn a_client_of_the_same_node_waits_for_a_store_that_is_slow() {
    for ms in [9_999, 10_000] {
        let (mut fleet, client, pid) = stored(2);
        let back = fleet.open_with(0, &claim(&pid, "7000-0"));
        fleet.wait(ms);
        fleet.settle();
        assert_eq!(ids(&fleet, back) == client, ms == 9_999, "{ms}");
    }
}

/// Its owner has crashed, or says nothing.
#[test]
fn a_client_waits_for_other_nodes_no_longer_than_before() {
    let mut fleet = Fleet::new(3);
    let client = fleet.open(0);
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    fleet.open_with(2, &claim(&pid, ""));
    fleet.take(2, 1);
    fleet.read(2, usize::MAX);
    fleet.take(2, 0);
    fleet.answer(2);
    fleet.wait(999);
    assert!(!is_answered(&fleet));
    fleet.wait(1);
    assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::OwnerUnreachable));
}
