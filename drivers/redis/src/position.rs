//! How far a stream was read, and whether anything is missing before that.

use socketio_proto::{cluster::engines::redis_streams::StreamInfo, recovery::Offset};

/// A place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The id of an entry, or that of none before the first one.
    pub(crate) at: Offset,
    /// How many entries the stream had had with this one. `None` if that is not known: it needs Redis
    /// 7.0.
    pub(crate) index: Option<u64>,
}

impl Position {
    /// The position behind which no entry is missing.
    pub(crate) fn oldest(info: &StreamInfo) -> Self {
        let index = info.entries_added.and_then(|added| added.checked_sub(info.length));
        Self { at: info.complete_after(), index }
    }

    /// The position of the latest of these entries, which follow this position.
    pub(crate) fn advance(self, read: &[Offset]) -> Self {
        let Some(last) = read.last() else { return self };
        let index = self.index.and_then(|index| index.checked_add(read.len() as u64));
        Self { at: *last, index }
    }

    /// Whether the stream has every entry behind this position, `read` or not yet. `info` is later than
    /// the reading. `read` are the entries that were read behind this position.
    ///
    /// It says no where that cannot be told: without the index, if the entry at this position is gone,
    /// and if others have deleted entries in the middle.
    pub(crate) fn is_continued(self, read: &[Offset], info: &StreamInfo) -> bool {
        let oldest = Self::oldest(info);
        let (Some(index), Some(before_first)) = (self.index, oldest.index) else {
            return oldest.at <= self.at && self.at <= info.last;
        };
        let known = index.saturating_add(read.len() as u64);
        // Fewer than there were: the stream was deleted, and is another one now.
        if info.entries_added.is_none_or(|added| added < known) {
            return false;
        }
        if before_first < index {
            // Of the entries up to this position some are left. If not, others are in their place: those
            // of a stream that was made meanwhile and has had as many.
            return info.first.is_some_and(|first| first <= self.at) && self.at <= info.last;
        }
        if before_first == index {
            return true;
        }
        // The first ones of these are trimmed by now. If another one is still there, or was the last one
        // to go, its index tells those of the others.
        let trimmed = match info.first {
            Some(first) => read.iter().take_while(|position| **position < first).count(),
            None => read.len(),
        };
        before_first.checked_sub(trimmed as u64) == Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::{Offset, Position, StreamInfo};

    fn at(position: u64) -> Offset {
        Offset::pair(5, position)
    }

    /// A stream that has had entries 1 to `added`, of which those up to `trimmed` are gone.
    fn stream(trimmed: u64, added: u64) -> StreamInfo {
        let reply = |number: u64| format!("5-{number}");
        let first = (trimmed < added).then(|| reply(trimmed + 1));
        info(added - trimmed, added, first.as_deref(), &reply(added))
    }

    fn info(length: u64, added: u64, first: Option<&str>, last: &str) -> StreamInfo {
        use socketio_proto::cluster::engines::redis_streams::{RedisReply, RedisStreams};

        let text = |text: &str| RedisReply::Bulk(text.to_owned().into());
        let number = |number: u64| RedisReply::Int(i64::try_from(number).unwrap());
        let first = first.map_or(RedisReply::Nil, |id| RedisReply::Array(vec![text(id)]));
        RedisStreams::stream_info(&RedisReply::Map(vec![
            (text("length"), number(length)),
            (text("entries-added"), number(added)),
            (text("last-generated-id"), text(last)),
            (text("first-entry"), first),
        ]))
        .unwrap()
    }

    fn read(entries: std::ops::RangeInclusive<u64>) -> Vec<Offset> {
        entries.map(at).collect()
    }

    #[test]
    fn entries_that_are_there_or_were_read_are_not_missing() {
        let position = Position { at: at(10), index: Some(10) };
        for (trimmed, added) in [(0, 10), (5, 10), (10, 10), (0, 30), (9, 30), (10, 30)] {
            assert!(position.is_continued(&[], &stream(trimmed, added)), "{trimmed} {added}");
        }
        // Trimmed after they were read.
        for trimmed in 0..=15 {
            let read = read(11..=15);
            assert!(position.is_continued(&read, &stream(trimmed, 40)), "{trimmed}");
        }
    }

    #[test]
    fn entries_that_were_trimmed_before_they_were_read_are_missing() {
        let position = Position { at: at(10), index: Some(10) };
        for (trimmed, added) in [(11, 11), (11, 30), (30, 30)] {
            assert!(!position.is_continued(&[], &stream(trimmed, added)), "{trimmed} {added}");
        }
        // 11 was skipped, whatever has been trimmed since.
        for trimmed in 11..=20 {
            assert!(!position.is_continued(&read(12..=15), &stream(trimmed, 40)), "{trimmed}");
        }
        // Those behind the page are gone.
        assert!(!position.is_continued(&read(11..=15), &stream(16, 40)));
    }

    #[test]
    fn another_stream_is_not_a_continuation() {
        let position = Position { at: at(10), index: Some(10) };
        assert!(!position.is_continued(&[], &info(0, 0, None, "0-0")), "deleted");
        assert!(!position.is_continued(&[], &info(3, 3, Some("5-11"), "5-13")), "and made again");
        assert!(!position.is_continued(&read(11..=13), &info(3, 3, Some("5-11"), "5-13")));
        // It has had more entries than the one that was read.
        assert!(!position.is_continued(&[], &info(40, 40, Some("5-11"), "5-50")));
        assert!(!position.is_continued(&read(11..=13), &info(40, 40, Some("5-11"), "5-50")));
        assert!(!position.is_continued(&[], &info(35, 40, Some("5-16"), "5-50")), "and trimmed");
        // The clock of the new server is behind.
        assert!(!position.is_continued(&[], &info(40, 40, Some("4-1"), "4-40")));
    }

    #[test]
    fn without_an_index_only_an_older_entry_is_a_proof() {
        let position = Position { at: at(10), index: None };
        assert!(position.is_continued(&[], &stream(9, 30)));
        assert!(!position.is_continued(&[], &stream(11, 30)));
        assert!(!position.is_continued(&[], &info(0, 0, None, "0-0")));
    }

    #[test]
    fn a_position_counts_what_is_read() {
        let oldest = Position::oldest(&stream(7, 30));
        assert_eq!(oldest, Position { at: at(7), index: Some(7) });
        assert_eq!(oldest.advance(&read(8..=9)), Position { at: at(9), index: Some(9) });
        assert_eq!(oldest.advance(&[]), oldest);
    }
}
