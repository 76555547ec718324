//! Claims that wait for an engine that is slow. Many clients that come back at once wait for each other there.

use socketio_proto::{
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
};

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

/// The owner of a session stores it and crashes, before it reads the claim. The claimant has asked the store
/// before that.
#[test]
fn a_record_that_was_stored_behind_a_claim_is_found() {
    let (mut fleet, client, back) = claimed_before_it_is_parked();
    fleet.lose(client);
    fleet.take(0, 1);
    let of_client = ids(&fleet, client);
    fleet.crash(0);
    fleet.wait(1_000);
    assert!(!is_answered(&fleet));
    fleet.settle();
    assert_eq!(
        (ids(&fleet, back), outcome(&fleet, 2)),
        (of_client, RecoveryOutcome::Recovered { replayed: 0 })
    );
}

/// A client at node 2, whose session is still connected at node 0. The store has no record of it.
fn claimed_before_it_is_parked() -> (Fleet, Client, Client) {
    let mut fleet = Fleet::new(3);
    let client = fleet.open(0);
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    let back = fleet.open_with(2, &claim(&pid, ""));
    fleet.take(2, 1);
    fleet.read(2, usize::MAX);
    fleet.take(2, 0);
    fleet.answer(2);
    (fleet, client, back)
}

/// Its owner has crashed, or says nothing. The store has no record.
#[test]
fn a_client_waits_for_other_nodes_no_longer_than_before() {
    let (mut fleet, ..) = claimed_before_it_is_parked();
    fleet.wait(999);
    assert!(fleet.nodes[2].in_flight.is_empty());
    fleet.wait(1);
    assert!(!is_answered(&fleet), "the store is asked once more");
    fleet.take(2, 1);
    fleet.answer(2);
    assert_eq!(outcome(&fleet, 2), refused(RecoveryRefusal::OwnerUnreachable));
}
