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
        if before_first <= index {
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
