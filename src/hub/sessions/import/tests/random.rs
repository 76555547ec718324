//! Random tapes: what a session that moves gets is what was emitted to it.

use alloc::{
    collections::BTreeSet,
    string::{String, ToString as _},
    vec::Vec,
};

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};

use super::{Cluster, id, join, leave, missed, open};

type Step = [u8; 3];

const ROOMS: [&str; 4] = ["a", "b", "c", "d"];

/// A session that will move, and others in both processes.
struct Scene {
    cluster: Cluster,
    moved: u32,
    at_home: u32,
    there: [u32; 2],
    /// The room named after the session that will move.
    own: String,
    /// The rooms that it is in.
    rooms: BTreeSet<String>,
    /// The positions and names of the events that were emitted to it.
    truth: Vec<(u64, String)>,
}

impl Scene {
    fn new() -> Self {
        let mut cluster = Cluster::new(6);
        let own = id(1).to_string();
        Self {
            moved: open(&mut cluster.home, 1),
            at_home: open(&mut cluster.home, 2),
            there: [open(&mut cluster.other, 3), open(&mut cluster.other, 4)],
            cluster,
            rooms: BTreeSet::from([own.clone()]),
            own,
            truth: Vec::new(),
        }
    }

    fn step(&mut self, [kind, a, b]: Step) {
        let room = ROOMS[usize::from(a % 4)];
        let Cluster { home, other } = &mut self.cluster;
        let any_room = if b < 32 { &*self.own } else { room };
        let there = self.there[usize::from(b % 2)];
        match kind % 10 {
            0 => {
                join(home, self.moved, room);
                self.rooms.insert(room.into());
            }
            1 => {
                leave(home, self.moved, room);
                self.rooms.remove(room);
            }
            2 => join(home, self.at_home, any_room),
            3 => leave(home, self.at_home, any_room),
            4 => join(other, there, any_room),
            5 => leave(other, there, any_room),
            _ => self.emit(a, b),
        }
        self.cluster.home.audit();
        self.cluster.other.audit();
    }

    fn emit(&mut self, a: u8, b: u8) {
        let own = self.own.clone();
        let (first, second) = (ROOMS[usize::from(a % 4)], ROOMS[usize::from(b % 4)]);
        let to: &[&str] = match a >> 5 {
            0 | 1 => &[],
            2 => &[&own],
            3 => &[first, second],
            _ => &[first],
        };
        let except: &[&str] = match b >> 5 {
            0 => &[second],
            1 => &[&own],
            2 => &[second, ROOMS[usize::from(b >> 2) % 4]],
            _ => &[],
        };
        let position = self.cluster.home.log().head() + 1;
        self.cluster.emit(&position.to_string(), to, except);
        let is_in = |names: &[&str]| names.iter().any(|name| self.rooms.contains(*name));
        if (to.is_empty() || is_in(to)) && !is_in(except) {
            self.truth.push((position, position.to_string()));
        }
    }

    /// Moves the session, and compares what it gets with what was emitted to it. Returns how many
    /// positions it recovers from, and from how many it does not although its log has all packets
    /// that were emitted to it.
    fn finish(mut self) -> (usize, usize) {
        let head = self.cluster.home.log().head();
        let at_home: Vec<_> =
            (0..=head).map(|at| missed(&self.cluster.home, self.moved, at)).collect();
        let here = self.cluster.move_session(self.moved).opened().unwrap();
        let (other, evicted) = (&self.cluster.other, self.cluster.other.log().evicted());
        let (mut recovered, mut refused) = (0, 0);
        for (position, at_home) in (0..).zip(at_home) {
            let (truth, is_after) = (self.truth.iter(), |at: u64| at > position);
            let after: Vec<&(u64, String)> = truth.filter(|(at, _)| is_after(*at)).collect();
            match missed(other, here, position) {
                Ok(missed) => {
                    let names: Vec<String> = after.iter().map(|(_, name)| name.clone()).collect();
                    assert_eq!(missed, names, "after {position}");
                    recovered += 1;
                }
                Err(refusal) if position >= evicted => {
                    assert_eq!(at_home, Err(refusal), "nothing after {position} was evicted");
                }
                Err(_) => refused += usize::from(after.first().is_none_or(|(at, _)| *at > evicted)),
            }
        }
        (recovered, refused)
    }
}

#[test]
fn no_session_that_moves_gets_too_much_or_too_little() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let total = core::cell::Cell::new((0, 0));
    let mut runner = TestRunner::new(config);
    let played = runner.run(&vec(any::<Step>(), 0..80), |steps| {
        let mut scene = Scene::new();
        for step in steps {
            scene.step(step);
        }
        let (recovered, refused) = scene.finish();
        total.set((total.get().0 + recovered, total.get().1 + refused));
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}\n{runner}");
    }
    let (recovered, refused) = total.get();
    assert!(recovered > 1_000, "{recovered} positions were recovered");
    assert!(refused < recovered / 2, "{refused} positions were refused needlessly");
}
