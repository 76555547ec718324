//! Sessions that a Node.js server has put into the store.

use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::message::{StoredSession, Value},
    recovery::{RecoveryOutcome, RecoveryRefusal},
};

use crate::{
    fleet::Fleet,
    moves::{claim, ids, outcome},
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
    let expires = fleet.now.saturating_add(std::time::Duration::from_secs(30));
    fleet.store.sessions.insert(PID.into(), (official(), expires));
    let client = fleet.open_with(0, &claim(PID, "7000-0"));
    fleet.settle();
    assert_eq!(outcome(&fleet, 0), REFUSED);
    assert_ne!(ids(&fleet, client).1, official().sid.as_str());
    assert_eq!(fleet.store.sessions.get(PID), Some(&(official(), expires)));
}

/// Between the look at the record and the command that takes it, a Node.js server had the session.
#[test]
fn what_was_taken_in_vain_is_put_back_as_it_was_with_the_rest_of_its_time() {
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
    let expires = fleet.now.saturating_add(std::time::Duration::from_secs(30));
    fleet.store.sessions.insert(pid.clone(), (kept.clone(), expires));
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), REFUSED);
    assert_eq!(fleet.store.sessions.get(&pid), Some(&(kept, expires)));
}
