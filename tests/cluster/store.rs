//! Sessions in the store: their nodes are gone, or claims race with them.

use socketio_proto::{
    SocketKey, Timestamp,
    hub::{Audience, ExpiryCause},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
};

use crate::{
    fleet::Fleet,
    moves::{claim, ids, outcome},
};

/// A client of node 0 that has processed the event at 7000-0, is in a room, and has missed an event.
/// Its session is in the store.
fn stored(nodes: usize) -> (Fleet, (String, String), String) {
    let mut fleet = Fleet::new(nodes);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    fleet.at(0, |at| {
        at.join(socket, "room").unwrap();
        at.set_data(socket, 7);
    });
    fleet.at(1, |at| at.to("room").emit("processed", &()).unwrap());
    fleet.settle();
    fleet.lose(client);
    fleet.settle();
    fleet.at(1, |at| at.to("room").emit("missed", &()).unwrap());
    fleet.at(1, |at| at.to("another room").emit("not missed", &()).unwrap());
    fleet.settle();
    let of_client = ids(&fleet, client);
    let pid = of_client.0.clone();
    assert!(fleet.store.sessions.contains_key(&pid));
    (fleet, of_client, pid)
}

/// The only socket of node 0.
fn parked_socket(fleet: &Fleet) -> SocketKey {
    let mut events = fleet.nodes[0].events.iter();
    let found = events.find_map(|event| match event {
        ServerEvent::Connected { socket, .. } => Some(*socket),
        _ => None,
    });
    found.unwrap()
}

const RECOVERED: RecoveryOutcome = RecoveryOutcome::Recovered { replayed: 1 };

fn refused(refusal: RecoveryRefusal) -> RecoveryOutcome {
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
        if is_carried_out {
            fleet.take(0, 0);
        } else {
            fleet.nodes[0].in_flight.clear();
        }
        fleet.cut(0, 0);
        fleet.connect(0);
        fleet.settle();
        assert!(fleet.store.sessions.contains_key(&pid), "the store has it after all");
        // The same with the command that takes it.
        let lost = fleet.open_with(0, &claim(&pid, "7000-0"));
        if is_carried_out {
            fleet.take(0, 0);
            assert!(fleet.store.sessions.is_empty());
        } else {
            fleet.nodes[0].in_flight.clear();
        }
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

/// A process that was stopped has not seen that its session has gone on elsewhere.
#[test]
fn a_paused_owner_lets_go_of_a_session_that_was_taken_from_the_store() {
    let (mut fleet, client, pid) = stored(2);
    let at_other = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!((ids(&fleet, at_other), outcome(&fleet, 1)), (client.clone(), RECOVERED));
    // The client comes to the node that was paused, before that has read anything.
    let at_owner = fleet.open_with(0, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(outcome(&fleet, 0), refused(RecoveryRefusal::Superseded));
    assert_ne!(ids(&fleet, at_owner).1, client.1);
    let expired = |event: &ServerEvent<u32>| {
        matches!(
            event,
            ServerEvent::SessionExpired { cause, .. } if *cause != ExpiryCause::Moved
        )
    };
    assert!(!fleet.nodes[0].events.iter().any(expired));
    fleet.at(0, |at| at.all().emit("live", &()).unwrap());
    fleet.settle();
    assert_eq!(fleet.got(at_other), ["missed", "live"]);
    assert_eq!(fleet.nodes[1].server.stats().sockets, 1);
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

/// What all nodes do to a room reaches a session that is in the store only.
#[test]
fn h53_joins_and_leaves_reach_a_session_that_is_parked_in_the_store_only() {
    let (mut fleet, _, pid) = stored(3);
    fleet.crash(0);
    let room = Audience::room("room");
    fleet.at(1, |at| {
        at.sockets_join("/", &room, "annex").unwrap();
        at.to("annex").emit("in the annex", &()).unwrap();
        at.sockets_leave("/", &Audience::room("annex"), "room").unwrap();
        at.to("room").emit("not in the room", &()).unwrap();
        at.sockets_join("/", &room, "not for it").unwrap();
    });
    fleet.settle();
    let back = fleet.open_with(2, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed", "in the annex"]);
    let rooms: Vec<&str> = fleet.nodes[2].server.rooms(fleet.socket(back)).collect();
    assert_eq!(rooms[1..], ["annex"]);
}

/// So does a kick, and it is final.
#[test]
fn h53_a_kick_of_a_session_that_is_parked_in_the_store_only_is_final() {
    let (mut fleet, client, pid) = stored(3);
    fleet.crash(0);
    fleet.at(1, |at| at.disconnect_sockets("/", &Audience::room("room"), false).unwrap());
    fleet.settle();
    for node in [1, 2] {
        let back = fleet.open_with(node, &claim(&pid, "7000-0"));
        fleet.settle();
        assert_eq!(outcome(&fleet, node), refused(RecoveryRefusal::Unknown));
        assert_ne!(ids(&fleet, back).1, client.1);
    }
}

/// What the application of the owner does to one parked socket is not lost if the owner dies.
#[test]
fn what_the_owner_does_to_a_parked_socket_goes_with_it() {
    let (mut fleet, _, pid) = stored(2);
    let socket = parked_socket(&fleet);
    fleet.at(0, |at| {
        assert_eq!(at.join(socket, "later"), Ok(true));
        at.to("later").emit("later", &()).unwrap();
        assert!(at.leave(socket, "room"));
        at.to("room").emit("not in the room", &()).unwrap();
        at.set_data(socket, 8);
    });
    fleet.settle();
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.settle();
    assert_eq!(fleet.got(back), ["missed", "later"]);
    assert_eq!(fleet.nodes[1].server.data(fleet.socket(back)), Some(&8));
}

/// Otherwise the record would be wrong about what was emitted after that.
#[test]
fn a_session_is_stored_once_nothing_waits_that_changes_it() {
    let mut fleet = Fleet::new(2);
    let client = fleet.open(0);
    let socket = fleet.socket(client);
    let of_client = ids(&fleet, client);
    fleet.at(0, |at| {
        at.join(socket, "room").unwrap();
        at.to("room").emit("before", &()).unwrap();
        at.leave(socket, "room");
        at.to("room").emit("after", &()).unwrap();
    });
    fleet.lose(client);
    fleet.take(0, 2);
    assert!(fleet.store.sessions.is_empty());
    fleet.read(0, 1);
    fleet.take(0, 0);
    assert!(fleet.store.sessions.contains_key(&of_client.0));
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(&of_client.0, ""));
    fleet.settle();
    assert_eq!((ids(&fleet, back), fleet.got(back)), (of_client, vec!["before".into()]));
}

#[test]
fn a_session_that_has_ended_leaves_no_record() {
    // The application ends it, or its time is over.
    for is_kicked in [true, false] {
        let (mut fleet, client, pid) = stored(2);
        let socket = parked_socket(&fleet);
        if is_kicked {
            fleet.at(0, |at| assert!(at.disconnect(socket, false)));
        } else {
            // The clock of the engine is slow.
            let (_, expires) = fleet.store.sessions.get_mut(&pid).unwrap();
            *expires = Timestamp::from_millis(u64::MAX);
            fleet.wait(120_000);
        }
        fleet.settle();
        assert!(fleet.store.sessions.is_empty(), "{is_kicked}");
        let back = fleet.open_with(1, &claim(&pid, "7000-0"));
        fleet.settle();
        fleet.wait(1_000);
        assert_ne!(ids(&fleet, back).1, client.1);
    }
}

/// Otherwise a record from before would be used after the session has gone on.
#[test]
fn an_end_does_not_remove_a_record_of_another_node() {
    let (mut fleet, _, pid) = stored(2);
    let at_other = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
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
