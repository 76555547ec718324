//! Recovery of sessions that missed ten packets, whatever else is in the log.

mod support;

use socketio_proto::{WireId, hub::Audience, recovery::RecoveryOutcome, socket::Event};
use support::{
    Bench, cost_of,
    fleet::{self, Client, Fleet},
};

fn main() {
    let bench = Bench::from_args("claim and replay of 10 missed packets, per session");
    let stored: &[usize] =
        if bench.is_smoke() { &[1_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    for rooms in [1, 100] {
        for &stored in stored {
            for is_head in [false, true] {
                claims(&bench, stored, rooms, is_head);
            }
        }
    }
}

const MISSED: usize = 10;
/// Sessions that come back one after the other.
const SESSIONS: usize = 100;

fn claims(bench: &Bench, stored: usize, rooms: usize, is_head: bool) {
    let mut fleet = Fleet::new(fleet::recovery());
    park_somebody_else(&mut fleet);
    let sessions = join(&mut fleet, rooms);
    let event = Event::new("msg", &("x".repeat(100),)).expect("legal");
    let store = |fleet: &mut Fleet, room: &str| {
        let result = fleet.server.at(fleet.now).broadcast("/", &Audience::room(room), &event);
        assert!(result.is_ok());
    };
    // Everything that the sessions do not miss comes before the offset, or between what they do.
    let others = stored - MISSED - 1;
    if !is_head {
        (0..others).for_each(|_| store(&mut fleet, "other"));
    }
    let offset = learn_offset(&mut fleet, &sessions);
    for session in &sessions {
        fleet.lose(session.wire);
    }
    fleet.drain();
    for index in 0..MISSED {
        if is_head {
            let share = others * (index + 1) / MISSED - others * index / MISSED;
            (0..share).for_each(|_| store(&mut fleet, "other"));
        }
        store(&mut fleet, "r0");
    }
    let stats = fleet.server.stats();
    assert_eq!((stats.log_packets, stats.parked_sessions), (stored, SESSIONS + 1));
    let place = if is_head { "head" } else { "tail" };
    let name = format!("{rooms} rooms, {stored} stored, offset at {place}");
    bench.rounds(&name, SESSIONS, || {
        let wires: Vec<_> = sessions.iter().map(|_| fleet.open()).collect();
        let auths: Vec<_> = sessions
            .iter()
            .map(|session| format!(r#"40{{"pid":"{}","offset":"{offset}"}}"#, session.pid))
            .collect();
        let cost = cost_of(|| {
            for ((session, wire), auth) in sessions.iter().zip(&wires).zip(&auths) {
                claim(&mut fleet, session, *wire, auth);
            }
        });
        for wire in wires {
            fleet.lose(wire);
        }
        fleet.drain();
        cost
    });
}

fn claim(fleet: &mut Fleet, session: &Client, wire: WireId, auth: &str) {
    fleet.send(wire, auth);
    let drained = fleet.drain();
    let outcome = RecoveryOutcome::Recovered { replayed: MISSED };
    assert_eq!(drained.joined, Some((session.socket, outcome)));
    assert_eq!(drained.frames, 1 + MISSED);
}

/// Somebody is away in the room that most packets are for: only such a room is logged.
fn park_somebody_else(fleet: &mut Fleet) {
    let client = fleet.room("other", 1).remove(0);
    fleet.lose(client.wire);
    fleet.drain();
}

fn join(fleet: &mut Fleet, rooms: usize) -> Vec<Client> {
    let sessions = fleet.room("r0", SESSIONS);
    for session in &sessions {
        for room in 1..rooms {
            let joined = fleet.server.at(fleet.now).join(session.socket, &format!("r{room}"));
            assert_eq!(joined, Ok(true));
        }
    }
    sessions
}

/// Emits one event to all sessions, which carries the offset that they present later.
fn learn_offset(fleet: &mut Fleet, sessions: &[Client]) -> String {
    let event = Event::new("mark", &()).expect("legal");
    let sent = fleet.server.at(fleet.now).broadcast("/", &Audience::room("r0"), &event);
    assert_eq!(sent.map(|reach| reach.sockets), Ok(sessions.len()));
    let texts = fleet.texts();
    let offset = texts.first().and_then(|text| text.strip_prefix("42[\"mark\",\""));
    offset.and_then(|offset| offset.strip_suffix("\"]")).expect("an offset").to_owned()
}
