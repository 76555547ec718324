//! The log in a snapshot.

use alloc::{collections::BTreeMap, string::ToString as _, vec::Vec};
use core::mem;

use serde::{Deserialize, Serialize};

use super::{PACKETS_MAX, RecoveryBuffer, positions::PositionsSnapshot};
use crate::{
    config::ServerConfig,
    recovery::{
        addressees::Addressees,
        evictions::SETS_MAX,
        room::{Excepted, RoomId},
        room_log::RoomLog,
        rooms::Rooms,
        snapshot::{Inconsistent, Places, Resumption, RoomPlace, require},
    },
    socket::{EncodedSnapshot, NamespaceName},
    time::Timestamp,
};

/// A log as plain data.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LogSnapshot {
    positions: PositionsSnapshot,
    /// The sequence of the latest evicted packet.
    evicted: u64,
    packets: Vec<PacketSnapshot>,
    /// Rooms that packets were evicted from, ascending.
    evictions: Vec<EvictionSnapshot>,
}

/// One packet. Its place in the list determines its sequence.
#[derive(Clone, Serialize, Deserialize)]
struct PacketSnapshot {
    at: Timestamp,
    /// Empty if all its target rooms are gone.
    to: Vec<RoomPlace>,
    except: Vec<RoomPlace>,
    packet: EncodedSnapshot,
}

/// The latest evicted packets of one room.
#[derive(Clone, Serialize, Deserialize)]
struct EvictionSnapshot {
    room: RoomPlace,
    /// The latest packet without exceptions.
    last: u64,
    /// The latest packet for each set of excepted rooms.
    except: Vec<(Vec<RoomPlace>, u64)>,
}

/// The values that are needed to restore a log.
#[derive(Clone, Copy)]
pub(crate) struct LogContext<'a> {
    pub(crate) config: &'a ServerConfig,
    pub(crate) name: &'a NamespaceName,
    pub(crate) resumption: Resumption,
    pub(crate) places: Places,
    /// Acknowledgements with lower ids may have been requested.
    pub(crate) next_ack: u64,
    /// How many epochs to skip for the restored log.
    pub(crate) jump: u32,
}

/// The highest position that a snapshot may contain. It leaves more room than a process can ever
/// use.
const SEQUENCE_MAX: u64 = u64::MAX / 2;

impl RecoveryBuffer {
    /// The log as plain data. `place` returns the place of a room in the snapshot, or `None` if the
    /// room is gone.
    ///
    /// Calls `place` once for each room that a packet or an eviction refers to. Shares the packets.
    pub(crate) fn snapshot(&self, place: impl Fn(RoomId) -> Option<RoomPlace>) -> LogSnapshot {
        let places = |rooms: &[RoomId]| {
            let mut places: Vec<RoomPlace> = rooms.iter().filter_map(|room| place(*room)).collect();
            places.sort_unstable();
            places
        };
        let sequences = self.evicted.saturating_add(1)..;
        let packets = self.moments().zip(sequences).filter_map(|(at, sequence)| {
            let (entry, extra) = self.entry(sequence)?;
            Some(PacketSnapshot {
                at,
                to: places(entry.targets(extra)),
                except: places(entry.except(extra)),
                packet: EncodedSnapshot::of(&entry.packet(extra, &self.texts)),
            })
        });
        let eviction = |(room, log): (RoomId, &RoomLog)| {
            let mut except: BTreeMap<Vec<RoomPlace>, u64> = BTreeMap::new();
            for (set, last) in log.evictions.excepted() {
                let known = except.entry(places(set)).or_default();
                *known = last.max(*known);
            }
            // If all rooms of a set are gone, the set excepts no session.
            let last = except.remove(&[][..]).unwrap_or_default().max(log.evictions.unexcepted());
            let is_known = last > 0 || !except.is_empty();
            let except = except.into_iter().collect();
            is_known.then_some(EvictionSnapshot { room: place(room)?, last, except })
        };
        let mut evictions: Vec<EvictionSnapshot> = self.rooms.logs().filter_map(eviction).collect();
        evictions.sort_unstable_by_key(|eviction| eviction.room);
        LogSnapshot {
            positions: self.positions.snapshot(),
            evicted: self.evicted,
            packets: packets.collect(),
            evictions,
        }
    }

    /// When each packet was emitted, to the precision of its batch.
    fn moments(&self) -> impl Iterator<Item = Timestamp> {
        let batches = self.batches.iter().scan(self.evicted, |first, batch| {
            Some((batch.from, batch.last.saturating_sub(mem::replace(first, batch.last))))
        });
        batches.flat_map(|(from, count)| (0..count).map(move |_| from))
    }

    /// Restores the log of these rooms from a snapshot. The caller then restores the members of the
    /// rooms, and calls [`RecoveryBuffer::complete_restoration`].
    pub(crate) fn restore(
        snapshot: LogSnapshot,
        rooms: Rooms,
        context: LogContext<'_>,
    ) -> Result<Self, Inconsistent> {
        let LogSnapshot { positions, evicted, packets, evictions } = snapshot;
        let head = evicted.checked_add(packets.len() as u64);
        let head = head.filter(|head| *head <= SEQUENCE_MAX).ok_or(Inconsistent("log.evicted"))?;
        require(packets.len() <= PACKETS_MAX, "log.packets")?;
        let positions = positions.restore(evicted, packets.len())?;
        let mut log = Self { evicted, rooms, ..Self::with_positions(context.config, positions) };
        for packet in packets {
            log.restore_packet(packet, context)?;
        }
        let is_ascending = evictions.is_sorted_by(|a, b| a.room < b.room);
        require(is_ascending, "log.evictions")?;
        for eviction in evictions {
            log.restore_eviction(&eviction, context.places)?;
        }
        log.positions.begin(head, context.jump);
        Ok(log)
    }

    /// Completes the restoration, when the members of each room are known.
    pub(crate) fn complete_restoration(&mut self) {
        self.rooms.free_unused(self.rooms.ids());
        // The snapshot contains the evictions of rooms that its sessions were in.
        self.rooms.note_unrecorded(self.evicted);
        self.enforce_bounds();
    }

    fn restore_packet(
        &mut self,
        packet: PacketSnapshot,
        context: LogContext<'_>,
    ) -> Result<(), Inconsistent> {
        let LogContext { name, resumption, places, next_ack, .. } = context;
        let PacketSnapshot { at, to, except, packet } = packet;
        let at = resumption.moment(at).ok_or(Inconsistent("log.packets.at"))?;
        let is_in_order = self.batches.back().is_none_or(|batch| batch.from <= at);
        require(is_in_order, "log.packets.at")?;
        let targets = places.rooms(&to).ok_or(Inconsistent("log.packets.to"))?;
        let except = excepted(places, &except).ok_or(Inconsistent("log.packets.except"))?;
        let sequence = self.head().saturating_add(1);
        let offset =
            self.positions.get(sequence, self.evicted).ok_or(Inconsistent("log.positions"))?;
        let restored = packet.restore(name, &offset.to_string());
        let (packet, ack) = restored.ok_or(Inconsistent("log.packets.packet"))?;
        require(ack.is_none_or(|id| id < next_ack), "log.packets.packet")?;
        self.push(at, &Addressees { targets, except }, ack, &packet);
        Ok(())
    }

    fn restore_eviction(
        &mut self,
        eviction: &EvictionSnapshot,
        places: Places,
    ) -> Result<(), Inconsistent> {
        let EvictionSnapshot { room, last, except } = eviction;
        let room = places.room(*room).ok_or(Inconsistent("log.evictions.room"))?;
        let lasts = except.iter().map(|(_, last)| *last).chain([*last]);
        require(lasts.max() <= Some(self.evicted), "log.evictions.last")?;
        let are_unique = except.is_sorted_by(|a, b| a.0 < b.0) && except.len() <= SETS_MAX;
        let set = |(set, last): &(Vec<RoomPlace>, u64)| {
            let set = excepted(places, set).filter(|set| !set.is_empty());
            set.map(|set| (set, *last)).filter(|_| are_unique)
        };
        let sets: Option<Vec<(Excepted, u64)>> = except.iter().map(set).collect();
        let sets = sets.ok_or(Inconsistent("log.evictions.except"))?;
        self.rooms.restore_evictions(room, *last, sets);
        Ok(())
    }
}

/// Excepted rooms. The room of everyone cannot be one of them.
fn excepted(places: Places, except: &[RoomPlace]) -> Option<Excepted> {
    places.rooms(except).filter(|rooms| rooms.first() != Some(&RoomId::ALL))
}
