//! Clients that come to a node without its engine, and give up before it is back.

use crate::{
    fleet::{Client, Fleet},
    moves::{claim, ids},
    store::parked_socket,
    store_races::stored_without_reply,
};

/// A parked session that the store has, of a node that is without its engine. If the reply was lost, the
/// node does not know that.
fn without_engine(is_reply_lost: bool) -> (Fleet, (String, String)) {
    let mut fleet = Fleet::new(2);
    let of_client = stored_without_reply(&mut fleet);
    if !is_reply_lost {
        fleet.settle();
    }
    fleet.cut(0, 0);
    (fleet, of_client)
}

/// The node has crashed, and the client comes to the other one.
fn comes_to_the_other(fleet: &mut Fleet, pid: &str) -> Client {
    fleet.crash(0);
    let back = fleet.open_with(1, &claim(pid, "7000-0"));
    fleet.settle();
    fleet.wait(500);
    fleet.settle();
    back
}

/// The node took the record for a client that was not there any more, and stored it again one round trip later. A
/// crash in between lost the session.
#[test]
fn a_crash_after_a_client_gave_up_waiting_for_the_engine_costs_no_session() {
    let gives_up: [fn(&mut Fleet, Client); 2] =
        [|fleet, client| fleet.lose(client), |fleet, _| fleet.wait(1_000)];
    for is_reply_lost in [false, true] {
        for (way, gives_up) in gives_up.iter().enumerate() {
            for (round_trips, is_answered) in (0..4).flat_map(|it| [(it, false), (it, true)]) {
                let (mut fleet, (pid, sid)) = without_engine(is_reply_lost);
                let claimed = fleet.open_with(0, &claim(&pid, "7000-0"));
                gives_up(&mut fleet, claimed);
                fleet.connect(0);
                for _ in 0..round_trips {
                    fleet.take(0, 1);
                    fleet.read(0, usize::MAX);
                }
                fleet.take(0, 1);
                if is_answered {
                    fleet.read(0, usize::MAX);
                }
                let of_case = (is_reply_lost, way, round_trips, is_answered);
                assert!(fleet.store.sessions.contains_key(&pid), "{of_case:?}");
                let back = comes_to_the_other(&mut fleet, &pid);
                assert_eq!(ids(&fleet, back), (pid, sid), "{of_case:?}");
            }
        }
    }
}

/// The same while another client still waits for the session, and after a change that the store does not have.
#[test]
fn a_client_that_gives_up_takes_the_session_from_nobody_else() {
    for is_changed in [false, true] {
        for is_reply_lost in [false, true] {
            for is_last in [false, true] {
                let (mut fleet, (pid, sid)) = without_engine(is_reply_lost);
                let claims = [(); 2].map(|()| fleet.open_with(0, &claim(&pid, "7000-0")));
                if is_changed {
                    let socket = parked_socket(&fleet);
                    fleet.at(0, |at| at.set_data(socket, 8));
                }
                fleet.lose(claims[usize::from(is_last)]);
                fleet.connect(0);
                fleet.settle();
                let of_case = (is_changed, is_reply_lost, is_last);
                let back = claims[usize::from(!is_last)];
                let data = fleet.nodes[0].server.data(fleet.socket(back)).copied();
                assert_eq!(ids(&fleet, back), (pid, sid), "{of_case:?}");
                assert_eq!(data, Some(if is_changed { 8 } else { 0 }), "{of_case:?}");
                assert!(fleet.store.sessions.is_empty(), "it is connected: {of_case:?}");
            }
        }
    }
}

/// Then the record is replaced where it is.
#[test]
fn a_change_while_a_client_gives_up_is_stored() {
    for is_reply_lost in [false, true] {
        let (mut fleet, (pid, sid)) = without_engine(is_reply_lost);
        let claimed = fleet.open_with(0, &claim(&pid, "7000-0"));
        let socket = parked_socket(&fleet);
        fleet.at(0, |at| at.set_data(socket, 8));
        fleet.lose(claimed);
        fleet.connect(0);
        fleet.settle();
        let back = comes_to_the_other(&mut fleet, &pid);
        assert_eq!(ids(&fleet, back), (pid, sid), "{is_reply_lost}");
        assert_eq!(fleet.nodes[1].server.data(fleet.socket(back)), Some(&8), "{is_reply_lost}");
    }
}
