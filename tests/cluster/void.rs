//! A session has come to a node with its record and has ended there. An owner from before still has a copy of it.

use socketio_proto::recovery::RecoveryRefusal;

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
    store::refused,
    store_doubt::{claimed_before_a_decision, decide},
    store_races::stored_without_reply,
};

/// Node 1 gets the session with its record. Node 0 has the copy, and does not know whether the record was ever there.
/// It has not read what node 1 has claimed. Returns the client, as node 1 has answered it.
fn moved(fleet: &mut Fleet, (pid, _): &(String, String)) -> Client {
    let back = fleet.open_with(1, &claim(pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, usize::MAX);
    // It has waited for the owner for long enough.
    fleet.wait_for(1, 600);
    while fleet.frames(back).is_empty() {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert!(fleet.store.sessions.is_empty(), "node 1 has taken it");
    back
}

/// The owner answers a claim that its client has given up: that of before the one that was answered with the record.
#[test]
fn a_session_that_has_ended_does_not_come_back_with_the_answer_to_an_earlier_claim() {
    let mut fleet = Fleet::new(2);
    let of_client = stored_without_reply(&mut fleet);
    let given_up = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
    fleet.take(1, 1);
    fleet.lose(given_up);
    let back = moved(&mut fleet, &of_client);
    assert_eq!(ids(&fleet, back), of_client);
    fleet.send(back, "41");
    fleet.take(1, usize::MAX);
    assert_eq!(fleet.sessions(2), 1, "the copy");
    let again = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
    // It reads the first claim only, so it does not know that there are others.
    fleet.read(0, 1);
    fleet.settle();
    fleet.wait(2_000);
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::Unknown));
    assert_ne!(ids(&fleet, again), of_client);
    assert_eq!(fleet.sessions(2), 1, "the new one");
}

/// The owner asks the processes that have claimed the session. None of them has it any more.
#[test]
fn a_session_that_has_ended_does_not_go_on_at_an_owner_in_doubt() {
    let (mut fleet, of_client, claims) = claimed_before_a_decision();
    fleet.send(claims[0], "41");
    decide(&mut fleet);
    fleet.wait(2_000);
    fleet.settle();
    fleet.wait(20_000);
    fleet.settle();
    assert_ne!(ids(&fleet, claims[1]), of_client);
    assert_eq!(fleet.sessions(3), 2, "both are new");
}
