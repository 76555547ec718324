//! The reference model: which sessions each packet was addressed to, and what each client must
//! receive.
//!
//! The model records the addressees of each emission. From this it derives, for each claim of a
//! session, whether it must be recovered, which packets must follow, or which refusals are correct.
//! It also checks that each event which a client receives is the next one that it must receive.

mod restart;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use socketio_proto::{
    ConnectionId, SocketKey, Timestamp,
    recovery::{Offset, RecoveryOutcome, RecoveryRefusal},
    socket::{Encoded, Event, NamespaceName},
};

use crate::log::{Rules, Space};

/// Names an emission; in the order in which they were made.
pub type Number = usize;

pub struct Model {
    pub spaces: Vec<Space>,
    pub sessions: BTreeMap<SocketKey, Session>,
    pub emissions: Vec<Emission>,
    keys: BTreeMap<String, SocketKey>,
    rules: Rules,
    /// Until when it is up to the server whether the time of an absent client is over.
    pub in_doubt_until: Timestamp,
    /// How many recoveries there have been.
    pub recoveries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Taken into the log: to be received exactly once.
    Logged,
    /// Likewise, and replayed until it is acknowledged.
    LoggedAck,
    /// To be received at most once, in its place.
    Fleeting,
}

pub struct Emission {
    pub sort: Sort,
    pub event: Event,
    /// The position that it took, or the one after which it was emitted.
    seq: u64,
    offset: Offset,
    at: Timestamp,
    wire_len: usize,
    /// Whether it asks for an acknowledgement, and that is awaited.
    pub has_ack: bool,
    pub is_awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Live(ConnectionId),
    Parked { expires: Timestamp },
    Ended,
}

pub struct Session {
    pub space: usize,
    pub client: usize,
    pub sid: String,
    pub place: Place,
    /// Its time was over.
    pub has_timed_out: bool,
    /// Where its client has sent a new CONNECT, which has ended it.
    pub replaced_on: Option<ConnectionId>,
    /// The connection that it was parked on while that continued.
    pub left_open: Option<ConnectionId>,
    /// Which one the latest recovery was.
    recovered: u64,
    /// As bits.
    pub rooms: u8,
    /// Rooms named after the ids of these sessions.
    pub owns: BTreeSet<SocketKey>,
    /// Whether another session was in the room named after it.
    is_shared: bool,
    floor: u64,
    log: Vec<Number>,
    /// What the client has not got yet, in order.
    pub due: VecDeque<Number>,
    /// The same for what it may get, with the last of the others before it.
    fleeting: VecDeque<(Number, Option<Number>)>,
    /// How often it joined or left a room.
    moves: usize,
}

/// Who an event is for. `own` and `but` are rooms that are named after the ids of these sessions.
#[derive(Clone, Debug)]
pub struct Target {
    pub space: usize,
    pub rooms: u8,
    pub own: Vec<SocketKey>,
    pub except: u8,
    pub but: Vec<SocketKey>,
    /// This session itself and not those that have joined the room of its name.
    pub only: Option<SocketKey>,
}

impl Target {
    /// A single session.
    pub fn only(space: usize, key: SocketKey) -> Self {
        let (own, but) = (Vec::new(), Vec::new());
        Self { space, rooms: 0, own, except: 0, but, only: Some(key) }
    }
}

/// What a client presents.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub client: usize,
    /// How many recoveries there had been when it was made.
    pub made_after: u64,
    /// The client's connection that it was made on, counted.
    pub link: u64,
    pub pid: Option<String>,
    pub offset: Option<String>,
}

/// What may become of a claim.
#[derive(Debug, Default)]
pub struct Expected {
    pub session: Option<SocketKey>,
    /// What must follow if it is recovered; `None` if it must not be.
    pub replay: Option<Vec<Number>>,
    /// The refusals that would be true. If there is none it must be recovered.
    pub refusals: Vec<RecoveryRefusal>,
}

impl Model {
    pub fn new(rules: Rules, spaces: impl Iterator<Item = (NamespaceName, u64)>) -> Self {
        let space = |(name, epoch)| Space::new(name, epoch);
        Self {
            spaces: spaces.map(space).collect(),
            sessions: BTreeMap::new(),
            emissions: Vec::new(),
            keys: BTreeMap::new(),
            rules,
            in_doubt_until: Timestamp::ZERO,
            recoveries: 0,
        }
    }

    /// A new session starts at the present position.
    pub fn open(&mut self, key: SocketKey, space: usize, sid: String, client: usize) {
        let session = Session {
            space,
            client,
            sid,
            place: Place::Ended,
            has_timed_out: false,
            replaced_on: None,
            left_open: None,
            recovered: 0,
            rooms: 0,
            owns: BTreeSet::new(),
            is_shared: false,
            floor: self.spaces[space].head,
            log: Vec::new(),
            due: VecDeque::new(),
            fleeting: VecDeque::new(),
            moves: 0,
        };
        assert!(self.sessions.insert(key, session).is_none(), "{key:?} is used twice");
    }

    /// The private id of a session was on the wire.
    pub fn learn(&mut self, sid: &str, pid: String) -> bool {
        let session = self.sessions.iter().find(|(_, session)| session.sid == sid);
        let key = session.map(|(key, _)| *key);
        if let Some(key) = key {
            let known = self.keys.insert(pid, key);
            assert!(known.is_none_or(|known| known == key), "a private id of two sessions");
        }
        key.is_some()
    }

    /// The private id of a session, if it was on the wire.
    pub fn pid_of(&self, key: SocketKey) -> Option<String> {
        self.keys.iter().find(|(_, known)| **known == key).map(|(pid, _)| pid.clone())
    }

    pub fn is_addressed(session: &Session, key: SocketKey, to: &Target) -> bool {
        let is_excepted =
            session.rooms & to.except != 0 || to.but.iter().any(|it| session.is_in_own(key, *it));
        session.is_in_target(key, to) && !is_excepted
    }

    /// Sessions that have not ended and are addressed.
    pub fn addressed(&self, to: &Target) -> Vec<SocketKey> {
        let is_addressed =
            |(key, session): &(&SocketKey, &Session)| Self::is_addressed(session, **key, to);
        self.sessions.iter().filter(is_addressed).map(|(key, _)| *key).collect()
    }

    pub fn next_number(&self) -> Number {
        self.emissions.len()
    }

    /// Writes an emission down. Returns how many connected sockets it goes to.
    pub fn emit(
        &mut self,
        now: Timestamp,
        to: &Target,
        event: &Event,
        sort: Sort,
        has_ack: bool,
    ) -> usize {
        let number = self.emissions.len();
        let is_logged = sort != Sort::Fleeting;
        let space = &mut self.spaces[to.space];
        let ack = has_ack.then(|| {
            space.acks += 1;
            space.acks - 1
        });
        let is_inhabited = self.sessions.iter().any(|(key, it)| it.is_in_target(*key, to));
        let mut wire_len = 0;
        if is_logged && is_inhabited {
            let offset = space.offset(space.head + 1).to_string();
            let offset = ack.is_none().then_some(&*offset);
            wire_len = Encoded::event(&space.name, event, ack, offset).wire_len();
            space.append(now, wire_len);
        }
        let seq = space.head;
        let mut live = 0;
        for (key, session) in &mut self.sessions {
            if !Self::is_addressed(session, *key, to) {
                continue;
            }
            let is_live = matches!(session.place, Place::Live(_));
            live += usize::from(is_live);
            if is_logged {
                session.log.push(number);
                session.due.push_back(number);
            } else if is_live {
                session.fleeting.push_back((number, session.log.last().copied()));
            }
        }
        self.emissions.push(Emission {
            sort,
            event: event.clone(),
            seq,
            offset: self.spaces[to.space].offset(seq),
            at: now,
            wire_len,
            has_ack,
            is_awaited: has_ack,
        });
        live
    }

    /// Writes down an emission that asks for an acknowledgement, if it was made.
    pub fn emit_asking(
        &mut self,
        now: Timestamp,
        to: &Target,
        event: &Event,
        sort: Sort,
        is_made: bool,
    ) {
        if is_made {
            self.emit(now, to, event, sort, true);
        }
    }

    /// What may become of a claim now.
    pub fn expect(
        &self,
        now: Timestamp,
        connection: ConnectionId,
        space: usize,
        claim: &Claim,
    ) -> Expected {
        let refused = |refusal| Expected { refusals: vec![refusal], ..Expected::default() };
        let key = claim.pid.as_ref().and_then(|pid| self.keys.get(pid));
        let Some((key, session)) = key.and_then(|key| Some((*key, self.sessions.get(key)?))) else {
            return refused(RecoveryRefusal::Unknown);
        };
        match session.place {
            // It was ended a moment ago by this very request, or earlier.
            Place::Ended if session.replaced_on == Some(connection) => {}
            // A claim is looked up when it arrives; the session may have ended since.
            Place::Ended => {
                let mut expected = refused(RecoveryRefusal::Unknown);
                expected.refusals.extend(session.has_timed_out.then_some(RecoveryRefusal::Expired));
                let is_elsewhere = session.space != space;
                expected.refusals.extend(is_elsewhere.then_some(RecoveryRefusal::OtherNamespace));
                return expected;
            }
            _ if session.space != space => return refused(RecoveryRefusal::OtherNamespace),
            Place::Live(_) | Place::Parked { .. } => {}
        }
        // It continues if it was claimed in time.
        let is_late = matches!(session.place, Place::Parked { expires } if expires <= now);
        let space = &self.spaces[space];
        let has_made_room = session.place == Place::Ended;
        let Some(position) = space.position(session.floor, claim.offset.as_deref()) else {
            let mut expected = refused(RecoveryRefusal::InvalidOffset);
            expected.refusals.extend(has_made_room.then_some(RecoveryRefusal::Unknown));
            expected.refusals.extend(is_late.then_some(RecoveryRefusal::Expired));
            return expected;
        };
        let missed = session.log.iter().copied();
        let is_replayed = |number: &Number| {
            let emission = &self.emissions[*number];
            emission.seq > position && (!emission.has_ack || emission.is_awaited)
        };
        let missed: Vec<Number> = missed.filter(is_replayed).collect();
        let is_gone = |number: &Number| self.emissions[*number].seq <= space.evicted();
        let may_be_gone = |number: &Number| {
            let emission = &self.emissions[*number];
            space.may_be_gone(now, &self.rules, emission.at, emission.seq)
        };
        let mut expected = Expected { session: Some(key), ..Expected::default() };
        expected.refusals.extend(is_late.then_some(RecoveryRefusal::Expired));
        if session.recovered > claim.made_after {
            // The claim may be older than the one that has got the session.
            expected.refusals.push(RecoveryRefusal::Superseded);
        }
        if session.moves > self.rules.recovery.memberships {
            expected.refusals.extend([RecoveryRefusal::Gap, RecoveryRefusal::Limit]);
        } else if missed.iter().any(|number| is_gone(number) || may_be_gone(number)) {
            expected.refusals.push(RecoveryRefusal::Gap);
        }
        let is_lost = missed.iter().any(is_gone);
        let replay = missed;
        let bytes: usize = replay.iter().map(|number| self.emissions[*number].wire_len).sum();
        let is_too_much = bytes > self.rules.recovery.replay_bytes;
        if is_too_much {
            expected.refusals.push(RecoveryRefusal::Limit);
        }
        // Whether the client will process what it was sent there, nobody knows.
        let is_on = session.place == Place::Live(connection);
        let is_open = (is_on || session.left_open == Some(connection)) && !replay.is_empty();
        if is_open {
            expected.refusals.push(RecoveryRefusal::SameConnection);
        }
        if has_made_room {
            expected.refusals.extend([RecoveryRefusal::SameConnection, RecoveryRefusal::Unknown]);
            // It was judged while answers were still awaited that its end has given up.
            let was_gone = session.log.iter().any(|number| {
                self.emissions[*number].seq > position && (is_gone(number) || may_be_gone(number))
            });
            expected.refusals.extend(was_gone.then_some(RecoveryRefusal::Gap));
        }
        let is_possible = !is_lost && !is_too_much && !has_made_room;
        expected.replay = is_possible.then_some(replay);
        expected
    }

    /// Holds what has become of a claim against what may.
    pub fn judge(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        (key, space): (SocketKey, usize),
        claim: &Claim,
        outcome: RecoveryOutcome,
        is_latest: bool,
    ) {
        if claim.pid.is_none() {
            assert_eq!(outcome, RecoveryOutcome::New, "nothing was claimed");
            return;
        }
        let expected = self.expect(now, connection, space, claim);
        match outcome {
            RecoveryOutcome::New | RecoveryOutcome::BestEffort { .. } => {
                panic!("{outcome:?} for {claim:?}")
            }
            RecoveryOutcome::Refused(refusal) => assert!(
                expected.refusals.contains(&refusal),
                "refused ({refusal:?}), but {expected:?} for {claim:?}"
            ),
            RecoveryOutcome::Recovered { replayed } => {
                let Some(replay) = expected.replay else {
                    panic!("recovered, but {expected:?} for {claim:?}");
                };
                assert_eq!(expected.session, Some(key), "another session");
                self.recoveries += 1;
                self.sessions.get_mut(&key).unwrap().recovered = self.recoveries;
                assert_eq!(replayed, replay.len(), "{claim:?} missed {replay:?}");
                // A claim that the client has made another one after is from a link that it does
                // not listen to any more.
                if is_latest {
                    self.resume(key, replay);
                }
            }
        }
    }

    /// What is replayed must be the end of what the client has not got, and what stands before it
    /// must have reached the client already: else the client misses it when it gets the next one.
    fn resume(&mut self, key: SocketKey, replay: Vec<Number>) {
        let emissions = &self.emissions;
        let is_plain = |number: &Number| emissions[*number].sort == Sort::Logged;
        let session = self.sessions.get_mut(&key).unwrap();
        let due: Vec<Number> = session.due.iter().copied().filter(is_plain).collect();
        let replayed: Vec<Number> = replay.iter().copied().filter(is_plain).collect();
        assert!(
            due.ends_with(&replayed),
            "{replayed:?} are replayed to a client that has not got {due:?}"
        );
        let mut taken = due.len() - replayed.len();
        let mut before = VecDeque::new();
        for number in session.due.drain(..) {
            if taken == 0 {
                break;
            }
            taken -= usize::from(is_plain(&number));
            before.push_back(number);
        }
        before.extend(replay);
        session.due = before;
    }

    /// A client has got an event: it must be the next one.
    pub fn receive(&mut self, key: SocketKey, number: Number, event: &Event) {
        let session = self.sessions.get_mut(&key).unwrap();
        let Some(emission) = self.emissions.get(number) else {
            panic!("nobody emitted {event:?}");
        };
        if emission.sort == Sort::Fleeting {
            let mut fleeting = std::iter::from_fn(|| session.fleeting.pop_front());
            let found = fleeting.find(|(other, _)| *other >= number);
            let Some((found, after)) = found.filter(|(found, _)| *found == number) else {
                panic!("{event:?} is a duplicate, late, or meant for others");
            };
            let next = session.due.front();
            assert!(next.is_none_or(|next| Some(*next) > after), "{found} came before {next:?}");
        } else {
            let next = session.due.pop_front();
            assert_eq!(Some(number), next, "got {event:?}, to come are {next:?} {:?}", session.due);
        }
        assert!(
            emission.is_intact(event),
            "{event:?} was emitted as {:?} at {}",
            emission.event,
            emission.seq
        );
    }

    /// This many packets were evicted from a log to make room for the last emit.
    pub fn evict(&mut self, now: Timestamp, space: usize, count: usize) {
        self.spaces[space].evict(now, &self.rules, count);
    }

    /// Whether a namespace has no sessions, not even parked ones. If it is dynamic, it is gone, or
    /// it waits for a client to be accepted.
    pub fn is_deserted(&self, space: usize) -> bool {
        self.sessions.values().all(|it| it.space != space || it.place == Place::Ended)
    }

    /// Packets and bytes in the logs, at least and at the most.
    pub fn held(&self, now: Timestamp, dynamic: Option<usize>) -> [(usize, usize); 2] {
        let mut bounds = [(0, 0); 2];
        for (index, space) in self.spaces.iter().enumerate() {
            let [mut least, most] = space.held(now, &self.rules);
            if dynamic == Some(index) && self.is_deserted(index) {
                least = (0, 0);
            }
            for (sum, bound) in bounds.iter_mut().zip([least, most]) {
                *sum = (sum.0 + bound.0, sum.1 + bound.1);
            }
        }
        bounds
    }
}

impl Session {
    fn is_in_target(&self, key: SocketKey, to: &Target) -> bool {
        let is_meant = match to.only {
            Some(only) => only == key,
            None => {
                (to.rooms == 0 && to.own.is_empty())
                    || self.rooms & to.rooms != 0
                    || to.own.iter().any(|it| self.is_in_own(key, *it))
            }
        };
        self.space == to.space && self.place != Place::Ended && is_meant
    }

    /// Whether it is in the room that is named after the id of a session, maybe itself.
    fn is_in_own(&self, key: SocketKey, named: SocketKey) -> bool {
        named == key || self.owns.contains(&named)
    }

    /// Its own room included.
    pub fn room_count(&self) -> usize {
        1 + self.rooms.count_ones() as usize + self.owns.len()
    }

    /// Somebody else is in the room of its name.
    pub fn share_own(&mut self) {
        self.moves += usize::from(!std::mem::replace(&mut self.is_shared, true));
    }

    pub fn set_own(&mut self, other: SocketKey, is_in: bool) {
        let is_change = if is_in { self.owns.insert(other) } else { self.owns.remove(&other) };
        self.moves += usize::from(is_change);
    }

    /// Joins or leaves a room. Returns whether that is a change.
    pub fn set_room(&mut self, room: usize, is_in: bool) -> bool {
        let bit = 1 << room;
        let is_change = (self.rooms & bit != 0) != is_in;
        if is_change {
            self.rooms ^= bit;
            self.moves += 1;
        }
        is_change
    }
}

impl Emission {
    /// Whether a client got it as it was emitted, with the offset where one belongs.
    fn is_intact(&self, got: &Event) -> bool {
        let emitted = self.event.json();
        if got.attachments() != self.event.attachments() {
            return false;
        }
        let ends_with_string = emitted.ends_with("\"]");
        let has_offset = !self.has_ack && (self.sort == Sort::Logged || ends_with_string);
        if !has_offset {
            return got.json() == emitted;
        }
        let open = &emitted[..emitted.len() - 1];
        let Some(rest) = got.json().strip_prefix(open) else {
            return false;
        };
        let offset = rest.strip_prefix(",\"").and_then(|rest| rest.strip_suffix("\"]"));
        offset.and_then(|offset| offset.parse().ok()) == Some(self.offset)
    }
}
