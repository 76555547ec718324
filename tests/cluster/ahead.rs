//! Nodes that write their sessions ahead: [`Durability::OnChange`].

use socketio_proto::{
    SocketKey,
    cluster::{Durability, message::Value},
    hub::{AckToken, Once, OnceError},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
    socket::{Args, Binary},
};

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
    store::refused,
};

pub const AHEAD: Durability = Durability::OnChange;

/// A client at node 0 that has processed an event, is in a room, and has missed one. Its link is there.
pub fn connected(nodes: &[Durability]) -> (Fleet, Client, SocketKey) {
    let mut fleet = Fleet::durable(nodes);
    let client = fleet.open(0);
    fleet.settle();
    let socket = fleet.socket(client);
    fleet.at(0, |at| {
        at.join(socket, "room").unwrap();
        at.set_data(socket, 7);
    });
    fleet.at(1, |at| at.to("room").emit("processed", &()).unwrap());
    fleet.at(1, |at| at.to("room").emit("missed", &()).unwrap());
    fleet.settle();
    (fleet, client, socket)
}

/// The offset of the latest event that a client got with this name.
pub fn offset_of(fleet: &Fleet, client: Client, name: &str) -> String {
    let frame = fleet.frames(client).iter().find(|frame| frame.contains(name)).unwrap();
    frame.split('"').nth(3).unwrap().to_owned()
}

/// The node of the client crashes. The client comes back to node 1, which waits for an answer in vain.
fn crash_and_come_back(fleet: &mut Fleet, client: Client) -> Client {
    let back = come_back(fleet, client);
    fleet.crash(0);
    fleet.settle();
    fleet.wait(500);
    fleet.settle();
    back
}

/// The client comes back to node 1 with everything but the latest event.
pub fn come_back(fleet: &mut Fleet, client: Client) -> Client {
    let (pid, offset) = (ids(fleet, client).0, offset_of(fleet, client, "processed"));
    fleet.open_with(1, &claim(&pid, &offset))
}

pub fn version(fleet: &Fleet, client: Client) -> Option<u64> {
    fleet.store.sessions.get(&ids(fleet, client).0).and_then(|(session, _)| session.version)
}

pub const RECOVERED: RecoveryOutcome = RecoveryOutcome::Recovered { replayed: 1 };

/// A node of the reference loses every session of its clients when it dies.
#[test]
fn h06_the_clients_of_a_node_that_has_crashed_come_back_with_their_sessions() {
    // Whether the node that they come to writes ahead, too.
    for other in [AHEAD, Durability::OnPark] {
        let (mut fleet, client, _) = connected(&[AHEAD, other]);
        let of_client = ids(&fleet, client);
        let back = {
            let (pid, offset) = (of_client.0.clone(), offset_of(&fleet, client, "processed"));
            fleet.crash(0);
            fleet.open_with(1, &claim(&pid, &offset))
        };
        fleet.at(1, |at| at.to("room").emit("meanwhile", &()).unwrap());
        fleet.settle();
        fleet.wait(500);
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{other:?}");
        assert_eq!(fleet.got(back), ["missed", "meanwhile"]);
        let socket = fleet.socket(back);
        assert_eq!(fleet.nodes[1].server.data(socket), Some(&7));
        assert_eq!(fleet.nodes[1].server.rooms(socket).nth(1), Some("room"));
        assert_eq!(fleet.store.sessions.contains_key(&of_client.0), other == AHEAD);
    }
}

/// The client emits an event that asks for an acknowledgement with this id.
fn say(fleet: &mut Fleet, client: Client, socket: SocketKey, id: u64) -> Result<Once, OnceError> {
    fleet.send(client, &format!(r#"42{id}["say"]"#));
    let ack = fleet.nodes[client.node].events.iter_mut().rev().find_map(|event| match event {
        ServerEvent::Received { ack, .. } => ack.take(),
        _ => None,
    });
    fleet.at(client.node, |at| at.accept_once(socket, "offset", ack))
}

/// The client has emitted an event, and the application handles it.
pub fn accepted(fleet: &mut Fleet, client: Client, socket: SocketKey) -> AckToken {
    let once = say(fleet, client, socket, 7);
    let Ok(Once::Fresh(Some(token))) = once else { panic!("{once:?}") };
    token
}

#[test]
fn an_event_is_acknowledged_when_the_store_knows_that_it_was_handled() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    let token = accepted(&mut fleet, client, socket);
    assert!(fleet.nodes[0].in_flight.is_empty(), "it is written together with the answer");
    fleet.at(0, |at| at.ack(token, &Args::new(&("done",)).unwrap()));
    let before = fleet.frames(client).len();
    fleet.take(0, 0);
    assert_eq!(fleet.frames(client).len(), before);
    let back = crash_and_come_back(&mut fleet, client);
    let socket = fleet.socket(back);
    assert_eq!(say(&mut fleet, back, socket, 1), Ok(Once::Duplicate));
    assert_eq!(fleet.got(back).last().unwrap(), r#"431["done"]"#);
}

/// Half of what a session remembers would let an event be handled twice.
#[test]
fn a_record_that_does_not_say_all_that_was_handled_is_refused_and_counted() {
    for cut in [1, 2, 10] {
        let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
        let token = accepted(&mut fleet, client, socket);
        fleet.at(0, |at| at.ack(token, &Args::new(&("done",)).unwrap()));
        fleet.settle();
        let stored = fleet.store.sessions.get_mut(&ids(&fleet, client).0);
        let extension = &mut stored.unwrap().0.extension;
        let whole = extension.take().unwrap();
        let (history, data, _) = whole.parse::<(serde_json::Value, String, Binary)>().unwrap();
        let receipts = &whole.attachments()[0];
        let part = receipts.slice(..receipts.len() - cut);
        *extension = Some(Value::new(&(history, data, part)).unwrap());
        let before = fleet.nodes[1].server.stats().total.entries_skipped;
        let back = crash_and_come_back(&mut fleet, client);
        assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::Unknown), "{cut}");
        assert!(fleet.nodes[1].server.stats().total.entries_skipped > before);
        assert_eq!(fleet.got(back), [""; 0]);
    }
}

/// Otherwise the client would try again for ever, and nobody would answer.
#[test]
fn an_event_that_was_being_handled_in_a_crash_is_handled_again() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    drop(accepted(&mut fleet, client, socket));
    fleet.at(0, |at| at.set_data(socket, 8));
    fleet.settle();
    let back = crash_and_come_back(&mut fleet, client);
    let socket = fleet.socket(back);
    assert_eq!(fleet.nodes[1].server.data(socket), Some(&8));
    let once = fleet.at(1, |at| at.accept_once(socket, "offset", None));
    assert!(matches!(once, Ok(Once::Fresh(None))));
}

/// The record says less than the owner knows, so the claimant does not use it while the owner is there.
#[test]
fn an_owner_hands_over_what_the_store_does_not_know() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    drop(accepted(&mut fleet, client, socket));
    let back = come_back(&mut fleet, client);
    // The claimant has the record before the owner reads the claim.
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.wait(400);
    assert!(fleet.frames(back).is_empty());
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), RECOVERED);
    let socket = fleet.socket(back);
    let once = fleet.at(1, |at| at.accept_once(socket, "offset", None));
    assert!(matches!(once, Ok(Once::Duplicate)), "it is being handled at the other node");
    assert_eq!(fleet.got(client).last().unwrap(), "closed");
}

#[test]
fn an_owner_that_does_not_answer_is_not_waited_for_longer_than_half_of_the_time() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    let of_client = ids(&fleet, client);
    let back = come_back(&mut fleet, client);
    let step = |fleet: &mut Fleet| {
        fleet.take(1, 1);
        fleet.read(1, 1);
        fleet.take(1, 0);
        fleet.answer(1);
    };
    (0..3).for_each(|_| step(&mut fleet));
    fleet.wait_for(1, 499);
    (0..3).for_each(|_| step(&mut fleet));
    assert!(fleet.frames(back).is_empty());
    fleet.wait_for(1, 1);
    (0..3).for_each(|_| step(&mut fleet));
    assert_eq!((ids(&fleet, back), fleet.got(back)), (of_client, vec!["missed".into()]));
    // The owner goes on, and learns of it by its next write.
    let latest = version(&fleet, client);
    fleet.nodes[0].read = Some(fleet.channel.entries.len());
    fleet.at(0, |at| at.set_data(socket, 9));
    fleet.settle();
    assert_eq!(version(&fleet, client), latest, "it does not replace the record of the other node");
    assert_eq!(fleet.got(client).last().unwrap(), "closed");
    assert_eq!(fleet.nodes[0].server.stats().sockets, 0);
    assert_eq!(fleet.nodes[1].server.stats().sockets, 1);
}

/// A node that is alone need not wait for anybody.
#[test]
fn after_a_restart_sessions_go_on_at_once() {
    let mut fleet = Fleet::durable(&[AHEAD]);
    let client = fleet.open(0);
    fleet.settle();
    let of_client = ids(&fleet, client);
    fleet.crash(0);
    fleet.connect(0);
    fleet.settle();
    fleet.wait(5_000);
    fleet.settle();
    let back = fleet.open_with(0, &claim(&of_client.0, ""));
    fleet.settle();
    assert_eq!(ids(&fleet, back), of_client);
}

#[test]
fn h71_a_lost_reply_to_a_write_costs_no_session() {
    for is_carried_out in [true, false] {
        let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
        fleet.at(0, |at| at.set_data(socket, 8));
        if is_carried_out {
            fleet.take(0, 0);
        }
        fleet.cut(0, 0);
        fleet.at(0, |at| at.set_data(socket, 9));
        fleet.connect(0);
        fleet.settle();
        assert_ne!(fleet.got(client).last().unwrap(), "closed", "{is_carried_out}");
        let back = crash_and_come_back(&mut fleet, client);
        let socket = fleet.socket(back);
        assert_eq!(fleet.nodes[1].server.data(socket), Some(&9), "{is_carried_out}");
    }
}

/// The record is gone, and nobody has claimed the session: the engine has lost it.
#[test]
fn a_record_whose_time_is_over_is_written_anew() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    fleet.cut(0, 0);
    fleet.wait(300_000);
    fleet.store.sessions.clear();
    fleet.connect(0);
    fleet.at(0, |at| at.set_data(socket, 8));
    fleet.settle();
    assert!(version(&fleet, client).is_some());
    assert_eq!(fleet.nodes[0].server.stats().sockets, 1);
}

/// A Node.js server has taken it. It says nothing in the channel.
#[test]
fn a_record_that_was_taken_ends_the_session_here() {
    let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
    fleet.store.sessions.clear();
    fleet.at(0, |at| at.set_data(socket, 8));
    fleet.settle();
    assert_eq!(fleet.got(client).last().unwrap(), "closed");
    assert!(fleet.store.sessions.is_empty());
}

#[test]
fn the_store_does_not_forget_a_session_that_does_not_change() {
    let (mut fleet, client, _) = connected(&[AHEAD, AHEAD]);
    let (_, expires) = fleet.store.sessions[&ids(&fleet, client).0].clone();
    assert_eq!(expires.saturating_since(fleet.now).as_secs(), 240);
    for _ in 0..10 {
        fleet.wait(60_000);
        fleet.settle();
    }
    let (_, later) = fleet.store.sessions[&ids(&fleet, client).0].clone();
    assert!(later.saturating_since(fleet.now).as_secs() >= 120);
}

#[test]
fn a_session_that_has_ended_leaves_no_record() {
    type End = fn(&mut Fleet, Client, SocketKey);
    let ends: [End; 3] = [
        |fleet, client, _| fleet.send(client, "41"),
        |fleet, _, socket| fleet.at(0, |at| assert!(at.disconnect(socket, false))),
        |fleet, client, _| {
            fleet.lose(client);
            for _ in 0..3 {
                fleet.settle();
                fleet.wait(60_000);
            }
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let (mut fleet, client, socket) = connected(&[AHEAD, AHEAD]);
        end(&mut fleet, client, socket);
        fleet.settle();
        fleet.wait(2);
        let of_client = ids(&fleet, client);
        let back = fleet.open_with(1, &claim(&of_client.0, ""));
        fleet.settle();
        fleet.wait(1_000);
        fleet.settle();
        assert_ne!(ids(&fleet, back).1, of_client.1, "{number}");
        assert!(!fleet.store.sessions.contains_key(&of_client.0), "{number}");
    }
}

/// What the engine does not take is not waited for.
#[test]
fn a_session_that_the_engine_refuses_is_counted() {
    let mut fleet = Fleet::durable(&[AHEAD, AHEAD]);
    fleet.store.is_full = true;
    let client = fleet.open(0);
    fleet.settle();
    let of_client = ids(&fleet, client);
    assert_eq!(fleet.nodes[0].server.stats().total.sessions_not_stored, 1);
    fleet.store.is_full = false;
    // It can still go to another node.
    let back = fleet.open_with(1, &claim(&of_client.0, ""));
    fleet.settle();
    assert_eq!(ids(&fleet, back), of_client);
    fleet.crash(1);
    let gone = fleet.open_with(0, &claim(&of_client.0, ""));
    fleet.settle();
    fleet.wait(500);
    fleet.settle();
    assert_eq!(ids(&fleet, gone), of_client, "by then the store has taken it");
}

/// Two nodes want a session whose owner has crashed.
#[test]
fn of_two_claims_of_a_session_the_later_one_gets_it() {
    let (mut fleet, client, _) = connected(&[AHEAD, AHEAD, AHEAD]);
    let of_client = ids(&fleet, client);
    let offset = offset_of(&fleet, client, "processed");
    fleet.crash(0);
    let first = fleet.open_with(1, &claim(&of_client.0, &offset));
    let second = fleet.open_with(2, &claim(&of_client.0, &offset));
    for _ in 0..4 {
        fleet.settle();
        fleet.wait(250);
    }
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::Superseded));
    assert_eq!(ids(&fleet, second), of_client);
    assert_ne!(ids(&fleet, first).1, of_client.1);
}

/// At a graceful shutdown the store has everything already, or soon.
#[test]
fn a_shutdown_is_complete_when_the_latest_changes_are_stored() {
    let (mut fleet, _, socket) = connected(&[AHEAD, AHEAD]);
    let has_begun = fleet.at(0, |at| {
        at.set_data(socket, 9);
        at.hand_over()
    });
    assert!(has_begun);
    let is_done = |fleet: &Fleet| {
        let mut events = fleet.nodes[0].events.iter();
        events
            .any(|event| matches!(event, ServerEvent::HandedOver { stored: 1, not_stored: 0, .. }))
    };
    assert!(!is_done(&fleet));
    fleet.settle();
    assert!(is_done(&fleet));
}

/// The heartbeats of the owner are late, but the claimant has read what the owner has emitted. So it knows
/// that somebody may have done more for the client than the record says.
#[test]
fn an_owner_whose_heartbeats_are_late_is_waited_for() {
    let mut fleet = Fleet::durable(&[AHEAD, AHEAD]);
    let client = fleet.open(0);
    fleet.take(0, usize::MAX);
    fleet.answer(0);
    let socket = fleet.socket(client);
    for name in ["processed", "missed"] {
        fleet.at(0, |at| at.all().emit(name, &()).unwrap());
    }
    fleet.take(0, usize::MAX);
    (0..2).for_each(|node| fleet.read(node, usize::MAX));
    fleet.wait(1_500);
    fleet.nodes[1].inbox.clear();
    let token = accepted(&mut fleet, client, socket);
    fleet.at(0, |at| at.ack(token, &Args::empty()));
    let back = come_back(&mut fleet, client);
    fleet.take(1, usize::MAX);
    fleet.read(1, usize::MAX);
    fleet.take(1, usize::MAX);
    fleet.answer(1);
    assert!(fleet.nodes[1].in_flight.is_empty(), "it does not take the record");
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), RECOVERED);
    let socket = fleet.socket(back);
    assert_eq!(say(&mut fleet, back, socket, 8), Ok(Once::Duplicate));
}
