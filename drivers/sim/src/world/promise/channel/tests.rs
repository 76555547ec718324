//! Each way in which nodes can break the promise is noticed.

use socketio_proto::{
    cluster::message::{ClusterBroadcast, NodeId},
    recovery::{RecoveryOutcome, RecoveryRefusal},
};

use super::*;
use crate::world::promise::Records;

const CLIENT: usize = 3;

fn event(number: usize) -> Event {
    Event::new("m", &(number,)).unwrap()
}

fn sent(number: usize) -> Event {
    Event::new("m", &(number, at(number).to_string())).unwrap()
}

/// The position of the entry with this index, whose event has the same number.
fn at(index: usize) -> Offset {
    Offset::pair(7, index as u64)
}

fn append(promise: &mut Promise, index: usize, body: Body, stamp: u64) {
    let message = Message::new(NodeId::new("a").unwrap(), NamespaceName::ROOT, body);
    promise.appended(0, at(index), &message.stamped(Stamp::new(stamp, 0)));
}

fn emit(promise: &mut Promise, index: usize, options: BroadcastOptions) {
    let body = Body::Broadcast(ClusterBroadcast::new(options, event(index)));
    append(promise, index, body, index as u64);
}

/// A client in a session `a` that has begun before the first entry and is in the room `red`.
fn connected() -> Promise {
    let mut promise = Promise::of_cluster(cluster::Channels::ONE, false);
    let socket = || "a".to_owned();
    promise
        .note_of_node(Recorded::Opened { namespace: NamespaceName::ROOT, socket: socket() }, &[0]);
    promise.note_of_node(Recorded::Joined { socket: socket(), room: "red".to_owned() }, &[0]);
    promise.connected(CLIENT, &NamespaceName::ROOT, "a", false).unwrap();
    promise
}

fn receive(promise: &mut Promise, number: usize) -> Result<Option<Event>, String> {
    promise.received(CLIENT, &NamespaceName::ROOT, &sent(number), false)
}

/// An event that is not in the channel, for everyone.
fn volatile(number: usize) -> Recorded {
    Recorded::Emitted(Emission {
        namespace: NamespaceName::ROOT,
        to: Vec::new(),
        except: Vec::new(),
        event: event(number),
        sent: sent(number),
        is_owed: false,
        asks: false,
    })
}

fn to(room: &str) -> BroadcastOptions {
    BroadcastOptions::all().to(room)
}

#[test]
fn the_entries_say_who_gets_what() {
    let mut promise = connected();
    emit(&mut promise, 0, to("red"));
    emit(&mut promise, 1, to("blue"));
    emit(&mut promise, 2, BroadcastOptions::all().except("red"));
    emit(&mut promise, 3, BroadcastOptions::all());
    assert_eq!(receive(&mut promise, 0), Ok(Some(event(0))), "without its offset");
    assert!(receive(&mut promise, 1).unwrap_err().contains("not meant for it"));
    assert!(receive(&mut promise, 2).unwrap_err().contains("not meant for it"));
    assert_eq!(receive(&mut promise, 3), Ok(Some(event(3))));
}

#[test]
fn what_is_left_out_doubled_or_swapped_is_noticed() {
    for order in [&[1][..], &[0, 0], &[1, 0]] {
        let mut promise = connected();
        emit(&mut promise, 0, to("red"));
        emit(&mut promise, 1, to("red"));
        let received: Result<Vec<_>, String> =
            order.iter().map(|number| receive(&mut promise, *number)).collect();
        assert!(received.is_err(), "{order:?}");
    }
}

#[test]
fn a_change_at_a_node_has_its_place_in_the_channel() {
    let mut promise = connected();
    emit(&mut promise, 0, to("red"));
    emit(&mut promise, 1, to("red"));
    // The node has read one entry.
    let left = Recorded::Left { socket: "a".to_owned(), room: "red".to_owned() };
    promise.note_of_node(left, &[1]);
    receive(&mut promise, 0).unwrap();
    assert!(receive(&mut promise, 1).unwrap_err().contains("not meant for it"));
}

#[test]
fn changes_of_all_nodes_follow_from_the_entries() {
    let mut promise = connected();
    let join = Body::SocketsJoin { options: to("red"), rooms: vec!["blue".into()] };
    append(&mut promise, 0, join, 0);
    emit(&mut promise, 1, to("blue"));
    let kick = Body::DisconnectSockets { options: to("blue"), close: false };
    append(&mut promise, 2, kick, 2);
    emit(&mut promise, 3, to("blue"));
    receive(&mut promise, 1).unwrap();
    assert!(receive(&mut promise, 3).unwrap_err().contains("not meant for it"));
}

#[test]
fn what_is_there_twice_takes_effect_once() {
    let mut promise = connected();
    for index in 0..2 {
        let body = Body::Broadcast(ClusterBroadcast::new(to("red"), event(0)));
        append(&mut promise, index, body, 7);
    }
    promise.read_all();
    receive(&mut promise, 0).unwrap();
    assert_eq!(promise.owed(CLIENT, "/"), None);
}

#[test]
fn a_node_without_the_engine_does_not_hear_that_a_session_has_ended() {
    for may_be_old in [true, false] {
        let mut promise = connected();
        promise.decided("a", RecoveryOutcome::Recovered { replayed: 0 }, 0, may_be_old);
        promise.ended("a", 1, &[0], Ender::Application);
        promise.note_of_node(volatile(0), &[0]);
        assert_eq!(receive(&mut promise, 0).is_ok(), may_be_old);
    }
}

#[test]
fn what_has_not_arrived_is_owed() {
    let mut promise = connected();
    emit(&mut promise, 0, to("red"));
    assert_eq!(promise.owed(CLIENT, "/"), None, "it may still be read");
    promise.read_all();
    assert_eq!(promise.owed(CLIENT, "/"), Some(&event(0)));
}

/// An old copy of a session reports a join after the session has left the room elsewhere.
#[test]
fn joins_and_leaves_of_nodes_that_write_ahead_are_those_of_the_entries() {
    for (writes_ahead, owed) in [(true, None), (false, Some(event(1)))] {
        let mut promise = connected();
        let leave = Body::SocketsLeave { options: to("a"), rooms: vec!["red".into()] };
        append(&mut promise, 0, leave, 0);
        let joined = Recorded::Joined { socket: "a".to_owned(), room: "red".to_owned() };
        promise.read_all();
        promise.take(&Records::new(vec![joined].into()), &[0], writes_ahead);
        emit(&mut promise, 1, to("red"));
        promise.read_all();
        assert_eq!(promise.owed(CLIENT, "/").cloned(), owed);
    }
}

#[test]
fn a_session_that_has_ended_does_not_come_back() {
    let mut promise = connected();
    promise.ended("a", 1, &[0], Ender::Client);
    promise.decided("a", RecoveryOutcome::Recovered { replayed: 0 }, 0, false);
    let told = promise.connected(CLIENT, &NamespaceName::ROOT, "a", true);
    assert!(told.unwrap_err().contains("has ended"));
}

/// Whether the session `a` may be recovered after node 1 has ended it, this has happened, and then a node
/// has crashed.
fn may_go_on(crashed: usize, happened: impl FnOnce(&mut Promise)) -> bool {
    let mut promise = connected();
    promise.ended("a", 1, &[0], Ender::Client);
    happened(&mut promise);
    promise.crashed_at(crashed);
    promise.decided("a", RecoveryOutcome::Recovered { replayed: 0 }, 0, false);
    promise.connected(CLIENT, &NamespaceName::ROOT, "a", true).is_ok()
}

#[test]
fn a_crash_undoes_an_end_that_is_not_stored() {
    assert!(may_go_on(1, |_| ()));
    assert!(may_go_on(1, |promise| promise.removed("a", 2)), "another node says nothing of it");
}

/// The application ends sessions in the channel.
#[test]
fn a_crash_undoes_no_end_that_is_the_applications() {
    let mut promise = connected();
    promise.ended("a", 1, &[0], Ender::Application);
    promise.crashed_at(1);
    promise.decided("a", RecoveryOutcome::Recovered { replayed: 0 }, 0, false);
    let told = promise.connected(CLIENT, &NamespaceName::ROOT, "a", true);
    assert!(told.unwrap_err().contains("has ended"));
}

#[test]
fn a_crash_undoes_no_end_that_is_stored() {
    assert!(!may_go_on(1, |promise| promise.removed("a", 1)), "the store knows");
    assert!(!may_go_on(2, |_| ()), "its node knows");
    let kick = |promise: &mut Promise| {
        append(promise, 0, Body::DisconnectSockets { options: to("a"), close: true }, 0);
    };
    assert!(!may_go_on(1, kick), "the channel has it");
}

/// Only its node had it.
#[test]
fn a_session_whose_end_may_be_undone_may_also_be_unknown() {
    let mut promise = connected();
    promise.ended("a", 1, &[0], Ender::Client);
    promise.crashed_at(1);
    let opened = Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() };
    promise.note_of_node(opened, &[0]);
    promise.decided("b", RecoveryOutcome::Refused(RecoveryRefusal::Unknown), 0, false);
    promise.connected(CLIENT, &NamespaceName::ROOT, "b", false).unwrap();
}

#[test]
fn a_session_whose_end_was_undone_is_still_owed_what_it_has_missed() {
    let mut promise = connected();
    promise.ended("a", 1, &[0], Ender::Client);
    promise.crashed_at(1);
    emit(&mut promise, 0, to("red"));
    promise.read_all();
    assert_eq!(promise.owed(CLIENT, "/"), Some(&event(0)));
}

#[test]
fn a_session_is_not_forgotten_unless_something_fails() {
    let opened = Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() };
    let refused = RecoveryOutcome::Refused(RecoveryRefusal::Unknown);
    let mut promise = connected();
    promise.note_of_node(opened, &[0]);
    promise.decided("b", refused, 0, false);
    let told = promise.connected(CLIENT, &NamespaceName::ROOT, "b", false);
    assert!(told.unwrap_err().contains("goes on, and is unknown"));

    let mut promise = connected();
    promise.shaken();
    let opened = Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() };
    promise.note_of_node(opened, &[0]);
    promise.decided("b", refused, 0, false);
    promise.connected(CLIENT, &NamespaceName::ROOT, "b", false).unwrap();
}

/// A crash of a node costs the sessions that were there, and those that were on their way there with their
/// clients. A node that takes others out of the store has to store them again.
#[test]
fn a_crash_costs_no_session_that_the_store_has() {
    let refusals = [RecoveryRefusal::Unknown, RecoveryRefusal::OwnerUnreachable];
    for (is_taken, refusal) in [(false, refusals[0]), (false, refusals[1]), (true, refusals[0])] {
        let mut promise = connected();
        promise.stored("a", 1_000);
        promise.removed("a", 1);
        if is_taken {
            promise.taken("a");
        }
        promise.crashed_without_records();
        let opened = Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() };
        promise.note_of_node(opened, &[0]);
        promise.decided("b", RecoveryOutcome::Refused(refusal), 0, false);
        let told = promise.connected(CLIENT, &NamespaceName::ROOT, "b", false);
        assert_eq!(told.is_ok(), is_taken, "{told:?}");
    }
}

/// The node that has kicked it has crashed before it read that.
#[test]
fn a_session_that_is_kicked_by_an_entry_may_be_unknown() {
    for (kicked, is_right) in [("a", true), ("b", false)] {
        let mut promise = connected();
        let opened = Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() };
        promise.note_of_node(opened, &[0]);
        let refused = RecoveryOutcome::Refused(RecoveryRefusal::Unknown);
        promise.decided("b", refused, 0, false);
        append(&mut promise, 0, Body::DisconnectSockets { options: to(kicked), close: false }, 0);
        let told = promise.connected(CLIENT, &NamespaceName::ROOT, "b", false);
        assert_eq!(told.is_ok(), is_right, "{kicked}");
    }
}

#[test]
fn a_session_may_be_forgotten_when_its_time_is_over() {
    for (at, is_right) in [(119, false), (120, true)] {
        let mut promise = connected();
        promise.stored("a", 120);
        let opened = Recorded::Opened { namespace: NamespaceName::ROOT, socket: "b".to_owned() };
        promise.note_of_node(opened, &[0]);
        let refused = RecoveryOutcome::Refused(RecoveryRefusal::Unknown);
        promise.decided("b", refused, at, false);
        let told = promise.connected(CLIENT, &NamespaceName::ROOT, "b", false);
        assert_eq!(told.is_ok(), is_right);
    }
}
