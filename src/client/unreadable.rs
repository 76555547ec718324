//! Replays that this client cannot read.
//!
//! A packet that exceeds the limits closes the connection, and the server replays it on the next one.
//! If that happens again and again at the same offset, the client gives the session up.

use bytestring::ByteString;

/// How often in a row the connection was closed at this offset.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    times: u32,
    offset: Option<ByteString>,
}

impl Unreadable {
    /// The connection is closed because of an unreadable packet after this offset. Returns whether
    /// that has happened `limit` times in a row, and then starts over.
    pub(super) fn note(&mut self, offset: Option<ByteString>, limit: u32) -> bool {
        if self.offset != offset {
            *self = Self { times: 0, offset };
        }
        self.times = self.times.saturating_add(1);
        let is_over = self.times >= limit;
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closes_at_the_same_offset_add_up() {
        let mut unreadable = Unreadable::default();
        let [a, b] = ["7-1", "7-2"].map(|offset| Some(ByteString::from(offset)));
        assert!(!unreadable.note(a, 2) && !unreadable.note(b.clone(), 2));
        assert!(unreadable.note(b.clone(), 2));
        assert!(!unreadable.note(b, 2), "it starts over");
        assert!(!unreadable.note(None, 2) && unreadable.note(None, 2));
    }
}
