//! The log and the memberships against a list of everything that was ever emitted.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};
use core::time::Duration;

use proptest::{prelude::*, test_runner::Config};

use super::{
    Addressees, LogContext, Memberships, MembershipsContext, Places, RecoveryBuffer, Resumption,
    RoomId, RoomPlace,
};
use crate::{
    config::{RecoveryConfig, ServerConfig},
    socket::{Encoded, Event, NamespaceName},
    time::Timestamp,
};

const ROOMS: u32 = 4;
const SESSIONS: u32 = 3;
/// Nothing is forgotten because there is too much of it.
const NO_LIMIT: usize = usize::MAX;

#[derive(Clone, Debug)]
enum Op {
    Append { targets: BTreeSet<u32>, except: BTreeSet<u32>, bytes: usize, asks: bool },
    Join { session: u32, room: u32 },
    Leave { session: u32, room: u32 },
    Rebirth { session: u32 },
    Wait { secs: u64 },
    Restart,
}

/// A packet as the list has it.
struct Emitted {
    at: Timestamp,
    cost: usize,
    /// Sessions that were addressed, as far as they are still the same.
    addressed: BTreeSet<u32>,
}

struct Session {
    memberships: Memberships,
    floor: u64,
    rooms: BTreeSet<RoomId>,
}

struct World {
    config: Arc<ServerConfig>,
    age: Duration,
    packets: usize,
    bytes: usize,
    now: Timestamp,
    log: RecoveryBuffer,
    sessions: Vec<Session>,
    emitted: Vec<Emitted>,
    evicted: usize,
}

/// Rooms by number: everyone's, those with a name, the sessions' own.
fn room(number: u32) -> RoomId {
    places().room(number).unwrap_or(RoomId::ALL)
}

fn places() -> Places {
    Places::new(ROOMS as usize, SESSIONS as usize).unwrap()
}

fn place(room: RoomId) -> RoomPlace {
    room.owner().map_or(room.0, |session| places().own(session))
}

impl World {
    fn new(packets: usize, bytes: usize, age: Duration) -> Self {
        let recovery = RecoveryConfig {
            buffer_packets: packets,
            buffer_bytes: bytes,
            max_disconnection: age,
            ..RecoveryConfig::default()
        };
        let config = Arc::new(ServerConfig::new().recovery(recovery));
        let mut world = Self {
            age: age + config.ping_interval + config.ping_timeout,
            packets,
            bytes,
            now: Timestamp::from_millis(1_000_000),
            log: RecoveryBuffer::new(&config, 7),
            config,
            sessions: Vec::new(),
            emitted: Vec::new(),
            evicted: 0,
        };
        world.sessions = (0..SESSIONS).map(|session| world.born(session)).collect();
        world
    }

    fn born(&mut self, session: u32) -> Session {
        let floor = self.log.head();
        let rooms = BTreeSet::from([RoomId::ALL, RoomId::own(session)]);
        let mut memberships = Memberships::new(floor);
        for room in &rooms {
            memberships.join(&self.log, *room, NO_LIMIT);
            self.log.occupy(*room);
        }
        Session { memberships, floor, rooms }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Append { targets, except, bytes, asks } => {
                self.append(targets, except, *bytes, *asks);
            }
            Op::Join { session, room: number } => {
                let session = &mut self.sessions[*session as usize];
                let is_new = session.memberships.join(&self.log, room(*number), NO_LIMIT);
                assert_eq!(is_new, session.rooms.insert(room(*number)));
                self.log.occupy(room(*number));
            }
            Op::Leave { session, room: number } => {
                let session = &mut self.sessions[*session as usize];
                let left = session.memberships.leave(&self.log, room(*number), NO_LIMIT);
                assert_eq!(left.is_some(), session.rooms.remove(&room(*number)));
                session.memberships.forget(&self.log, NO_LIMIT);
            }
            Op::Rebirth { session } => {
                self.log.vacate(RoomId::own(*session));
                self.sessions[*session as usize] = self.born(*session);
                for emitted in &mut self.emitted {
                    emitted.addressed.remove(session);
                }
            }
            Op::Wait { secs } => {
                self.now = self.now.saturating_add(Duration::from_secs(*secs));
                self.log.expire(self.now);
                // Packets of one second expire together.
                let age = self.age + Duration::from_secs(1);
                while self.held().next().is_some_and(|it| it.at.saturating_add(age) <= self.now) {
                    self.evicted += 1;
                }
            }
            Op::Restart => self.restart(),
        }
        self.vacate();
        self.check();
    }

    fn append(&mut self, targets: &BTreeSet<u32>, except: &BTreeSet<u32>, size: usize, asks: bool) {
        let to = Addressees {
            targets: targets.iter().map(|number| room(*number)).collect(),
            except: except.iter().map(|number| room(*number)).collect(),
        };
        let ack = asks.then_some(self.emitted.len() as u64);
        let (before, evicted) = (self.log.bytes(), self.log.evicted());
        self.log.append(self.now, &to, ack, |offset| {
            let event = Event::new("m", &("x".repeat(size),)).unwrap();
            let offset = ack.is_none().then(|| offset.text());
            Encoded::event(&NamespaceName::ROOT, &event, ack, offset.as_deref())
        });
        let gone = usize::try_from(self.log.evicted() - evicted).unwrap();
        let gone: usize = self.held().take(gone).map(|it| it.cost).sum();
        // What an entry costs is for the log to say, if it fits at all; the sum is checked.
        let is_held = self.log.len() > 0;
        let cost = if is_held { self.log.bytes() + gone - before } else { self.bytes + 1 };
        let is_in = |session: &Session, rooms: &[RoomId]| {
            rooms.iter().any(|room| session.rooms.contains(room))
        };
        let addressed = (0..)
            .zip(&self.sessions)
            .filter(|(_, session)| is_in(session, &to.targets) && !is_in(session, &to.except));
        let addressed = addressed.map(|(session, _)| session).collect();
        self.emitted.push(Emitted { at: self.now, cost, addressed });
        while self.held().count() > self.packets
            || self.held().map(|it| it.cost).sum::<usize>() > self.bytes
        {
            self.evicted += 1;
        }
    }

    /// Rooms that nobody is in, nor was as far as the log goes back.
    fn vacate(&mut self) {
        for number in 1..=ROOMS {
            let room = room(number);
            let is_known = |session: &Session| {
                session.rooms.contains(&room)
                    || session.memberships.past_rooms().any(|past| past == room)
            };
            if !self.sessions.iter().any(is_known) {
                self.log.vacate(room);
            }
        }
    }

    fn restart(&mut self) {
        let resumption = Resumption { taken_at: self.now, now: self.now };
        let context = LogContext {
            config: &self.config,
            name: &NamespaceName::ROOT,
            resumption,
            places: places(),
            next_ack: self.emitted.len() as u64,
            jump: 3,
        };
        self.log =
            RecoveryBuffer::restore(self.log.snapshot(|room| Some(place(room))), context).unwrap();
        for (index, session) in (0..).zip(&mut self.sessions) {
            let own_room = RoomId::own(index);
            let context = MembershipsContext {
                life: session.floor..=self.log.head(),
                own_room,
                places: places(),
                limit: NO_LIMIT,
            };
            let snapshot = session.memberships.snapshot(own_room, |room| Some(place(room)));
            session.memberships = Memberships::restore(snapshot, &context).unwrap();
            for room in &session.rooms {
                self.log.occupy(*room);
            }
        }
    }

    fn held(&self) -> impl Iterator<Item = &Emitted> {
        self.emitted.iter().skip(self.evicted)
    }

    fn check(&self) {
        let head = self.emitted.len() as u64;
        assert_eq!((self.log.head(), self.log.evicted()), (head, self.evicted as u64));
        assert_eq!(self.log.len(), self.held().count());
        assert_eq!(self.log.bytes(), self.held().map(|it| it.cost).sum::<usize>());
        for sequence in 0..=head + 1 {
            let is_held = sequence > self.evicted as u64 && sequence <= head;
            assert_eq!(self.log.get(sequence).is_some(), is_held, "{sequence}");
        }
        for (index, session) in (0..).zip(&self.sessions) {
            let addressed =
                (1..).zip(&self.emitted).filter(|(_, it)| it.addressed.contains(&index));
            let addressed: Vec<u64> = addressed.map(|(sequence, _)| sequence).collect();
            for position in session.floor..=head {
                let missed = addressed.iter().copied().filter(|sequence| *sequence > position);
                let (in_log, gone): (Vec<u64>, Vec<u64>) =
                    missed.partition(|sequence| *sequence > self.evicted as u64);
                let check = session.memberships.check(&self.log, position);
                assert_eq!(
                    check.is_ok(),
                    gone.is_empty(),
                    "session {index} at {position}: {gone:?}"
                );
                assert_eq!(session.memberships.missed(&self.log, position), in_log);
            }
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let session = 0..SESSIONS;
    let shared = 1..=ROOMS;
    let any_room = 0..=ROOMS + SESSIONS;
    let append = (
        prop::collection::btree_set(any_room, 1..4),
        prop::collection::btree_set(1..=ROOMS + SESSIONS, 0..3),
        prop_oneof![4 => 0_usize..20, 1 => 0_usize..400],
        prop::bool::weighted(0.1),
    );
    prop_oneof![
        6 => append.prop_map(|(targets, except, bytes, asks)| {
            Op::Append { targets, except, bytes, asks }
        }),
        4 => (session.clone(), shared.clone()).prop_map(|(session, room)| Op::Join { session, room }),
        4 => (session.clone(), shared).prop_map(|(session, room)| Op::Leave { session, room }),
        1 => session.prop_map(|session| Op::Rebirth { session }),
        1 => (1_u64..90).prop_map(|secs| Op::Wait { secs }),
        1 => Just(Op::Restart),
    ]
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(300) })]

    #[test]
    fn the_log_is_a_list_with_a_short_memory(
        packets in 1_usize..12,
        bytes in prop_oneof![Just(1_000_000), 200_usize..2_000],
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut world = World::new(packets, bytes, Duration::from_secs(60));
        for op in &ops {
            world.apply(op);
        }
    }
}
