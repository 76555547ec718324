//! Sessions in the store: their clients come back, to nodes that have them and to others.

use socketio_proto::{
    SocketKey,
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
};

use crate::{
    fleet::Fleet,
    moves::{claim, ids, outcome, parked},
};

/// The fleet and the client of [`parked`]. Its session is in the store. Returns its ids, and its
/// private id by itself.
pub fn stored(nodes: usize) -> (Fleet, (String, String), String) {
    let (fleet, client, pid) = parked(nodes);
    assert!(fleet.store.sessions.contains_key(&pid));
    let of_client = ids(&fleet, client);
    (fleet, of_client, pid)
}

/// The only socket of node 0.
pub fn parked_socket(fleet: &Fleet) -> SocketKey {
    let mut events = fleet.nodes[0].events.iter();
    let found = events.find_map(|event| match event {
        ServerEvent::Connected { socket, .. } => Some(*socket),
        _ => None,
    });
    found.unwrap()
}

pub const RECOVERED: RecoveryOutcome = RecoveryOutcome::Recovered { replayed: 1 };

pub fn refused(refusal: RecoveryRefusal) -> RecoveryOutcome {
    RecoveryOutcome::Refused(refusal)
}

/// A node of the reference stores the rooms of the disconnection, and no position. What it has not
/// stored when it dies is lost.
#[test]
fn h06_h23_a_session_of_a_node_that_has_crashed_is_recovered_from_the_store() {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.at(1, |at| at.to("room").emit("meanwhile", &()).unwrap());
    fleet.settle();
    fleet.at(1, |at| at.to("room").emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(ids(&fleet, back), client);
    assert_eq!(fleet.got(back), ["missed", "meanwhile", "live"]);
    let socket = fleet.socket(back);
    assert_eq!(fleet.nodes[2].server.data(socket), Some(&7));
    let rooms: Vec<&str> = fleet.nodes[2].server.rooms(socket).collect();
    assert_eq!(rooms[1..], ["room"]);
    assert!(fleet.store.sessions.is_empty(), "of several nodes that try, one gets it");
    assert_eq!(fleet.nodes[2].server.stats().total.sessions_arrived, 1);
}

/// The record is of use until the client has its session, whatever fails.
#[test]
fn h08_a_client_that_goes_before_the_answer_finds_its_session_again() {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    for step in 0..6 {
        let gone = fleet.open_with(2, &claim(&pid, "7000-0"));
        for _ in 0..step {
            fleet.take(2, 1);
            fleet.read(2, usize::MAX);
            fleet.answer(2);
        }
        fleet.lose(gone);
        fleet.settle();
        assert!(fleet.store.sessions.contains_key(&pid), "after {step} steps");
        if step == 2 {
            fleet.crash(1);
            fleet.connect(1);
            fleet.settle();
        }
    }
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 2)), (client, RECOVERED));
    assert_eq!(fleet.got(back), ["missed"]);
}

#[test]
fn a_recovery_at_the_owner_takes_the_record_first() {
    let (mut fleet, client, pid) = stored(2);
    let back = fleet.open_with(0, &claim(&pid, "7000-0"));
    assert!(fleet.frames(back).is_empty(), "another node could have it");
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 0)), (client, RECOVERED));
    assert!(fleet.store.sessions.is_empty());
    fleet.lose(back);
    fleet.settle();
    assert!(fleet.store.sessions.contains_key(&pid));
}

/// What never left the queue cannot be with anybody else.
#[test]
fn a_session_that_was_parked_while_the_engine_is_away_is_recovered_at_once() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    fleet.cut(0, 0);
    fleet.lose(client);
    let back = fleet.open_with(0, &claim(&pid, "7000-0"));
    assert_eq!(outcome(&fleet, 0), RecoveryOutcome::Recovered { replayed: 0 });
    fleet.lose(back);
    fleet.connect(0);
    fleet.settle();
    assert!(fleet.store.sessions.contains_key(&pid), "it is stored once the engine is back");
}

/// It could be taken at the same moment by a node that can reach the engine.
#[test]
fn a_stored_session_is_not_recovered_while_the_engine_is_away() {
    let (mut fleet, client, pid) = stored(2);
    fleet.cut(0, 0);
    let early = fleet.open_with(0, &claim(&pid, "7000-0"));
    fleet.wait(999);
    assert!(fleet.frames(early).is_empty());
    fleet.wait(1);
    assert_eq!(outcome(&fleet, 0), refused(RecoveryRefusal::EngineAway));
    assert_ne!(ids(&fleet, early).1, client.1);
    assert_eq!(fleet.nodes[0].server.stats().total.refused.engine_away, 1);
    fleet.connect(0);
    fleet.settle();
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
}

#[test]
fn a_claim_that_waits_goes_on_when_the_engine_is_back_in_time() {
    let (mut fleet, client, pid) = stored(2);
    fleet.cut(0, 0);
    let back = fleet.open_with(0, &claim(&pid, "7000-0"));
    fleet.wait(500);
    fleet.connect(0);
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 0)), (client, RECOVERED));
}

/// In the reference, a private id of one namespace is accepted on another.
#[test]
fn h77_a_stored_session_stays_in_its_namespace() {
    let (mut fleet, client, pid) = stored(2);
    fleet.crash(0);
    let elsewhere = format!(r#"40/b,{{"pid":"{pid}","offset":"7000-0"}}"#);
    fleet.open_with(1, &elsewhere);
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::OtherNamespace));
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(ids(&fleet, back), client);
}

/// A client that has received nothing yet, or nothing for long, has missed nothing.
#[test]
fn h01_idle_sessions_are_recovered_from_the_store_although_the_log_has_moved_on() {
    for is_new in [true, false] {
        let mut fleet = Fleet::new(2);
        let client = fleet.open(0);
        let socket = fleet.socket(client);
        if !is_new {
            fleet.at(0, |at| at.socket(socket).emit("processed", &()).unwrap());
        }
        for _ in 0..20 {
            fleet.at(1, |at| at.to("others").emit("not for it", &()).unwrap());
            fleet.settle();
        }
        let of_client = ids(&fleet, client);
        let pid = of_client.0.clone();
        fleet.lose(client);
        fleet.settle();
        fleet.crash(0);
        let packet = if is_new { format!(r#"40{{"pid":"{pid}"}}"#) } else { claim(&pid, "7000-0") };
        // A node that begins to read after the session was stored needs nothing from before.
        fleet.channel.trimmed = fleet.channel.entries.len();
        fleet.crash(1);
        fleet.connect(1);
        let back = fleet.open_with(1, &packet);
        fleet.settle();
        assert_eq!(ids(&fleet, back), of_client, "{is_new}");
    }
}

#[test]
fn a_node_that_has_not_read_everything_since_refuses_and_leaves_the_record() {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    fleet.channel.trimmed = fleet.channel.entries.len();
    fleet.crash(1);
    fleet.connect(1);
    fleet.settle();
    fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    fleet.wait(1_000);
    fleet.settle();
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::Trimmed));
    assert_eq!(fleet.nodes[1].server.stats().total.refused.trimmed, 1);
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!((ids(&fleet, back), outcome(&fleet, 2)), (client, RECOVERED));
}

#[test]
fn a_live_session_of_a_node_that_does_not_answer_is_refused_with_its_reason() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    fleet.open_with(1, &claim(&pid, ""));
    fleet.take(1, 1);
    fleet.read(1, 1);
    fleet.take(1, 0);
    fleet.answer(1);
    fleet.wait(1_000);
    fleet.take(1, 1);
    fleet.answer(1);
    assert_eq!(outcome(&fleet, 1), refused(RecoveryRefusal::OwnerUnreachable));
    assert_eq!(fleet.nodes[1].server.stats().total.refused.owner_unreachable, 1);
}

/// The engine refuses what is too large for it. The session waits at its node.
#[test]
fn a_session_that_the_store_refuses_waits_at_its_node() {
    let mut fleet = Fleet::new(2);
    fleet.store.is_full = true;
    let client = fleet.open(0);
    fleet.settle();
    let (pid, _) = ids(&fleet, client);
    fleet.lose(client);
    fleet.settle();
    assert_eq!(fleet.nodes[0].server.stats().total.sessions_not_stored, 1);
    let back = fleet.open_with(0, &claim(&pid, ""));
    assert_eq!(ids(&fleet, back), ids(&fleet, client), "nobody else can have it");
    fleet.lose(back);
    let back = fleet.open_with(1, &claim(&pid, ""));
    fleet.settle();
    assert_eq!(ids(&fleet, back), ids(&fleet, client), "it is handed over");
}
