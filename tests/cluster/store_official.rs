//! Sessions that a Node.js server has put into the store.

use std::{collections::BTreeMap, time::Duration};

use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::{
        OfficialSessions,
        message::{StoredSession, Value},
    },
    hub::Audience,
    recovery::{RecoveryOutcome, RecoveryRefusal},
};

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome},
    store::stored,
};

const PID: &str = "MHb4Fpcq3jbRzad2AAAB";

fn official() -> StoredSession {
    let (sid, pid) = ("bhZwQSdakf0anWUIAAAA", PID);
    let (sid, pid) = (SocketId::parse(sid).unwrap(), RecoveryKey::parse(pid).unwrap());
    StoredSession::new(sid, pid, vec![sid.as_str().into(), "room".into()], Value::null())
}

const REFUSED: RecoveryOutcome = RecoveryOutcome::Refused(RecoveryRefusal::OrderNotProvable);

/// It does not deliver events in the order of the channel. So the offset does not say what the client
/// has received.
#[test]
fn h21_a_session_of_a_node_js_server_is_refused_and_stays_for_its_servers() {
    let mut fleet = Fleet::new(1);
    fleet.at(0, |at| at.all().emit("in the channel", &()).unwrap());
    fleet.settle();
    let expires = fleet.now.saturating_add(Duration::from_secs(30));
    fleet.store.sessions.insert(PID.into(), (official(), expires));
    let client = fleet.open_with(0, &claim(PID, "7000-0"));
    fleet.settle();
    assert_eq!(outcome(&fleet, 0), REFUSED);
    assert_ne!(ids(&fleet, client).1, official().sid.as_str());
    assert_eq!(fleet.store.sessions.get(PID), Some(&(official(), expires)));
}

/// Between the look at the record and the command that takes it, a Node.js server had the session.
#[test]
fn what_a_node_js_server_has_stored_meanwhile_is_not_taken() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    let pid = ids(&fleet, client).0;
    fleet.lose(client);
    fleet.settle();
    fleet.crash(0);
    fleet.open_with(1, &claim(&pid, ""));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    let mut kept = official();
    kept.pid = RecoveryKey::parse(&pid).unwrap();
    let expires = fleet.now.saturating_add(Duration::from_secs(30));
    fleet.store.sessions.insert(pid.clone(), (kept.clone(), expires));
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), REFUSED);
    assert_eq!(fleet.store.sessions.get(&pid), Some(&(kept, expires)));
}

/// A Node.js server takes a session of this crate out of the store, and says nothing in the channel.
fn taken_by_a_node_js_server(fleet: &mut Fleet, pid: &str) {
    assert!(fleet.store.sessions.remove(pid).is_some());
}

/// Nobody of this crate goes on with the session that a Node.js server has.
#[track_caller]
fn assert_is_elsewhere(fleet: &mut Fleet, session: &str, clients: &[Client]) {
    fleet.settle();
    fleet.wait(5_000);
    fleet.settle();
    for client in clients {
        assert_ne!(ids(fleet, *client).1, session);
    }
    assert!(fleet.store.sessions.is_empty());
}

/// Its owner had asked for the record, for a client of its own, and did not know yet that it was gone.
#[test]
fn what_a_node_js_server_has_taken_is_not_handed_over_by_an_owner_that_is_asking_for_it() {
    let (mut fleet, client, pid) = stored(2);
    taken_by_a_node_js_server(&mut fleet, &pid);
    let at_owner = fleet.open_with(0, &claim(&pid, "7000-0"));
    let at_other = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(0, 1);
    assert_is_elsewhere(&mut fleet, &client.1, &[at_owner, at_other]);
}

/// The owner has stored it, and did not know yet that it had.
#[test]
fn what_a_node_js_server_has_taken_is_not_handed_over_by_an_owner_that_is_storing_it() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let (pid, session) = ids(&fleet, client);
    fleet.lose(client);
    let at_other = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(0, 1);
    fleet.take(0, 0);
    taken_by_a_node_js_server(&mut fleet, &pid);
    assert_is_elsewhere(&mut fleet, &session, &[at_other]);
}

/// The claimant has seen the record, and is taking it, when the owner hands the session over.
#[test]
fn what_a_node_js_server_has_taken_is_not_continued_by_a_claimant_that_is_taking_it() {
    let (mut fleet, client, pid) = stored(2);
    let at_other = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    taken_by_a_node_js_server(&mut fleet, &pid);
    fleet.read(0, 1);
    fleet.take(0, 1);
    fleet.read(1, 1);
    assert_is_elsewhere(&mut fleet, &client.1, &[at_other]);
}

/// Nodes whose application takes such sessions as they are, and the session in the store. The events in
/// the channel are at 7000-0 (processed), 7000-1, 7000-2 and 7001-0.
fn best_effort(nodes: usize, session: StoredSession) -> Fleet {
    let mut fleet =
        Fleet::with_cluster(nodes, |it| it.official_sessions(OfficialSessions::BestEffort));
    fleet.at(0, |at| {
        at.to("room").emit("processed", &()).unwrap();
        at.to("room").emit("missed", &()).unwrap();
        at.to("another room").emit("not missed", &()).unwrap();
        at.to(official().sid.as_str()).emit("missed too", &()).unwrap();
    });
    fleet.settle();
    store(&mut fleet, session);
    fleet
}

fn store(fleet: &mut Fleet, session: StoredSession) {
    let expires = fleet.now.saturating_add(Duration::from_secs(30));
    fleet.store.sessions.insert(PID.into(), (session, expires));
}

fn come(fleet: &mut Fleet, node: usize, offset: &str) -> Client {
    let client = fleet.open_with(node, &claim(PID, offset));
    fleet.settle();
    client
}

const BEST_EFFORT: RecoveryOutcome = RecoveryOutcome::BestEffort { replayed: 2 };

#[test]
fn the_application_can_have_such_a_session_recovered_and_learns_that_nothing_is_proven() {
    let mut fleet = best_effort(2, official());
    let back = come(&mut fleet, 1, "7000-0");
    fleet.at(0, |at| at.to("room").emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), BEST_EFFORT);
    assert_eq!(ids(&fleet, back), (PID.into(), official().sid.as_str().into()));
    assert_eq!(fleet.got(back), ["missed", "missed too", "live"]);
    let socket = fleet.socket(back);
    let rooms: Vec<&str> = fleet.nodes[1].server.rooms(socket).collect();
    assert_eq!(rooms, [official().sid.as_str(), "room"]);
    assert!(fleet.store.sessions.is_empty(), "of several nodes that try, one gets it");
}

#[test]
fn what_it_misses_later_is_proven_again() {
    let mut fleet = best_effort(2, official());
    let mut back = come(&mut fleet, 1, "7000-0");
    // It has processed nothing of the replay: at the same node, at another one, and from the store.
    for node in [1, 0] {
        fleet.lose(back);
        fleet.settle();
        back = come(&mut fleet, node, "7000-0");
        assert_eq!(outcome(&fleet, node), BEST_EFFORT);
    }
    fleet.lose(back);
    fleet.settle();
    fleet.crash(0);
    fleet.connect(0);
    back = come(&mut fleet, 1, "7000-0");
    assert_eq!(outcome(&fleet, 1), BEST_EFFORT);
    // From here on, all that it has came from nodes of this crate.
    fleet.lose(back);
    fleet.settle();
    back = come(&mut fleet, 1, "7000-1");
    assert_eq!(outcome(&fleet, 1), RecoveryOutcome::Recovered { replayed: 1 });
    fleet.lose(back);
    fleet.settle();
    come(&mut fleet, 0, "7001-0");
    assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Recovered { replayed: 0 });
}

#[test]
fn what_is_not_an_offset_of_the_namespace_is_refused_and_the_session_stays() {
    for (offset, refusal) in [
        ("7000-3", RecoveryRefusal::InvalidOffset),
        ("1-0", RecoveryRefusal::InvalidOffset),
        ("7001-1", RecoveryRefusal::InvalidOffset),
        ("no offset", RecoveryRefusal::InvalidOffset),
    ] {
        let mut fleet = best_effort(1, official());
        fleet.at(0, |at| at.of("/b").emit("elsewhere", &()).unwrap());
        fleet.settle();
        come(&mut fleet, 0, offset);
        assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Refused(refusal), "{offset}");
        assert_eq!(fleet.store.sessions[PID].0, official(), "{offset}");
    }
    let mut fleet = best_effort(1, official());
    fleet.open_with(0, &format!(r#"40{{"pid":"{PID}"}}"#));
    fleet.settle();
    assert_eq!(outcome(&fleet, 0), REFUSED, "nothing says what it has received");
    assert_eq!(fleet.store.sessions[PID].0, official());
}

/// As an official node has stored it, with data that are not those of this application.
#[test]
fn data_that_the_application_cannot_read_are_not_replaced() {
    let recorded = concat!(
        "hKNzaWS0Ymhad1FTZGFrZjBhbldVSUFBQUGjcGlktE1IYjRGcGNxM2pi",
        "UnphZDJBQUFCpXJvb21zkrRiaFp3UVNkYWtmMGFuV1VJQUFBQaJyMaRkYXRhgaR1c2VyonUx",
    );
    let recorded = StoredSession::from_base64(recorded.as_bytes()).unwrap();
    let mut fleet = best_effort(1, recorded.clone());
    come(&mut fleet, 0, "7000-0");
    assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
    assert_eq!(fleet.nodes[0].server.stats().total.entries_skipped, 1);
    assert_eq!(fleet.store.sessions[PID].0, recorded);
    // An application that keeps nothing has an empty object there.
    let mut empty = official();
    empty.data = Value::new(&BTreeMap::<u8, u8>::new()).unwrap();
    store(&mut fleet, empty);
    let back = come(&mut fleet, 0, "7000-0");
    let socket = fleet.socket(back);
    assert_eq!(fleet.nodes[0].server.data(socket), Some(&0));
}

/// A node of the reference does not do what the channel says of a session that is away (H53).
#[test]
fn what_was_done_to_it_since_its_offset_takes_effect() {
    let mut fleet = best_effort(2, official());
    fleet.at(0, |at| {
        at.sockets_join("/", &Audience::room("room"), "joined").unwrap();
        at.sockets_leave("/", &Audience::room("room"), "room").unwrap();
        at.to("room").emit("not any more", &()).unwrap();
        at.to("joined").emit("joined", &()).unwrap();
    });
    fleet.settle();
    let back = come(&mut fleet, 1, "7000-0");
    assert_eq!(fleet.got(back), ["missed", "missed too", "joined"]);

    let mut fleet = best_effort(2, official());
    fleet.at(0, |at| at.disconnect_sockets("/", &Audience::room("room"), false).unwrap());
    fleet.settle();
    come(&mut fleet, 1, "7000-0");
    assert_eq!(outcome(&fleet, 1), RecoveryOutcome::Refused(RecoveryRefusal::Unknown));
}

/// The answer to the command that takes the record is lost. Nothing tells later who has it.
#[test]
fn a_session_that_may_have_been_taken_does_not_come_in() {
    let mut fleet = best_effort(1, official());
    fleet.open_with(0, &claim(PID, "7000-0"));
    fleet.take(0, 1);
    fleet.read(0, usize::MAX);
    fleet.take(0, 0);
    fleet.answer(0);
    fleet.take(0, 0);
    assert!(fleet.store.sessions.is_empty(), "it was taken");
    fleet.cut(0, 0);
    fleet.connect(0);
    fleet.settle();
    fleet.wait(2_000);
    fleet.settle();
    assert!(!outcome(&fleet, 0).is_recovered());
    assert_eq!(fleet.nodes[0].server.stats().total.sessions_arrived, 0);
    store(&mut fleet, official());
    come(&mut fleet, 0, "7000-0");
    assert_eq!(outcome(&fleet, 0), BEST_EFFORT);
}
