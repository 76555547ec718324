//! Replays that this client cannot read.
//!
//! A packet that exceeds the limits closes the connection, and the server replays it on the next one.
//! If that happens again and again at the same offset, the client gives the session up.

use bytestring::ByteString;

use super::{Event, context::Context, socket::Socket};

/// How often in a row the connection was closed at this offset.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    times: u32,
    offset: Option<ByteString>,
}

impl Socket {
    /// The connection is closed because of an unreadable packet, which may be for this namespace. A
    /// lost link does not count.
    pub(super) fn note_unreadable(&mut self, cx: &mut Context) {
        if !self.is_joined_or_joining() || !self.session.is_recoverable() {
            return;
        }
        let offset = self.session.received();
        if self.unreadable.offset != offset {
            self.unreadable = Unreadable { times: 0, offset };
        }
        self.unreadable.times = self.unreadable.times.saturating_add(1);
        if self.unreadable.times >= cx.config.limits.refusals {
            self.unreadable = Unreadable::default();
            self.give_up_session(cx, Event::ReplayUnreadable { namespace: self.name.clone() });
        }
    }
}
