//! Claims of sessions in the store race with each other, with the owner, and with the engine.

use socketio_proto::{Timestamp, hub::ExpiryCause, recovery::RecoveryRefusal, server::ServerEvent};

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
    store::{RECOVERED, parked_socket, refused, stored},
};

/// The client comes to node 1, which takes its session from the store. The
/// owner, node 0, reads nothing of that.
fn taken_from_the_store(fleet: &mut Fleet, pid: &str) -> Client {
    let client = fleet.open_with(1, &claim(pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    client
}

/// Whether a command to the store has taken effect is found out, not guessed.
#[test]
fn h71_a_lost_reply_costs_no_session_and_doubles_none() {
    // Whether the engine has carried out the command, and who claims the session then.
    for (is_carried_out, claimant) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let mut fleet = Fleet::new(2);
        let client = fleet.open(0);
        fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
        fleet.settle();
        let (pid, _) = ids(&fleet, client);
        fleet.lose(client);
        fleet.carry_out_or_lose(0, is_carried_out);
        fleet.cut(0, 0);
        fleet.connect(0);
        fleet.settle();
        assert!(fleet.store.sessions.contains_key(&pid), "the store has it after all");
        // The same with the command that takes it.
        let lost = fleet.open_with(0, &claim(&pid, "7000-0"));
        fleet.carry_out_or_lose(0, is_carried_out);
        assert!(!is_carried_out || fleet.store.sessions.is_empty());
        fleet.cut(0, 0);
        fleet.lose(lost);
        fleet.connect(0);
        let back = fleet.open_with(claimant, &claim(&pid, "7000-0"));
        fleet.settle();
        assert_eq!(ids(&fleet, back), ids(&fleet, client), "{is_carried_out} {claimant}");
        let parked = fleet.nodes.iter().map(|it| it.server.stats().parked_sessions);
        assert_eq!(parked.sum::<usize>(), 0);
    }
}

/// A client of node 0 that has processed an event and has lost its link. Its record is in the store, but the
/// reply is lost.
pub fn stored_without_reply(fleet: &mut Fleet) -> (String, String) {
    let client = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    fleet.lose(client);
    fleet.take(0, 0);
    fleet.cut(0, 0);
    fleet.connect(0);
    ids(fleet, client)
}

/// The node only has to know whether the store has it. If it took it for that, a crash would cost the session.
#[test]
fn a_crash_after_a_lost_reply_costs_no_session() {
    for are_answered in [false, true] {
        let mut fleet = Fleet::new(2);
        let of_client = stored_without_reply(&mut fleet);
        fleet.take(0, 0);
        if are_answered {
            fleet.answer(0);
        }
        fleet.crash(0);
        let back = fleet.open_with(1, &claim(&of_client.0, "7000-0"));
        fleet.settle();
        fleet.wait(500);
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{are_answered}");
    }
}

/// A client that comes while the node finds out where the record is gets its session, and so does one that
/// comes to another node then.
#[test]
fn a_session_is_recovered_while_its_node_finds_out_where_the_record_is() {
    for (is_carried_out, is_answered, node) in
        [(false, false, 0), (true, false, 0), (true, true, 0), (true, false, 1), (true, true, 1)]
    {
        let mut fleet = Fleet::new(2);
        let of_client = stored_without_reply(&mut fleet);
        if is_carried_out {
            fleet.take(0, 0);
        }
        if is_answered {
            fleet.answer(0);
        }
        let back = fleet.open_with(node, &claim(&of_client.0, "7000-0"));
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{is_carried_out} {is_answered} {node}");
        assert!(fleet.store.sessions.is_empty(), "it is connected");
        let parked = fleet.nodes.iter().map(|it| it.server.stats().parked_sessions);
        assert_eq!(parked.sum::<usize>(), 0);
    }
}

/// A client asks twice at one node. Its first claim brings the session in from the owner, while the
/// record is taken for the second one. It must not go back: it would be continued once more.
#[test]
fn a_record_that_is_taken_for_a_session_that_is_here_does_not_stay_in_the_store() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    fleet.settle();
    let of_client = ids(&fleet, client);
    let pid = &of_client.0;
    fleet.lose(client);
    let abandoned = fleet.open_with(1, &claim(pid, ""));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.lose(abandoned);
    // The record comes into the store only now.
    fleet.take(0, 0);
    let back = fleet.open_with(1, &claim(pid, ""));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    // The owner hands over to the first claim.
    fleet.read(0, 1);
    fleet.take(0, 1);
    fleet.read(1, 1);
    fleet.settle();
    assert_eq!(ids(&fleet, back), of_client);
    assert!(fleet.store.sessions.is_empty(), "it is connected");
}

/// An owner that cannot answer a claim must not hand the session over later: the claimant has got it
/// from the store.
#[test]
fn an_owner_whose_queue_is_full_leaves_a_session_to_the_store() {
    let (mut fleet, client, pid) = stored(3);
    fleet.cut(0, 0);
    for _ in 0..20 {
        fleet.at(0, |at| at.to("nobody").emit("waits", &()).unwrap());
    }
    fleet.connect(0);
    let moved = taken_from_the_store(&mut fleet, &pid);
    assert_eq!(ids(&fleet, moved), client);
    let socket = fleet.socket(moved);
    fleet.at(1, |at| at.leave(socket, "room"));
    fleet.read(0, 1);
    assert_eq!(fleet.nodes[0].server.stats().parked_sessions, 0);
    fleet.lose(moved);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(ids(&fleet, back), client);
    assert_eq!(fleet.nodes[2].server.rooms(fleet.socket(back)).count(), 1, "it has left the room");
}

/// The reply to the command with which a claimant takes a session from the store is lost.
#[test]
fn h71_a_session_is_not_lost_with_the_reply_to_the_claimant() {
    let (mut fleet, client, pid) = stored(2);
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.take(1, 0);
    assert!(fleet.store.sessions.is_empty(), "it was taken");
    fleet.cut(1, 0);
    fleet.connect(1);
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
    assert_eq!(fleet.got(back), ["missed"]);
}

/// A process that was stopped has not seen that its session has gone on elsewhere. A client that comes
/// there gets it as at any other node.
#[test]
fn a_paused_owner_lets_go_of_a_session_that_was_taken_from_the_store() {
    let (mut fleet, client, pid) = stored(2);
    let at_other = taken_from_the_store(&mut fleet, &pid);
    assert_eq!((ids(&fleet, at_other), outcome(&fleet, 1)), (client.clone(), RECOVERED));
    // The client comes to the node that was paused, before that has read anything.
    let at_owner = fleet.open_with(0, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!((ids(&fleet, at_owner), outcome(&fleet, 0)), (client, RECOVERED));
    let expired = |event: &ServerEvent<u32>| {
        matches!(
            event,
            ServerEvent::SessionExpired { cause, .. } if *cause != ExpiryCause::Moved
        )
    };
    assert!(!fleet.nodes[0].events.iter().any(expired));
    fleet.at(0, |at| at.all().emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(at_other), ["missed", "closed"]);
    assert_eq!(fleet.got(at_owner), ["missed", "live"]);
    assert_eq!(fleet.nodes.iter().map(|it| it.server.stats().sockets).sum::<usize>(), 1);
}

#[test]
fn of_two_claims_of_a_stored_session_the_later_one_gets_it() {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    let first = fleet.open_with(1, &claim(&pid, "7000-0"));
    let second = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::Superseded));
    assert_eq!((ids(&fleet, second), outcome(&fleet, 2)), (client.clone(), RECOVERED));
    assert_ne!(ids(&fleet, first).1, client.1);
}

/// Whichever comes first brings the session in.
#[test]
fn a_handover_and_a_record_bring_a_session_in_once() {
    for is_record_first in [true, false] {
        let (mut fleet, client, pid) = stored(2);
        let back = fleet.open_with(1, &claim(&pid, "7000-0"));
        fleet.take(1, 1);
        fleet.read(1, 1);
        if !is_record_first {
            fleet.take(1, 0);
            fleet.read(0, 1);
            fleet.take(0, 1);
            fleet.read(1, 1);
        }
        fleet.settle();
        assert_eq!(ids(&fleet, back), client.clone(), "{is_record_first}");
        assert_eq!(fleet.got(back), ["missed"], "{is_record_first}");
        let totals: Vec<_> = fleet.nodes.iter().map(|it| it.server.stats().total).collect();
        assert_eq!((totals[0].sessions_moved, totals[1].sessions_arrived), (1, 1));
        assert_eq!(fleet.nodes[1].server.stats().sockets, 1);
        assert!(fleet.store.sessions.is_empty());
    }
}

/// Otherwise a record from before would be used after the session has gone on.
#[test]
fn an_end_does_not_remove_a_record_of_another_node() {
    let (mut fleet, _, pid) = stored(2);
    let at_other = taken_from_the_store(&mut fleet, &pid);
    fleet.lose(at_other);
    fleet.take(1, 0);
    assert!(fleet.store.sessions.contains_key(&pid), "a record of the other node");
    // The first node has not read anything since, and its time is over.
    let (record, _) = fleet.store.sessions[&pid].clone();
    fleet.store.sessions.insert(pid.clone(), (record.clone(), Timestamp::from_millis(u64::MAX)));
    fleet.wait(119_999);
    let socket = parked_socket(&fleet);
    fleet.nodes[0].server.at(fleet.now).disconnect(socket, false);
    fleet.wait(1);
    fleet.take(0, 0);
    fleet.settle();
    let kept = fleet.store.sessions.get(&pid).map(|(kept, _)| kept.clone());
    assert!(kept.is_none_or(|kept| kept == record));
}

/// A record says more than the claimant has read.
#[test]
fn a_claimant_that_lags_behind_reads_on_before_it_uses_a_record() {
    let mut fleet = Fleet::new(3);
    let client = fleet.open(0);
    let of_client = ids(&fleet, client);
    let pid = of_client.0.clone();
    let back = fleet.open_with(2, &claim(&pid, ""));
    fleet.take(2, 1);
    fleet.read(2, 1);
    let socket = fleet.socket(client);
    fleet.at(1, |at| at.all().emit("for all", &()).unwrap());
    fleet.take(1, 1);
    // The owner reads neither the claim nor anything else after it. It only dies.
    fleet.nodes[0].read = Some(1);
    fleet.read(0, 1);
    fleet.at(0, |at| at.join(socket, "room").unwrap());
    fleet.lose(client);
    fleet.take(0, 0);
    fleet.crash(0);
    fleet.take(2, 0);
    fleet.answer(2);
    assert!(fleet.frames(back).is_empty());
    fleet.settle();
    assert_eq!((ids(&fleet, back), fleet.got(back)), (of_client, vec!["for all".into()]));
}

/// A node has put its session into the store, but the reply was lost, and the record is gone: another
/// node may have it. If it were continued here, both nodes would.
#[test]
fn h71_a_session_whose_record_is_gone_is_not_continued_before_it_is_known_where_it_is() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let of_client = ids(&fleet, client);
    fleet.lose(client);
    fleet.take(0, 0);
    fleet.cut(0, 0);
    fleet.connect(0);
    let at_other = taken_from_the_store(&mut fleet, &of_client.0);
    assert_eq!(ids(&fleet, at_other), of_client);
    // The owner learns that the record is gone, and reads the claim only later.
    fleet.take(0, 0);
    fleet.answer(0);
    let at_owner = fleet.open_with(0, &claim(&of_client.0, "7000-0"));
    fleet.settle();
    assert_eq!(ids(&fleet, at_owner), of_client);
    assert_eq!(fleet.got(at_other), ["closed"]);
    assert_eq!(fleet.nodes.iter().map(|it| it.server.stats().sockets).sum::<usize>(), 1);
}
