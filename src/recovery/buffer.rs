//! The log of one namespace: the emitted packets and their addressees, until eviction.

#[cfg(test)]
mod audit;
mod epochs;
mod given;
#[cfg(test)]
mod model;
mod offsets;
mod positions;
mod questions;
mod resolution;
mod snapshot;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use self::{epochs::Epochs, given::Given, positions::Positions, questions::Questions};
pub(crate) use self::{
    given::OutOfOrder,
    resolution::Resolution,
    snapshot::{LogContext, LogSnapshot},
};
use super::{
    addressees::Addressees,
    entry::{Entry, Extra},
    offset::Offset,
    room::RoomId,
    rooms::Rooms,
    texts::Texts,
};
use crate::{config::ServerConfig, shrink::Shrink as _, socket::Encoded, time::Timestamp};

/// Packets in the order in which they were emitted. The log is indexed by room, and bounded by age,
/// count and bytes.
///
/// Sequences start at 1 and have no gaps; 0 means "before the first packet". Each packet also has a
/// position, which is what clients know; see [`Positions`]. Appending takes
/// amortised O(1). Finding the packets of a room after a position takes O(log n + packets found).
#[derive(Debug)]
pub(crate) struct RecoveryBuffer {
    positions: Positions,
    bounds: Bounds,
    entries: VecDeque<Entry>,
    /// The parts that only a few packets have, by sequence.
    extras: BTreeMap<u64, Extra>,
    batches: VecDeque<Batch>,
    /// Positions after which no packet expires, each with the number of its holds.
    holds: BTreeMap<u64, u32>,
    texts: Texts,
    /// The number of packets evicted so far, which is also the sequence of the latest evicted
    /// packet.
    evicted: u64,
    /// How many of them were evicted to make room for others.
    made_room: u64,
    bytes: usize,
    rooms: Rooms,
    /// Packets that ask for an acknowledgement. They are not found by their rooms.
    questions: Questions,
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
    /// A log that assigns its positions itself. Without a recovery configuration, it stores
    /// nothing.
    pub(crate) fn new(config: &ServerConfig, epoch: u64) -> Self {
        Self::with_positions(config, Positions::Assigned(Epochs::new(epoch)))
    }

    /// A log of the packets of a stream after `origin`, each of which comes with its position.
    pub(crate) fn following(config: &ServerConfig, origin: Offset) -> Self {
        Self::with_positions(config, Positions::Given(Given::new(origin)))
    }

    fn with_positions(config: &ServerConfig, positions: Positions) -> Self {
        let bounds = config.recovery.as_ref().map_or(
            Bounds { packets: 0, bytes: 0, age: Duration::ZERO },
            |recovery| Bounds {
                packets: recovery.buffer_packets.min(PACKETS_MAX),
                bytes: recovery.buffer_bytes,
                age: config.log_age(),
            },
        );
        Self {
            positions,
            bounds,
            entries: VecDeque::new(),
            extras: BTreeMap::new(),
            batches: VecDeque::new(),
            holds: BTreeMap::new(),
            texts: Texts::default(),
            evicted: 0,
            made_room: 0,
            bytes: 0,
            rooms: Rooms::default(),
            questions: Questions::default(),
        }
    }

    /// Assigns the next position to a packet and stores it. Only this function assigns positions.
    pub(crate) fn append(
        &mut self,
        now: Timestamp,
        to: &Addressees,
        ack: Option<u64>,
        encode: impl FnOnce(Offset) -> Encoded,
    ) -> Encoded {
        let position = self.positions.next(self.head().saturating_add(1));
        self.store(now, position, to, ack, encode)
    }

    fn store(
        &mut self,
        now: Timestamp,
        position: Offset,
        to: &Addressees,
        ack: Option<u64>,
        encode: impl FnOnce(Offset) -> Encoded,
    ) -> Encoded {
        let sequence = self.head().saturating_add(1);
        let packet = encode(position);
        self.positions.append(position);
        self.push(now, to, ack, &packet);
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
            self.texts.clear();
        }
    }

    /// When [`RecoveryBuffer::expire`] must be called.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.batches.front().map_or(Timestamp::NEVER, |batch| self.expiry(batch))
    }

    /// The sequence of the latest packet.
    pub(crate) fn head(&self) -> u64 {
        self.evicted.saturating_add(self.entries.len() as u64)
    }

    /// The number of packets that were evicted before they were too old.
    pub(crate) fn made_room(&self) -> u64 {
        self.made_room
    }

    /// The sequence of the latest evicted packet. All packets before it are evicted, too.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The rooms that packets can be logged for.
    pub(crate) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// The rooms, to change who is in them.
    pub(crate) fn rooms_mut(&mut self) -> &mut Rooms {
        &mut self.rooms
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
        Some(entry.packet(extra, &self.texts))
    }

    /// The size of the packet at `sequence` on the wire in bytes; 0 if it was evicted.
    pub(crate) fn wire_len(&self, sequence: u64) -> usize {
        self.entry(sequence).map_or(0, |(entry, extra)| entry.wire_len(extra, &self.texts))
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
        let log = self.rooms.log(room);
        log.map(|log| log.held(self.evicted, after, up_to)).into_iter().flatten()
    }

    /// How many packets [`RecoveryBuffer::held`] finds.
    pub(crate) fn held_len(&self, room: RoomId, after: u64, up_to: u64) -> usize {
        self.rooms.log(room).map_or(0, |log| log.held_len(self.evicted, after, up_to))
    }

    /// The latest packet for `room` that is known, in the log or evicted; 0 if there is none.
    pub(crate) fn last(&self, room: RoomId) -> u64 {
        let held = self.held(room, 0, u64::MAX).next_back();
        held.unwrap_or_else(|| self.last_evicted(room, |_| false))
    }

    /// The latest evicted packet of `room` that was not withheld from a session whose rooms are
    /// those for which `is_in` returns true; 0 if there is none.
    pub(crate) fn last_evicted(&self, room: RoomId, is_in: impl Fn(RoomId) -> bool) -> u64 {
        self.rooms.log(room).map_or(0, |log| log.evictions.last(is_in))
    }

    /// Whether there is such a packet after `after`.
    pub(crate) fn has_evicted_after(
        &self,
        room: RoomId,
        after: u64,
        is_in: impl Fn(RoomId) -> bool,
    ) -> bool {
        self.rooms.log(room).is_some_and(|log| log.evictions.has_after(after, is_in))
    }

    /// Stores a packet at the next position.
    fn push(&mut self, now: Timestamp, to: &Addressees, ack: Option<u64>, packet: &Encoded) {
        let sequence = self.head().saturating_add(1);
        let (text, attachments) = packet.parts();
        let text = self.texts.push(text, self.bytes);
        self.rooms.append(sequence, to, ack.is_some());
        let (entry, extra) = Entry::new(text, attachments.clone(), to, ack);
        self.bytes = self.bytes.saturating_add(self.cost(&entry, extra.as_ref()));
        self.entries.push_back(entry);
        if let Some(extra) = extra {
            self.extras.insert(sequence, extra);
        }
        self.enter_batch(now, sequence);
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
        self.bytes = self.bytes.saturating_sub(self.cost(&entry, extra));
        self.texts.evict(self.entries.front().map(Entry::text));
        self.positions.evict(sequence);
        if self.batches.front().is_some_and(|batch| batch.last <= sequence) {
            self.batches.pop_front();
        }
        let asks = extra.is_some_and(Extra::asks);
        self.rooms.evict(sequence, entry.targets(extra), entry.except(extra), asks);
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

    /// The bytes of an entry that count against the bound.
    fn cost(&self, entry: &Entry, extra: Option<&Extra>) -> usize {
        let extra_bytes = extra.map_or(0, |_| size_of::<Extra>());
        let overhead = ENTRY_BYTES.saturating_add(self.positions.entry_bytes());
        entry.wire_len(extra, &self.texts).saturating_add(overhead).saturating_add(extra_bytes)
    }

    fn entry(&self, sequence: u64) -> Option<(&Entry, Option<&Extra>)> {
        let index = sequence.checked_sub(self.evicted)?.checked_sub(1)?;
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        Some((entry, if entry.has_extra() { self.extras.get(&sequence) } else { None }))
    }
}
