//! What a session goes on with and this client cannot read.
//!
//! A packet that is more than the limits allow closes the connection, and the server replays it
//! with the next one. When that happens again and again from the same offset there is no other way
//! than to give the session up.

use bytestring::ByteString;

use super::{Event, io::Io, socket::Socket};

/// How often in a row the session has come no further.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    times: u32,
    offset: Option<ByteString>,
}

impl Socket {
    /// The connection is closed because what came on it cannot be read, and it may have been for
    /// this namespace. Links that are lost say nothing.
    pub(super) fn note_unreadable(&mut self, io: &mut Io) {
        if !self.is_joined_or_joining() || !self.session.is_recoverable() {
            return;
        }
        let offset = self.session.received();
        if self.unreadable.offset != offset {
            self.unreadable = Unreadable { times: 0, offset };
        }
        self.unreadable.times = self.unreadable.times.saturating_add(1);
        if self.unreadable.times >= io.config.limits.refusals {
            self.unreadable = Unreadable::default();
            self.give_up_session(io, Event::ReplayUnreadable { namespace: self.name.clone() });
        }
    }
}
