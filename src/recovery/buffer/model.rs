//! Logs with given positions, compared with a naive model: random packets, gaps, evictions, changes
//! of rooms, and restarts. Whatever offset a client presents, it is resolved as if the log still
//! knew every position.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::*;
use crate::{
    config::RecoveryConfig,
    recovery::{
        Memberships, Places, Resumption,
        offset::{Form, Key},
    },
    socket::{Event, NamespaceName},
};

const ROOMS: u32 = 3;
const SESSIONS: usize = 2;
const PACKETS: usize = 6;
/// A session remembers as many changes of its rooms as there can be.
const WINDOWS: usize = 1_000;

#[derive(Clone, Debug)]
enum Step {
    /// A packet, this many positions after the latest one.
    Append { gap: u64, target: u32, except: Option<u32> },
    /// A packet for one session that asks for an acknowledgement.
    Ask { gap: u64, session: usize },
    /// The acknowledgement of the oldest such packet is not awaited any more.
    Settle,
    /// The stream has entries for others.
    Advance { gap: u64 },
    /// A session joins or leaves a room.
    Move { session: usize, room: u32 },
    /// All packets become too old.
    Expire,
    /// Positions that are not needed are forgotten.
    Forget,
    /// A session forgets rooms whose packets were evicted.
    ForgetRooms { session: usize },
    /// The process is restarted.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let gap = || prop_oneof![4 => 1_u64..4, 1 => Just(1_u64 << 33)];
    let (room, session) = (|| 1..=ROOMS, || 0..SESSIONS);
    prop_oneof![
        12 => (gap(), 0..=ROOMS, prop::option::of(room()))
            .prop_map(|(gap, target, except)| Step::Append { gap, target, except }),
        2 => (gap(), session()).prop_map(|(gap, session)| Step::Ask { gap, session }),
        1 => Just(Step::Settle),
        2 => gap().prop_map(|gap| Step::Advance { gap }),
        4 => (session(), room()).prop_map(|(session, room)| Step::Move { session, room }),
        1 => Just(Step::Expire),
        3 => Just(Step::Forget),
        2 => session().prop_map(|session| Step::ForgetRooms { session }),
        1 => Just(Step::Restart),
    ]
}

/// A packet, as long as anybody can ask for it.
struct Packet {
    position: Key,
    targets: Vec<RoomId>,
    except: Vec<RoomId>,
    /// The id of the acknowledgement that is awaited.
    question: Option<u64>,
    is_settled: bool,
}

/// A session: the rooms that it is in, and those that it was in at each packet.
struct Session {
    own: RoomId,
    memberships: Memberships,
    rooms: Vec<RoomId>,
    past: Vec<Vec<RoomId>>,
}

struct Model {
    config: ServerConfig,
    form: Form,
    log: RecoveryBuffer,
    now: Timestamp,
    /// All packets ever; the first has the sequence 1.
    packets: Vec<Packet>,
    latest: Key,
    sessions: Vec<Session>,
    next_ack: u64,
    /// Positions between packets that entries of others have.
    others: Vec<Key>,
}

impl Model {
    fn new(form: Form) -> Self {
        let recovery = RecoveryConfig { buffer_packets: PACKETS, ..RecoveryConfig::default() };
        let config = ServerConfig::new().recovery(recovery);
        let latest = Key(1_716_999_999_999, 5);
        let mut log = RecoveryBuffer::following(&config, Offset::from_key(form, latest));
        enter_rooms(&mut log);
        let session = |index| {
            let own = RoomId::own(index);
            let mut memberships = Memberships::new(0);
            for room in [RoomId::ALL, own] {
                memberships.join(&log, room, WINDOWS);
            }
            Session { own, memberships, rooms: [RoomId::ALL, own].into(), past: Vec::new() }
        };
        let sessions = (0..).take(SESSIONS).map(session).collect();
        let now = Timestamp::from_millis(1_000);
        let (packets, others) = (Vec::new(), Vec::new());
        Self { config, form, log, now, packets, latest, sessions, next_ack: 0, others }
    }

    /// The position that is this far behind the latest one. Of large gaps, the first part changes.
    fn skip(&mut self, gap: u64) -> Offset {
        let Key(first, second) = self.latest;
        self.latest = match gap.checked_sub(1 << 33) {
            Some(rest) => Key(first + 1, rest),
            None => Key(first, second + gap),
        };
        Offset::from_key(self.form, self.latest)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { gap, target, except } => {
                let except = except.map(RoomId).into_iter().collect();
                self.append(gap, RoomId(target), except, None);
            }
            Step::Ask { gap, session } => {
                let id = self.next_ack;
                self.next_ack += 1;
                self.append(gap, self.sessions[session].own, Vec::new(), Some(id));
            }
            Step::Settle => {
                let awaited = |it: &&mut Packet| it.question.is_some() && !it.is_settled;
                if let Some(packet) = self.packets.iter_mut().find(awaited) {
                    packet.is_settled = true;
                    self.log.settle_question(packet.question.unwrap());
                }
            }
            Step::Advance { gap } => {
                let position = self.skip(gap);
                self.others.push(position.key());
                self.log.advance(position).unwrap();
            }
            Step::Move { session, room } => self.change_room(session, RoomId(room)),
            Step::Expire => {
                self.now = self.now.saturating_add(Duration::from_secs(600));
                self.log.expire(self.now);
            }
            Step::Forget => self.forget(),
            Step::ForgetRooms { session } => {
                self.sessions[session].memberships.forget(&self.log, WINDOWS);
            }
            Step::Restart => self.restart(),
        }
    }

    fn append(&mut self, gap: u64, target: RoomId, except: Vec<RoomId>, ack: Option<u64>) {
        let position = self.skip(gap);
        let to = Addressees { targets: [target][..].into(), except: except[..].into() };
        let encode = |offset: Offset| {
            let event = Event::new("m", &()).unwrap();
            let text = ack.is_none().then(|| offset.to_string());
            Encoded::event(&NamespaceName::ROOT, &event, ack, text.as_deref())
        };
        self.log.append_at(self.now, position, &to, ack, encode).unwrap();
        for session in &mut self.sessions {
            session.past.push(session.rooms.clone());
        }
        let targets = [target].into();
        let packet =
            Packet { position: self.latest, targets, except, question: ack, is_settled: false };
        self.packets.push(packet);
        if self.log.has_excess_positions() {
            self.forget();
        }
    }

    fn change_room(&mut self, session: usize, room: RoomId) {
        let session = &mut self.sessions[session];
        if session.memberships.join(&self.log, room, WINDOWS) {
            session.rooms.push(room);
        } else {
            session.memberships.leave(&self.log, room, WINDOWS);
            session.rooms.retain(|it| *it != room);
        }
    }

    fn forget(&mut self) {
        let marks = self.sessions.iter().flat_map(|session| session.memberships.marks());
        self.log.forget_positions(marks);
    }

    fn restart(&mut self) {
        let place = |room: RoomId| match room.owner() {
            Some(session) => Some(1 + ROOMS + session),
            None => Some(room.0),
        };
        let text = serde_json::to_string(&self.log.snapshot(place)).unwrap();
        let context = LogContext {
            config: &self.config,
            name: &NamespaceName::ROOT,
            resumption: Resumption { taken_at: self.now, now: self.now },
            places: Places::new(ROOMS as usize, SESSIONS).unwrap(),
            next_ack: self.next_ack,
            jump: 0,
        };
        let snapshot = serde_json::from_str(&text).unwrap();
        let names: Vec<String> = (1..=ROOMS).map(|room| room.to_string()).collect();
        let rooms = Rooms::restore(names.iter().map(|name| &**name));
        self.log = RecoveryBuffer::restore(snapshot, rooms, context).unwrap();
        enter_rooms(&mut self.log);
        // Nobody waits for acknowledgements any more.
        for packet in &mut self.packets {
            packet.is_settled = true;
        }
        assert_eq!(serde_json::to_string(&self.log.snapshot(place)).unwrap(), text);
    }

    /// Every offset that a client may present, and some that none will.
    fn offsets(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.packets.iter().map(|packet| packet.position).collect();
        keys.extend(&self.others);
        keys.extend([Key(0, 0), Key(7, 42), Key(1_716_999_999_999, 5), self.latest]);
        let around = keys.iter().flat_map(|Key(first, second)| {
            [Key(*first, second.saturating_sub(1)), Key(*first, *second), Key(*first, second + 1)]
        });
        around.collect()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let other_form = match self.form {
            Form::Pair => Offset::object_id([1; 12]),
            Form::ObjectId => Offset::pair(7, 1),
        };
        prop_assert_eq!(self.log.resolve(other_form), Resolution::Foreign);
        prop_assert_eq!(self.log.head_offset().key(), self.latest);
        for key in self.offsets() {
            // As a client presents it.
            let text = Offset::from_key(self.form, key).to_string();
            let resolution = self.log.resolve(text.parse().unwrap());
            if key > self.latest {
                prop_assert_eq!(resolution, Resolution::Future, "{}", text);
                continue;
            }
            let exact = self.packets.partition_point(|packet| packet.position <= key) as u64;
            let Resolution::After(sequence) = resolution else {
                return Err(TestCaseError::fail(format!("{text}: {resolution:?}")));
            };
            if exact >= self.log.evicted() {
                prop_assert_eq!(sequence, exact, "{}", text);
            } else {
                prop_assert!(sequence <= exact, "{}: {} is after {}", text, sequence, exact);
            }
            for session in &self.sessions {
                let expected = self.missed(session, exact);
                prop_assert_eq!(self.recover(session, sequence), expected, "{} of {}", text, exact);
            }
        }
        Ok(())
    }

    /// What a session has missed after a packet, or `None` if a part of that was evicted.
    fn missed(&self, session: &Session, after: u64) -> Option<Vec<u64>> {
        let is_missed = |sequence: &u64| {
            let index = usize::try_from(*sequence).unwrap() - 1;
            let (packet, rooms) = (&self.packets[index], &session.past[index]);
            *sequence > after
                && packet.targets.iter().any(|room| rooms.contains(room))
                && !packet.except.iter().any(|room| rooms.contains(room))
                && (packet.question.is_none() || !packet.is_settled)
        };
        let missed: Vec<u64> = (1..=self.packets.len() as u64).filter(is_missed).collect();
        missed.iter().all(|sequence| *sequence > self.log.evicted()).then_some(missed)
    }

    /// The same, as the hub finds it out.
    fn recover(&self, session: &Session, after: u64) -> Option<Vec<u64>> {
        session.memberships.check(&self.log, after).ok()?;
        let mut missed = session.memberships.missed(&self.log, after);
        missed.extend(self.log.questions(session.own, after));
        missed.sort_unstable();
        missed.iter().all(|sequence| *sequence > self.log.evicted()).then_some(missed)
    }
}

/// Creates all rooms. There is always somebody in them.
fn enter_rooms(log: &mut RecoveryBuffer) {
    for room in 1..=ROOMS {
        assert_eq!(log.rooms_mut().find_or_create(&room.to_string()), RoomId(room));
        log.rooms_mut().enter(RoomId(room), 0, None);
    }
}

fn play(form: Form, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new(form);
    for step in steps {
        model.step(step);
        model.check()?;
    }
    Ok(())
}

#[test]
fn every_offset_is_resolved_as_if_no_position_was_forgotten() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let tapes = (prop_oneof![Just(Form::Pair), Just(Form::ObjectId)], vec(step(), 0..60));
    if let Err(failure) = runner.run(&tapes, |(form, steps)| play(form, &steps)) {
        panic!("{failure}\n{runner}");
    }
}
