//! The log of one namespace: the emitted packets and their addressees, until eviction.

mod eras;
mod questions;
mod snapshot;

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::{mem, time::Duration};

use smallvec::SmallVec;

pub(crate) use self::snapshot::{LogContext, LogSnapshot};
use self::{eras::Eras, questions::Questions};
use super::{
    addressees::Addressees,
    entry::{Blocks, Entry, Extra},
    offset::Offset,
    room::{Excepted, RoomId, RoomTrack, Tracks},
};
use crate::{config::ServerConfig, shrink::Shrink as _, socket::Encoded, time::Timestamp};

/// Packets in the order in which they were emitted. The log is indexed by room, and bounded by age,
/// count and bytes.
///
/// Sequences start at 1 and have no gaps; 0 means "before the first packet". Appending takes
/// amortised O(1). Finding the packets of a room after a position takes O(log n + packets found).
#[derive(Debug)]
pub(crate) struct RecoveryBuffer {
    eras: Eras,
    bounds: Bounds,
    entries: VecDeque<Entry>,
    /// The parts that only a few packets have, by sequence.
    extras: BTreeMap<u64, Extra>,
    batches: VecDeque<Batch>,
    /// Positions after which no packet expires, each with the number of its holds.
    holds: BTreeMap<u64, u32>,
    blocks: Blocks,
    /// The number of packets evicted so far, which is also the sequence of the latest evicted
    /// packet.
    evicted: u64,
    /// How many of them were evicted to make room for others.
    made_room: u64,
    bytes: usize,
    tracks: Tracks,
    /// Packets that ask for an acknowledgement. The tracks do not contain them.
    questions: Questions,
    released: Vec<RoomId>,
}

#[derive(Debug)]
struct Bounds {
    packets: usize,
    bytes: usize,
    age: Duration,
}

/// Packets that were emitted within [`EXPIRY_BATCH`] expire together. So a busy log needs neither a
/// timer nor a timestamp for each packet.
#[derive(Debug)]
struct Batch {
    from: Timestamp,
    /// The sequence of the last packet.
    last: u64,
}

/// Overhead of an entry in bytes. It counts against the bound on bytes.
const ENTRY_BYTES: usize = size_of::<Entry>() + size_of::<u32>();

/// The log is shorter than this, so the low half of a sequence identifies a packet in it.
const PACKETS_MAX: usize = u32::MAX as usize - 1;

const EXPIRY_BATCH: Duration = Duration::from_secs(1);

impl RecoveryBuffer {
    /// Without a recovery configuration, the log stores nothing.
    pub(crate) fn new(config: &ServerConfig, epoch: u64) -> Self {
        let bounds = config.recovery.as_ref().map_or(
            Bounds { packets: 0, bytes: 0, age: Duration::ZERO },
            |recovery| Bounds {
                packets: recovery.buffer_packets.min(PACKETS_MAX),
                bytes: recovery.buffer_bytes,
                // A half-open link is detected only after this time, and the packets sent on it
                // must be replayed.
                age: recovery
                    .max_disconnection
                    .saturating_add(config.ping_interval)
                    .saturating_add(config.ping_timeout),
            },
        );
        Self {
            eras: Eras::new(epoch),
            bounds,
            entries: VecDeque::new(),
            extras: BTreeMap::new(),
            batches: VecDeque::new(),
            holds: BTreeMap::new(),
            blocks: Blocks::default(),
            evicted: 0,
            made_room: 0,
            bytes: 0,
            tracks: Tracks::default(),
            questions: Questions::default(),
            released: Vec::new(),
        }
    }

    /// Assigns the next position to a packet and stores it. Only this function assigns positions: a
    /// cluster would pass the position from its stream instead.
    pub(crate) fn append(
        &mut self,
        now: Timestamp,
        to: &Addressees,
        ack: Option<u64>,
        encode: impl FnOnce(Offset) -> Encoded,
    ) -> Encoded {
        let sequence = self.head().saturating_add(1);
        let packet = encode(Offset::new(self.eras.epoch(), sequence));
        let packet = self.push(now, to, ack, packet);
        if let (Some(id), Some(room)) = (ack, to.targets.first()) {
            self.questions.insert(id, *room, sequence);
        }
        self.enforce_bounds();
        packet
    }

    /// The acknowledgement with this id is not awaited any more. The packet that asks for it is not
    /// replayed, and does not count as missed if it was evicted.
    pub(crate) fn settle_question(&mut self, id: u64) {
        self.questions.remove(id);
    }

    /// Sequences of the packets for `room` after `position` that ask for an acknowledgement which
    /// is still awaited, ascending. The packets may have left the log.
    pub(crate) fn questions(&self, room: RoomId, position: u64) -> impl Iterator<Item = u64> {
        self.questions.after(room, position)
    }

    /// Evicts the oldest packets while the log exceeds its bounds on count and bytes.
    pub(crate) fn enforce_bounds(&mut self) {
        while self.entries.len() > self.bounds.packets || self.bytes > self.bounds.bytes {
            self.evict();
            self.made_room = self.made_room.wrapping_add(1);
        }
    }

    /// Lets no packet after `position` expire until each hold is released. The bounds on count and
    /// bytes still apply.
    pub(crate) fn hold(&mut self, position: u64) {
        let count = self.holds.entry(position).or_default();
        *count = count.saturating_add(1);
    }

    /// See [`RecoveryBuffer::hold`].
    pub(crate) fn release_hold(&mut self, position: u64) {
        if let Some(count) = self.holds.get_mut(&position) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.holds.remove(&position);
            }
        }
    }

    /// Evicts the packets that are too old for any session to ask for.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some(batch) = self.batches.front()
            && self.expiry(batch) <= now
        {
            let last = batch.last;
            while self.evicted < last {
                self.evict();
            }
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
            self.batches = VecDeque::new();
            self.blocks.clear();
        }
    }

    /// When [`RecoveryBuffer::expire`] must be called.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.batches.front().map_or(Timestamp::NEVER, |batch| self.expiry(batch))
    }

    /// The sequence of an offset, if this log assigned it.
    pub(crate) fn sequence_of(&self, offset: Offset) -> Option<u64> {
        let sequence = offset.sequence();
        let is_ours = sequence <= self.head() && self.eras.epoch_at(sequence) == offset.epoch();
        is_ours.then_some(sequence)
    }

    /// Whether this log assigned an offset before the current epoch began. The position itself may
    /// be unknown: an earlier process may have assigned more positions than its snapshot contains.
    pub(crate) fn is_of_past_epoch(&self, offset: Offset) -> bool {
        self.eras.is_past(offset.epoch())
    }

    /// The sequence of the latest packet.
    pub(crate) fn head(&self) -> u64 {
        self.evicted.saturating_add(self.entries.len() as u64)
    }

    /// The position of the latest packet.
    pub(crate) fn head_offset(&self) -> Offset {
        let head = self.head();
        Offset::new(self.eras.epoch_at(head), head)
    }

    /// The number of packets that were evicted before they were too old.
    pub(crate) fn made_room(&self) -> u64 {
        self.made_room
    }

    /// The sequence of the latest evicted packet. All packets before it are evicted, too.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The packet at `sequence`, if it is still in the log.
    pub(crate) fn get(&self, sequence: u64) -> Option<Encoded> {
        let (entry, extra) = self.entry(sequence)?;
        Some(entry.packet(extra).0)
    }

    /// The size of the packet at `sequence` on the wire in bytes; 0 if it was evicted.
    pub(crate) fn wire_len(&self, sequence: u64) -> usize {
        self.entry(sequence).map_or(0, |(entry, extra)| entry.wire_len(extra))
    }

    /// The target rooms of the packet at `sequence`; none if it asks for an acknowledgement.
    pub(crate) fn targets(&self, sequence: u64) -> &[RoomId] {
        let entry = self.entry(sequence).filter(|(_, extra)| !extra.is_some_and(Extra::asks));
        entry.map_or(&[], |(entry, extra)| entry.targets(extra))
    }

    /// The rooms that the packet at `sequence` was withheld from.
    pub(crate) fn except(&self, sequence: u64) -> &[RoomId] {
        self.entry(sequence).map_or(&[], |(entry, extra)| entry.except(extra))
    }

    /// Sequences of the packets in the log for `room` within `(after, up_to]`, ascending.
    pub(crate) fn held(
        &self,
        room: RoomId,
        after: u64,
        up_to: u64,
    ) -> impl DoubleEndedIterator<Item = u64> {
        let track = self.tracks.get(room);
        track.map(|track| track.held(self.evicted, after, up_to)).into_iter().flatten()
    }

    /// How many packets [`RecoveryBuffer::held`] finds.
    pub(crate) fn held_len(&self, room: RoomId, after: u64, up_to: u64) -> usize {
        self.tracks.get(room).map_or(0, |track| track.held_len(self.evicted, after, up_to))
    }

    /// The latest evicted packet of `room` that was not withheld from a session whose rooms are
    /// those for which `is_in` returns true; 0 if there is none.
    pub(crate) fn last_evicted(&self, room: RoomId, is_in: impl Fn(RoomId) -> bool) -> u64 {
        self.tracks.get(room).map_or(0, |track| track.last_evicted(is_in))
    }

    /// Whether there is such a packet after `after`.
    pub(crate) fn has_evicted_after(
        &self,
        room: RoomId,
        after: u64,
        is_in: impl Fn(RoomId) -> bool,
    ) -> bool {
        self.tracks.get(room).is_some_and(|track| track.has_evicted_after(after, is_in))
    }

    /// Whether a packet in the log names `room`.
    pub(crate) fn refers_to(&self, room: RoomId) -> bool {
        self.tracks.get(room).is_some_and(|track| track.references > 0)
    }

    /// A session joins `room`.
    pub(crate) fn occupy(&mut self, room: RoomId) {
        if let Some(track) = self.tracks.get_mut(room) {
            track.is_vacant = false;
        }
    }

    /// No session is in `room` any more, or was in it at any position that is still in the log. So
    /// evictions from it, and exceptions for it, no longer concern any session.
    pub(crate) fn vacate(&mut self, room: RoomId) {
        let Some(track) = self.tracks.get_mut(room) else { return };
        track.is_vacant = true;
        let named_by = mem::take(&mut track.named_by);
        let classes: SmallVec<[Excepted; 2]> = track.take_classes().collect();
        for target in named_by {
            self.track(target).disregard(room);
        }
        for except in classes.iter().flatten() {
            self.track(*except).named_by.remove(&room);
        }
    }

    /// Forgets everything about `room`, whose id will be reused for another room.
    pub(crate) fn remove_room(&mut self, room: RoomId) {
        debug_assert!(!self.refers_to(room), "a room that is referred to keeps its id");
        self.tracks.remove(room);
    }

    /// Rooms that the log has stopped referring to since the last call.
    pub(crate) fn take_released(&mut self) -> Vec<RoomId> {
        mem::take(&mut self.released)
    }

    /// Stores a packet at the next position. Returns it with its text in the log's memory.
    fn push(
        &mut self,
        now: Timestamp,
        to: &Addressees,
        ack: Option<u64>,
        packet: Encoded,
    ) -> Encoded {
        let sequence = self.head().saturating_add(1);
        let (text, attachments) = packet.into_parts();
        let text = self.blocks.place(text, self.bytes);
        let packet = Encoded::from_parts(text.clone(), attachments.clone());
        if ack.is_none() {
            for room in &to.targets {
                self.track(*room).append(sequence);
            }
        }
        for room in to.targets.iter().chain(&to.except) {
            self.retain(*room);
        }
        let (entry, extra) = Entry::new(text, attachments, to, ack);
        self.bytes = self.bytes.saturating_add(cost(&entry, extra.as_ref()));
        self.entries.push_back(entry);
        if let Some(extra) = extra {
            self.extras.insert(sequence, extra);
        }
        self.enter_batch(now, sequence);
        packet
    }

    fn evict(&mut self) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.entries.shrink_if_sparse();
        self.evicted = self.evicted.saturating_add(1);
        let sequence = self.evicted;
        let extra = if entry.has_extra() { self.extras.remove(&sequence) } else { None };
        let extra = extra.as_ref();
        self.bytes = self.bytes.saturating_sub(cost(&entry, extra));
        self.batches.pop_front_if(|batch| batch.last <= sequence);
        if extra.is_some_and(Extra::asks) {
            self.release(&entry.rooms(extra));
            return;
        }
        let except = entry.except(extra).iter().copied();
        let except: Excepted = except.filter(|room| !self.track(*room).is_vacant).collect();
        for target in entry.targets(extra) {
            let forgotten = self.track(*target).evict(sequence, &except);
            for room in &except {
                if self.track(*target).names(*room) {
                    self.track(*room).named_by.insert(*target);
                }
            }
            for room in forgotten {
                if !self.track(*target).names(room) {
                    self.track(room).named_by.remove(target);
                }
            }
        }
        self.release(&entry.rooms(extra));
    }

    fn enter_batch(&mut self, now: Timestamp, sequence: u64) {
        let present = self.batches.back_mut();
        match present.filter(|batch| now.saturating_since(batch.from) < EXPIRY_BATCH) {
            Some(batch) => batch.last = sequence,
            None => self.batches.push_back(Batch { from: now, last: sequence }),
        }
    }

    /// When the last packet that the batch can contain is too old.
    fn expiry(&self, batch: &Batch) -> Timestamp {
        let held = self.holds.first_key_value();
        if held.is_some_and(|(position, _)| *position < batch.last) {
            return Timestamp::NEVER;
        }
        batch.from.saturating_add(self.bounds.age).saturating_add(EXPIRY_BATCH)
    }

    fn entry(&self, sequence: u64) -> Option<(&Entry, Option<&Extra>)> {
        let index = sequence.checked_sub(self.evicted)?.checked_sub(1)?;
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        Some((entry, if entry.has_extra() { self.extras.get(&sequence) } else { None }))
    }

    fn track(&mut self, room: RoomId) -> &mut RoomTrack {
        self.tracks.get_or_create(room)
    }

    fn retain(&mut self, room: RoomId) {
        let track = self.track(room);
        track.references = track.references.saturating_add(1);
    }

    fn release(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            let track = self.track(*room);
            track.references = track.references.saturating_sub(1);
            if track.references == 0 && *room != RoomId::ALL {
                self.released.push(*room);
            }
        }
    }
}

fn cost(entry: &Entry, extra: Option<&Extra>) -> usize {
    let extra_bytes = extra.map_or(0, |_| size_of::<Extra>());
    entry.wire_len(extra).saturating_add(ENTRY_BYTES).saturating_add(extra_bytes)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::{
        config::RecoveryConfig,
        socket::{Event, NamespaceName},
    };

    use crate::recovery::room::CLASSES_MAX;

    const ROOM: RoomId = RoomId(1);
    const OTHER: RoomId = RoomId(2);

    fn log(packets: usize) -> RecoveryBuffer {
        let recovery = RecoveryConfig { buffer_packets: packets, ..RecoveryConfig::default() };
        RecoveryBuffer::new(&ServerConfig::new().recovery(recovery), 7)
    }

    fn append(log: &mut RecoveryBuffer, targets: &[RoomId], except: &[RoomId]) {
        let to = Addressees { targets: targets.into(), except: except.into() };
        log.append(Timestamp::ZERO, &to, None, |offset| {
            let event = Event::new("m", &()).unwrap();
            Encoded::event(&NamespaceName::ROOT, &event, None, Some(&offset.to_string()))
        });
    }

    #[test]
    fn an_eviction_is_remembered_by_room_and_exception() {
        let mut log = log(2);
        append(&mut log, &[ROOM], &[OTHER]);
        append(&mut log, &[ROOM], &[]);
        append(&mut log, &[OTHER], &[]);
        assert_eq!(log.last_evicted(ROOM, |_| false), 1);
        assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 0, "it was excepted");
        append(&mut log, &[OTHER], &[]);
        assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 2);
        assert_eq!(log.last_evicted(OTHER, |_| false), 0);
        assert_eq!(log.held(OTHER, 0, u64::MAX).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn exceptions_beyond_the_limit_count_as_none() {
        let mut log = log(1);
        for room in 10..100 {
            append(&mut log, &[ROOM], &[RoomId(room)]);
        }
        let evicted = log.evicted();
        assert_eq!(evicted, 89);
        // The latest sets are distinguished, the oldest are not.
        assert_eq!(log.last_evicted(ROOM, |room| room == RoomId(98)), evicted - 1);
        assert_eq!(log.last_evicted(ROOM, |room| (68..=98).contains(&room.0)), 58);
        let all = log.last_evicted(ROOM, |room| room.0 >= 10);
        assert!((1..=evicted - 32).contains(&all), "conservative, never too low: {all}");
    }

    /// Each sender in a room, together with the room of muted sockets, is a different set.
    #[test]
    fn a_room_that_all_sets_have_in_common_is_excepted_however_many_there_are() {
        const MUTED: RoomId = RoomId(3);
        let mut log = log(1);
        append(&mut log, &[ROOM], &[]);
        for sender in 10..1_000 {
            append(&mut log, &[ROOM], &[MUTED, RoomId(sender)]);
        }
        append(&mut log, &[OTHER], &[]);
        let evicted = log.evicted();
        assert_eq!(log.last_evicted(ROOM, |room| room == MUTED), 1);
        assert_eq!(log.last_evicted(ROOM, |room| room == RoomId(999)), evicted - 1);
        assert_eq!(log.last_evicted(ROOM, |room| room.0 >= 999 - 31), evicted - 32);
        assert_eq!(log.last_evicted(ROOM, |_| false), evicted);
        append(&mut log, &[ROOM], &[MUTED]);
        append(&mut log, &[ROOM], &[]);
        let track = log.tracks.get(ROOM).unwrap();
        assert_eq!(track.classes().count(), 1, "one set that covers all others");
        assert!(log.tracks.get(RoomId(500)).is_none_or(|track| track.named_by.is_empty()));
    }

    /// After sets were narrowed, no answer is too early. The answer is exact for each session that
    /// got one of the packets with the latest sets.
    #[test]
    fn answers_are_never_too_early_and_mostly_exact() {
        let mut random = 1_u32;
        let mut draw = move |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        let (mut exact, mut late) = (0, 0);
        for _ in 0..20 {
            let mut log = log(1);
            let mut packets: Vec<Vec<RoomId>> = Vec::new();
            for _ in 0..400 {
                let count = draw(4);
                let mut except: Vec<RoomId> = (0..count).map(|_| RoomId(10 + draw(60))).collect();
                except.sort_unstable();
                except.dedup();
                append(&mut log, &[ROOM], &except);
                packets.push(except);
                let joined: Vec<RoomId> = (0..draw(50)).map(|_| RoomId(10 + draw(60))).collect();
                let is_in = |room: RoomId| joined.contains(&room);
                let evicted = packets.get(..packets.len() - 1).unwrap_or_default();
                let is_addressed = |set: &Vec<RoomId>| !set.iter().any(|room| is_in(*room));
                let truth = evicted.iter().rposition(is_addressed).map_or(0, |at| at as u64 + 1);
                let told = log.last_evicted(ROOM, is_in);
                assert!(told >= truth, "{told} before {truth}");
                let latest = evicted.len().saturating_sub(32) as u64;
                assert!(truth <= latest || told == truth, "{told} is not {truth}");
                if told == truth { exact += 1 } else { late += 1 }
            }
            let sets = log.tracks.get(ROOM).map_or(0, |track| track.classes().count());
            assert!(sets <= CLASSES_MAX);
        }
        assert!(exact > 100 * late, "{late} of {exact}");
    }

    #[test]
    fn what_is_held_does_not_get_too_old() {
        let mut log = log(2);
        append(&mut log, &[ROOM], &[]);
        append(&mut log, &[ROOM], &[]);
        let due = log.deadline();
        log.hold(1);
        log.hold(1);
        log.release_hold(1);
        assert_eq!(log.deadline(), Timestamp::NEVER);
        log.expire(due);
        assert_eq!(log.len(), 2, "they expire together, and one of them is held");
        append(&mut log, &[ROOM], &[]);
        assert_eq!(log.len(), 2, "the bound on the count goes on");
        log.release_hold(1);
        assert_eq!(log.deadline(), due);
        log.expire(due);
        assert_eq!(log.len(), 0);
    }

    #[test]
    fn evictions_from_a_room_that_nobody_was_in_concern_nobody() {
        let mut log = log(2);
        append(&mut log, &[ROOM], &[OTHER]);
        append(&mut log, &[ROOM], &[]);
        log.vacate(ROOM);
        append(&mut log, &[RoomId::ALL], &[]);
        append(&mut log, &[RoomId::ALL], &[]);
        assert_eq!(log.evicted(), 2);
        assert_eq!(log.last_evicted(ROOM, |_| false), 0);
        assert!(!log.refers_to(ROOM) && !log.refers_to(OTHER));
        assert_eq!(log.take_released(), [OTHER, ROOM]);
        log.remove_room(ROOM);
    }

    #[test]
    fn an_exception_for_a_room_that_nobody_was_in_is_none() {
        let mut log = log(1);
        append(&mut log, &[ROOM], &[OTHER]);
        append(&mut log, &[ROOM], &[OTHER]);
        append(&mut log, &[ROOM], &[OTHER]);
        assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 0);
        log.vacate(OTHER);
        assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 2, "its id may name another room");
        append(&mut log, &[ROOM], &[]);
        assert_eq!(log.last_evicted(ROOM, |room| room == OTHER), 3);
    }
}
