//! Nodes of this crate and of the official adapter in one cluster, with clients that go from any to any.
//!
//! Every event is for everybody, so a client must get all that is in the channel from its first connection
//! on. Between nodes of this crate that is so. A session that was at an official node is refused. If it is
//! recovered all the same, the order of its events is wrong now and then: so this model can find that.
//!
//! `CLUSTER_SEED=<number>` replays one run, and `CLUSTER_RUNS=<number>` plays more.

use std::collections::BTreeMap;

use socketio_proto::{
    RecoveryConfig, RecoveryKey, ServerConfig, SocketId,
    cluster::{
        OfficialSessions,
        message::{Body, BroadcastOptions, NodeId},
    },
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
    socket::{Event, NamespaceName},
};
use socketio_proto_sim::engine::OfficialNode;

use crate::{
    dice::{Dice, number},
    fleet::{Client, Fleet},
};

const RUNS: u64 = 60;
const STEPS: usize = 250;
const NODES: usize = 2;
const USERS: usize = 4;

struct Run {
    fleet: Fleet,
    officials: Vec<OfficialNode>,
    users: Vec<User>,
    dice: Dice,
    emitted: usize,
    ids: usize,
    counts: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct User {
    session: Option<Session>,
    place: Place,
}

struct Session {
    sid: String,
    pid: String,
    /// The first entry that it must get.
    birth: usize,
    received: Vec<String>,
    offset: Option<String>,
    /// Whether an official node has ever had it.
    was_official: bool,
    /// Whether the latest node that had it is an official one.
    is_official: bool,
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Away,
    Ours(Client, usize),
    Official(usize, SocketId, usize),
}

impl Run {
    fn new(seed: u64, choice: OfficialSessions) -> Self {
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut fleet = Fleet::disconnected(0, &config);
        fleet.cluster = match choice {
            OfficialSessions::BestEffort => {
                |config| config.official_sessions(OfficialSessions::BestEffort)
            }
            _ => |config| config,
        };
        for node in 0..NODES {
            fleet.add(node);
        }
        let id = |number: usize| NodeId::new(format!("official-{number}")).unwrap();
        Self {
            fleet,
            officials: (0..2).map(|number| OfficialNode::new(id(number))).collect(),
            users: (0..USERS).map(|_| User::default()).collect(),
            dice: Dice::new(seed),
            emitted: 0,
            ids: 0,
            counts: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        let (user, node) = (self.dice.roll(USERS), self.dice.roll(NODES));
        match self.dice.roll(12) {
            0..2 => {
                let name = self.name();
                self.fleet.at(node, |at| at.all().emit(&name, &()).unwrap());
            }
            2..5 => {
                let event = Event::new(&self.name(), &()).unwrap();
                let all = BroadcastOptions::all();
                self.officials[node].emit(
                    &mut self.fleet.channel,
                    &NamespaceName::ROOT,
                    all,
                    event,
                );
            }
            5 => self.officials[node].read(&self.fleet.channel, 1),
            6 => self.fleet.settle(),
            7 => self.fleet.read(node, 2),
            8..10 => self.come(user),
            _ => self.go(user),
        }
        (0..USERS).for_each(|user| self.look(user));
    }

    fn name(&mut self) -> String {
        self.emitted += 1;
        format!("e{}", self.emitted)
    }

    fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A client comes back at any node.
    fn come(&mut self, user: usize) {
        if !matches!(self.users[user].place, Place::Away) {
            return;
        }
        let node = self.dice.roll(2);
        if self.dice.one_in(2) {
            self.come_to_official(user, node);
        } else {
            self.come_to_us(user, node);
        }
    }

    fn come_to_us(&mut self, user: usize, node: usize) {
        let auth = self.users[user].session.as_ref().map(|session| {
            let offset = session.offset.as_ref().map(|it| format!(r#","offset":"{it}""#));
            format!(r#"{{"pid":"{}"{}}}"#, session.pid, offset.unwrap_or_default())
        });
        let packet = format!("40{}", auth.unwrap_or_default());
        let client = self.fleet.open_with(node, &packet);
        if self.dice.one_in(2) {
            // The others are faster than the node itself.
            self.fleet.take(node, usize::MAX);
            for other in (0..NODES).filter(|other| *other != node) {
                self.fleet.read(other, usize::MAX);
                for _ in 0..2 {
                    self.fleet.take(other, usize::MAX);
                    self.fleet.answer(other);
                }
            }
        }
        self.fleet.settle();
        if self.fleet.frames(client).is_empty() {
            // An official node has the session, and does not say so.
            self.fleet.wait(1_001);
            self.fleet.settle();
        }
        self.users[user].place = Place::Ours(client, 0);
        let (pid, sid) = crate::moves::ids(&self.fleet, client);
        let outcome = self.outcome(node, &sid);
        let (end, birth) =
            (self.fleet.channel.entries.len(), self.fleet.nodes[node].births.get(&sid));
        let birth = birth.copied().unwrap_or(end);
        let mut session = self.users[user].session.as_mut();
        let is_official = session.as_mut().is_some_and(|it| std::mem::take(&mut it.is_official));
        match outcome {
            RecoveryOutcome::Recovered { .. } => {
                assert!(!is_official, "nothing proves what it has received");
                self.note("recovered");
            }
            RecoveryOutcome::BestEffort { .. } => {
                assert!(is_official);
                self.note("best effort");
            }
            RecoveryOutcome::Refused(RecoveryRefusal::OrderNotProvable) => {
                assert!(is_official);
                self.note("refused");
            }
            // An official node has thrown it away, or it is with one.
            RecoveryOutcome::Refused(_) | RecoveryOutcome::New => {}
        }
        if !outcome.is_recovered() {
            let (received, offset) = (Vec::new(), None);
            let (was_official, is_official) = (false, false);
            let session = Session { sid, pid, birth, received, offset, was_official, is_official };
            self.users[user].session = Some(session);
        }
    }

    fn outcome(&self, node: usize, sid: &str) -> RecoveryOutcome {
        let latest = self.fleet.nodes[node].events.iter().rev();
        let found = latest.filter_map(|event| match event {
            ServerEvent::Connected { id, recovery, .. } => Some((id, *recovery)),
            _ => None,
        });
        let mut found = found.filter(|(id, _)| id.as_str() == sid);
        found.next().expect("it is connected").1
    }

    fn come_to_official(&mut self, user: usize, node: usize) {
        let fleet = &mut self.fleet;
        let restored = self.users[user].session.as_ref().and_then(|session| {
            let (pid, offset) = (RecoveryKey::parse(&session.pid)?, session.offset.as_deref()?);
            let engine = (&fleet.channel, &mut fleet.store);
            self.officials[node].restore(engine, fleet.now, &NamespaceName::ROOT, pid, offset)
        });
        if let (Some(sid), Some(session)) = (restored, &mut self.users[user].session) {
            (session.was_official, session.is_official) = (true, true);
            self.users[user].place = Place::Official(node, sid, 0);
            self.note("restored");
            return;
        }
        // What comes now is after everything that was.
        self.officials[node].read(&self.fleet.channel, usize::MAX);
        self.ids += 1;
        let (sid, pid) = (format!("{:020}", self.ids), format!("P{:019}", self.ids));
        let (id, key) = (SocketId::parse(&sid).unwrap(), RecoveryKey::parse(&pid).unwrap());
        self.officials[node].connect(&NamespaceName::ROOT, id, key);
        let (birth, received) = (self.fleet.channel.entries.len(), Vec::new());
        let session = Session {
            sid,
            pid,
            birth,
            received,
            offset: None,
            was_official: true,
            is_official: true,
        };
        self.users[user].session = Some(session);
        self.users[user].place = Place::Official(node, id, 0);
    }

    fn go(&mut self, user: usize) {
        self.look(user);
        match std::mem::take(&mut self.users[user].place) {
            Place::Away => {}
            Place::Ours(client, _) => {
                self.fleet.lose(client);
                self.fleet.settle();
            }
            Place::Official(node, sid, _) => {
                self.officials[node].lose(&mut self.fleet.store, self.fleet.now, sid);
            }
        }
    }

    /// A client processes what it gets.
    fn look(&mut self, user: usize) {
        let User { session: Some(session), place } = &mut self.users[user] else { return };
        match place {
            Place::Away => {}
            Place::Ours(client, seen) => {
                for frame in self.fleet.frames(*client).iter().skip(*seen) {
                    *seen += 1;
                    if let Some(rest) = frame.strip_prefix("42[\"") {
                        let mut parts = rest.split('"');
                        session.received.push(parts.next().unwrap().to_owned());
                        session.offset = parts.nth(1).map(str::to_owned);
                    }
                }
            }
            Place::Official(node, sid, seen) => {
                for (event, offset) in self.officials[*node].received(*sid).iter().skip(*seen) {
                    *seen += 1;
                    session.received.push(event.name().to_owned());
                    session.offset = Some(offset.clone());
                }
            }
        }
    }

    /// Everybody comes to a node of this crate. Returns how often what was seen.
    fn finish(mut self) -> BTreeMap<&'static str, u64> {
        for user in 0..USERS {
            if !matches!(self.users[user].place, Place::Ours(..)) {
                self.go(user);
                self.come_to_us(user, 0);
            }
        }
        self.fleet.settle();
        for user in 0..USERS {
            self.look(user);
            let session = self.users[user].session.as_ref().unwrap();
            let entries = self.fleet.channel.entries.iter().skip(session.birth).flatten();
            let events = entries.filter_map(|message| match &message.body {
                Body::Broadcast(it) => Some(it.packet().unwrap().event.name().to_owned()),
                _ => None,
            });
            let is_exact = events.eq(session.received.iter().cloned());
            assert!(is_exact || session.was_official, "{}: {:?}", session.sid, session.received);
            self.note(if is_exact { "exact" } else { "inexact" });
        }
        self.counts
    }
}

fn play(choice: OfficialSessions) -> BTreeMap<&'static str, u64> {
    let seeds = match number("CLUSTER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLUSTER_RUNS").unwrap_or(RUNS),
    };
    let mut sum = BTreeMap::new();
    for seed in seeds {
        let played = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed, choice);
            (0..STEPS).for_each(|_| run.step());
            run.finish()
        });
        let counts = played.unwrap_or_else(|_| panic!("CLUSTER_SEED={seed} replays it"));
        for (what, count) in counts {
            *sum.entry(what).or_default() += count;
        }
    }
    println!("{choice:?}: {sum:?}");
    sum
}

fn count(sum: &BTreeMap<&'static str, u64>, what: &str) -> u64 {
    sum.get(what).copied().unwrap_or_default()
}

#[test]
fn h21_what_official_nodes_have_had_is_refused_and_all_else_is_exact() {
    let sum = play(OfficialSessions::Refuse);
    for what in ["recovered", "refused", "restored", "exact"] {
        assert!(count(&sum, what) > 20, "too little of {what}: {sum:?}");
    }
    assert_eq!(count(&sum, "inexact"), 0);
    assert_eq!(count(&sum, "best effort"), 0);
}

/// Without the refusal, clients have the wrong order, or not everything.
#[test]
fn h21_what_is_refused_would_often_be_inexact() {
    let sum = play(OfficialSessions::BestEffort);
    assert!(count(&sum, "best effort") > 20, "{sum:?}");
    assert!(count(&sum, "inexact") > 20, "the model finds it: {sum:?}");
}
