//! The log and the offsets that clients present.

use super::{OutOfOrder, RecoveryBuffer, Resolution};
use crate::{
    recovery::{addressees::Addressees, offset::Offset},
    socket::Encoded,
    time::Timestamp,
};

impl RecoveryBuffer {
    /// Whether [`RecoveryBuffer::append_at`] accepts this position for the next packet.
    pub(crate) fn can_append_at(&self, position: Offset) -> bool {
        self.positions.check(position).is_ok()
    }

    /// Stores the next packet of a stream at the position that it has there.
    pub(crate) fn append_at(
        &mut self,
        now: Timestamp,
        position: Offset,
        to: &Addressees,
        ack: Option<u64>,
        encode: impl FnOnce(Offset) -> Encoded,
    ) -> Result<Encoded, OutOfOrder> {
        self.positions.check(position)?;
        Ok(self.store(now, position, to, ack, encode))
    }

    /// No packet of this log follows in the stream up to this position.
    pub(crate) fn advance(&mut self, position: Offset) -> Result<(), OutOfOrder> {
        self.positions.advance(position)
    }

    /// The sequence at an offset, if this log of a stream has everything that follows it.
    pub(crate) fn covered(&self, offset: Offset) -> Option<u64> {
        self.positions.covered(offset, self.evicted)
    }

    /// The position in the stream of a packet in this log, or of the latest one that was evicted.
    pub(crate) fn kept_position(&self, sequence: u64) -> Option<Offset> {
        self.positions.kept(sequence, self.evicted)
    }

    /// The latest position in the stream before the packet that follows the one with this sequence, or
    /// the latest of all if none follows. In between, the stream has entries that are not for this log,
    /// so a log that begins there has everything as well.
    pub(crate) fn before_next(&self, sequence: u64) -> Option<Offset> {
        self.positions.before_next(sequence, self.evicted)
    }

    /// The position of a packet in this log, or of an evicted one with this sequence or a later one.
    pub(crate) fn mark_from(&self, sequence: u64) -> Option<Offset> {
        self.positions.mark_from(sequence, self.evicted)
    }

    /// Where an offset stands in this log. Takes O(log n).
    pub(crate) fn resolve(&self, offset: Offset) -> Resolution {
        self.positions.resolve(offset, self.evicted, self.head())
    }

    /// The position of the packet with this sequence, which may be evicted. `None` if the log does
    /// not assign its positions itself: it does not know the positions of all evicted packets.
    pub(crate) fn position(&self, sequence: u64) -> Option<Offset> {
        self.assigns_positions().then(|| self.positions.next(sequence))
    }

    /// Whether it is time to call [`RecoveryBuffer::forget_positions`].
    pub(crate) fn has_excess_positions(&self) -> bool {
        self.positions.has_excess()
    }

    /// Forgets the positions of evicted packets that nothing is compared with: neither rooms nor
    /// acknowledgements that are awaited, nor the sequences that sessions remember.
    pub(crate) fn forget_positions(&mut self, of_sessions: impl Iterator<Item = u64>) {
        let rooms = self.rooms.logs().flat_map(|(_, log)| {
            let lasts = log.evictions.excepted().map(|(_, last)| last);
            lasts.chain([log.evictions.unexcepted()])
        });
        self.positions.forget(rooms.chain(self.questions.sequences()).chain(of_sessions));
    }

    /// The latest position. A client that has processed all packets so far can resume from it.
    pub(crate) fn head_offset(&self) -> Offset {
        self.positions.latest(self.head())
    }

    /// The number of evicted packets whose positions take memory.
    #[cfg(test)]
    pub(crate) fn remembered_positions(&self) -> usize {
        self.positions.remembered()
    }

    /// Whether the log assigns its positions itself.
    pub(crate) fn assigns_positions(&self) -> bool {
        self.positions.are_assigned()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString as _};

    use super::*;
    use crate::{
        config::{RecoveryConfig, ServerConfig},
        recovery::room::RoomId,
        socket::{Event, NamespaceName},
    };

    const ROOM: RoomId = RoomId(1);

    fn config() -> ServerConfig {
        let recovery = RecoveryConfig { buffer_packets: 2, ..RecoveryConfig::default() };
        ServerConfig::new().recovery(recovery)
    }

    /// An empty log, and a room that is not vacant.
    fn following() -> RecoveryBuffer {
        let mut log = RecoveryBuffer::following(&config(), Offset::pair(1_000, 3));
        assert_eq!(log.rooms_mut().find_or_create("room"), ROOM);
        log.rooms_mut().enter(ROOM, 0, None);
        log
    }

    fn encoded(offset: Offset) -> Encoded {
        let event = Event::new("m", &()).unwrap();
        Encoded::event(&NamespaceName::ROOT, &event, None, Some(&offset.to_string()))
    }

    fn append(log: &mut RecoveryBuffer, position: &str) -> Result<Encoded, OutOfOrder> {
        let to = Addressees { targets: [ROOM][..].into(), except: [][..].into() };
        log.append_at(Timestamp::ZERO, position.parse().unwrap(), &to, None, encoded)
    }

    /// A log that has evicted its first packet.
    fn log() -> RecoveryBuffer {
        let mut log = following();
        for position in ["1001-0", "1001-1", "1005-0"] {
            let packet = append(&mut log, position).unwrap();
            assert_eq!(*packet.head(), format!("42[\"m\",\"{position}\"]"));
        }
        assert_eq!((log.evicted(), log.head()), (1, 3));
        log
    }

    #[test]
    fn an_offset_stands_among_packets_whose_positions_were_given() {
        let mut log = log();
        log.advance(Offset::pair(1_006, 7)).unwrap();
        let resolve = |text: &str| log.resolve(text.parse().unwrap());
        for (text, sequence) in [("1001-1", 2), ("1005-0", 3)] {
            assert_eq!(resolve(text), Resolution::After(sequence), "{text}: a packet of the log");
        }
        for (text, sequence) in [("1001-2", 2), ("1004-9", 2), ("1005-1", 3), ("1006-7", 3)] {
            assert_eq!(resolve(text), Resolution::After(sequence), "{text}: of another log");
        }
        assert_eq!(resolve("1001-0"), Resolution::After(1), "evicted");
        for text in ["0-0", "999-9", "1000-3", "1000-4"] {
            assert_eq!(resolve(text), Resolution::After(0), "{text}: before the first packet");
        }
        for text in ["1006-8", "1007-0"] {
            assert_eq!(resolve(text), Resolution::Future, "{text}");
        }
        assert_eq!(resolve("000003e90000000000000000"), Resolution::Foreign, "another form");
    }

    #[test]
    fn a_log_takes_positions_in_order_only() {
        let mut log = log();
        for position in ["1005-0", "1004-0", "6774d5c0a1b2c3d4e5f60718"] {
            assert_eq!(append(&mut log, position), Err(OutOfOrder), "{position}");
        }
        assert_eq!(log.advance(Offset::pair(1_004, 0)), Err(OutOfOrder));
        assert_eq!(log.advance(Offset::pair(1_005, 0)), Ok(()), "it is there already");
        assert_eq!(log.advance(Offset::pair(1_005, 5)), Ok(()));
        assert_eq!(log.advance(Offset::object_id([0xff; 12])), Err(OutOfOrder));
        assert_eq!(append(&mut log, "1005-5"), Err(OutOfOrder), "the stream has passed it");
        assert!(append(&mut log, "1005-6").is_ok());
        assert_eq!((log.head(), log.head_offset()), (4, Offset::pair(1_005, 6)));
        let mut log = RecoveryBuffer::new(&config(), 7);
        assert_eq!(append(&mut log, "7-1"), Err(OutOfOrder), "it assigns them itself");
        assert_eq!(log.advance(Offset::pair(7, 1)), Err(OutOfOrder));
    }

    #[test]
    fn a_given_position_takes_sixteen_bytes() {
        let mut assigning = RecoveryBuffer::new(&config(), 1_001);
        let to = Addressees { targets: [ROOM][..].into(), except: [][..].into() };
        assigning.append(Timestamp::ZERO, &to, None, |_| encoded(Offset::pair(1_001, 0)));
        let mut following = following();
        append(&mut following, "1001-0").unwrap();
        assert_eq!(following.bytes(), assigning.bytes() + 16);
        following.expire(Timestamp::NEVER);
        assert_eq!(following.bytes(), 0);
    }

    /// However long a log runs, it remembers no more evicted packets than there is use for.
    #[test]
    fn positions_that_nothing_is_compared_with_are_forgotten() {
        let mut log = log();
        for number in 0..10_000 {
            append(&mut log, &format!("{}-0", 2_000 + number)).unwrap();
            if log.has_excess_positions() {
                log.forget_positions([1, 500].into_iter());
            }
            assert!(log.remembered_positions() <= 64);
        }
        log.forget_positions([1, 500].into_iter());
        assert_eq!(log.remembered_positions(), 3, "two for sessions, and the latest one");
        let resolve = |text: &str| log.resolve(text.parse().unwrap());
        assert_eq!(resolve("1001-0"), Resolution::After(1));
        assert_eq!(resolve("2400-0"), Resolution::After(1));
        assert_eq!(resolve("2600-0"), Resolution::After(500));
        assert_eq!(resolve("11997-0"), Resolution::After(log.evicted()));
    }
}
