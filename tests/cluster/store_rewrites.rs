//! What changes a session in the store: its record is replaced there, and so is there all the time.

use socketio_proto::hub::{ExpiryCause, Once};
use socketio_proto::server::ServerEvent;
use socketio_proto::socket::Args;

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids, outcome, token},
    store::{RECOVERED, parked_socket, stored},
};

/// The application of node 0 changes the data of the parked session from 7 to 8.
fn change(fleet: &mut Fleet) {
    let socket = parked_socket(fleet);
    fleet.at(0, |at| at.set_data(socket, 8));
}

/// The client comes to a node. Returns the data of its session there.
fn comes_back(fleet: &mut Fleet, node: usize, pid: &str) -> (Client, Option<u32>) {
    let back = fleet.open_with(node, &claim(pid, "7000-0"));
    fleet.settle();
    fleet.wait(500);
    fleet.settle();
    assert!(outcome(fleet, node).is_recovered());
    let socket = fleet.socket(back);
    (back, fleet.nodes[node].server.data(socket).copied())
}

/// The record was taken out of the store for that, and was stored again one round trip later. A crash in
/// between lost the session.
#[test]
fn a_crash_while_a_change_of_a_parked_session_is_stored_costs_no_session() {
    for round_trips in 0..4 {
        for is_answered in [false, true] {
            let (mut fleet, client, pid) = stored(2);
            change(&mut fleet);
            for _ in 0..round_trips {
                fleet.take(0, 0);
                fleet.answer(0);
            }
            fleet.take(0, 0);
            if is_answered {
                fleet.answer(0);
            }
            assert!(fleet.store.sessions.contains_key(&pid), "{round_trips} {is_answered}");
            fleet.crash(0);
            let (back, data) = comes_back(&mut fleet, 1, &pid);
            assert_eq!((ids(&fleet, back), data), (client, Some(8)), "{round_trips} {is_answered}");
        }
    }
}

/// The application answers an event when its client is gone and the store has the session. Seed 73039959 of the
/// random test found what that did to the session.
#[test]
fn a_crash_while_an_answer_to_a_parked_client_is_stored_costs_no_session() {
    for round_trips in 0..3 {
        let mut fleet = Fleet::new(2);
        let client = fleet.open(0);
        fleet.send(client, r#"421["say",1]"#);
        fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
        fleet.settle();
        let (socket, of_client) = (fleet.socket(client), ids(&fleet, client));
        let token = token(&mut fleet, 0);
        let once = fleet.at(0, |at| at.accept_once(socket, "offset", Some(token)));
        let Ok(Once::Fresh(Some(token))) = once else { panic!("{once:?}") };
        fleet.lose(client);
        fleet.settle();
        assert!(fleet.store.sessions.contains_key(&of_client.0));
        fleet.at(0, |at| at.ack(token, &Args::new(&("done",)).unwrap()));
        for _ in 0..round_trips {
            fleet.take(0, 0);
            fleet.answer(0);
        }
        fleet.take(0, 0);
        fleet.crash(0);
        let (back, _) = comes_back(&mut fleet, 1, &of_client.0);
        assert_eq!(ids(&fleet, back), of_client, "{round_trips}");
        // It is known there that it was accepted and answered.
        let socket = fleet.socket(back);
        let again = fleet.at(1, |at| at.accept_once(socket, "offset", None));
        assert!(matches!(again, Ok(Once::Duplicate)), "{round_trips}");
    }
}

/// Either version may be in the store then. Whichever it is, the session goes on with the change, unless the
/// node dies before the store has it.
#[test]
fn a_lost_reply_to_a_change_costs_no_session() {
    for is_carried_out in [true, false] {
        for (steps, node) in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)] {
            for is_crashed in [false, true] {
                let (mut fleet, client, pid) = stored(2);
                change(&mut fleet);
                fleet.carry_out_or_lose(0, is_carried_out);
                fleet.cut(0, 0);
                fleet.connect(0);
                for _ in 0..steps {
                    fleet.take(0, 0);
                    fleet.answer(0);
                }
                if is_crashed {
                    fleet.crash(0);
                    fleet.connect(0);
                    fleet.settle();
                }
                let of_case = (is_carried_out, steps, node, is_crashed);
                let (back, data) = comes_back(&mut fleet, node, &pid);
                let is_known = is_carried_out || !is_crashed || steps == 2;
                // The other node may be faster than the owner.
                let is_open = !is_carried_out && node == 1;
                let is_as_expected = data == Some(if is_known { 8 } else { 7 });
                assert!(is_as_expected || is_open && data == Some(7), "{data:?} {of_case:?}");
                assert_eq!(ids(&fleet, back), client, "{of_case:?}");
                assert!(fleet.store.sessions.is_empty(), "it is connected: {of_case:?}");
                let parked = fleet.nodes.iter().map(|it| it.server.stats().parked_sessions);
                assert_eq!(parked.sum::<usize>(), 0, "{of_case:?}");
            }
        }
    }
}

/// The session goes on there, without the change, and here no longer.
#[test]
fn a_change_does_not_replace_what_another_node_has_taken() {
    let (mut fleet, client, pid) = stored(2);
    let back = fleet.open_with(1, &claim(&pid, "7000-0"));
    fleet.take(1, 1);
    fleet.read(1, 1);
    for _ in 0..2 {
        fleet.take(1, 0);
        fleet.answer(1);
    }
    assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
    change(&mut fleet);
    fleet.take(0, 0);
    assert!(fleet.store.sessions.is_empty(), "it is connected");
    fleet.answer(0);
    assert_eq!(fleet.nodes[0].server.stats().parked_sessions, 0);
    let expired = |event: &ServerEvent<u32>| {
        matches!(event, ServerEvent::SessionExpired { cause: ExpiryCause::Moved, .. })
    };
    assert_eq!(fleet.nodes[0].events.iter().filter(|it| expired(it)).count(), 1);
    fleet.settle();
    assert_eq!(fleet.nodes[1].server.data(fleet.socket(back)), Some(&7));
    assert_eq!(fleet.got(back), ["missed"]);
}

/// The claimant learns of both versions, since the owner does not know which one is there.
#[test]
fn a_session_is_handed_over_while_its_change_is_stored() {
    for is_carried_out in [true, false] {
        for is_abandoned in [false, true] {
            let (mut fleet, client, pid) = stored(3);
            let back = fleet.open_with(1, &claim(&pid, "7000-0"));
            fleet.take(1, 1);
            // The claimant has no answer of the store before the session is here.
            fleet.nodes[0].read = Some(fleet.channel.entries.len() - 1);
            change(&mut fleet);
            fleet.carry_out_or_lose(0, is_carried_out);
            fleet.read(0, usize::MAX);
            if is_abandoned {
                fleet.lose(back);
            }
            fleet.take(0, 1);
            fleet.read(1, usize::MAX);
            if is_abandoned {
                fleet.settle();
                assert!(fleet.store.sessions.contains_key(&pid));
                // What the store has is the session as it was handed over.
                fleet.crash(0);
                fleet.crash(1);
                let (back, data) = comes_back(&mut fleet, 2, &pid);
                assert_eq!((ids(&fleet, back), data), (client, Some(8)), "{is_carried_out}");
                continue;
            }
            fleet.settle();
            fleet.wait(500);
            fleet.settle();
            assert_eq!((ids(&fleet, back), outcome(&fleet, 1)), (client, RECOVERED));
            assert_eq!(fleet.nodes[1].server.data(fleet.socket(back)), Some(&8));
            assert!(fleet.store.sessions.is_empty(), "it is connected");
        }
    }
}

/// It must not stay there as it was before. It waits at its node, as one that was never stored.
#[test]
fn a_session_that_is_too_large_after_a_change_is_taken_out_of_the_store() {
    for node in [0, 1] {
        let (mut fleet, client, pid) = stored(2);
        fleet.store.is_full = true;
        change(&mut fleet);
        fleet.settle();
        assert!(fleet.store.sessions.is_empty());
        assert_eq!(fleet.nodes[0].server.stats().total.sessions_not_stored, 1);
        let (back, data) = comes_back(&mut fleet, node, &pid);
        assert_eq!((ids(&fleet, back), data), (client, Some(8)), "{node}");
    }
}

/// What changes while the store is told of a change is stored after that, and everything at once.
#[test]
fn changes_that_come_while_one_is_stored_share_the_next_write() {
    let (mut fleet, client, pid) = stored(2);
    let socket = parked_socket(&fleet);
    let before = fleet.store.carried_out;
    for data in 8..12 {
        fleet.at(0, |at| at.set_data(socket, data));
    }
    assert_eq!(fleet.nodes[0].in_flight.len(), 1);
    fleet.settle();
    assert_eq!(fleet.store.carried_out, before + 2);
    fleet.crash(0);
    let (back, data) = comes_back(&mut fleet, 1, &pid);
    assert_eq!((ids(&fleet, back), data), (client, Some(11)));
}

/// The record was written, or was to be taken, before the session changed. In the second case the store kept it
/// as it was.
#[test]
fn a_change_while_the_store_is_told_something_else_is_stored_after_that() {
    for is_taken in [false, true] {
        let mut fleet = Fleet::new(2);
        let client = fleet.open(0);
        fleet.at(1, |at| at.all().emit("processed", &()).unwrap());
        fleet.settle();
        let (socket, of_client) = (fleet.socket(client), ids(&fleet, client));
        fleet.lose(client);
        if is_taken {
            fleet.settle();
            let claimed = fleet.open_with(0, &claim(&of_client.0, "7000-0"));
            fleet.at(0, |at| at.set_data(socket, 8));
            fleet.lose(claimed);
            fleet.nodes[0].in_flight.clear();
            fleet.cut(0, 0);
            fleet.connect(0);
        } else {
            fleet.at(0, |at| at.set_data(socket, 8));
        }
        fleet.settle();
        fleet.crash(0);
        let (back, data) = comes_back(&mut fleet, 1, &of_client.0);
        assert_eq!((ids(&fleet, back), data), (of_client, Some(8)), "{is_taken}");
    }
}

#[test]
fn a_client_gets_its_session_while_a_change_of_it_is_stored() {
    for node in [0, 1] {
        for steps in 0..3 {
            let (mut fleet, client, pid) = stored(2);
            change(&mut fleet);
            for _ in 0..steps {
                fleet.take(0, 0);
                fleet.answer(0);
            }
            let (back, data) = comes_back(&mut fleet, node, &pid);
            assert_eq!((ids(&fleet, back), data), (client, Some(8)), "{node} {steps}");
            assert!(fleet.store.sessions.is_empty(), "it is connected");
            fleet.lose(back);
            fleet.settle();
            assert!(fleet.store.sessions.contains_key(&pid), "{node} {steps}");
        }
    }
}
