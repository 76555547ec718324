//! What a CONNECT means for a session that its client already has in the namespace.
//!
//! The link decides whether a CONNECT repeats an earlier one ([`link`](crate::link)). If it does
//! not, it replaces the session, because the server cannot know whether the client has processed
//! the packets that it was sent.

use super::{
    Hub,
    message::{Attached, ConnectSerial, ReplyKind},
};
use crate::{id::ConnectionId, stats::increment};

impl<D: Default> Hub<D> {
    /// Answers a repeated CONNECT with the session that the client already has.
    pub(super) fn repeat(&mut self, from: ConnectionId, socket: Attached, serial: ConnectSerial) {
        let namespace = self.namespaces.get(&socket.key.namespace);
        let is_attached = namespace.is_some_and(|it| it.attached(socket).is_some());
        match self.connect_packet(socket.key).filter(|_| is_attached) {
            Some(packet) => self.reply(from, ReplyKind::Repeated { socket, serial, packet }),
            // The session has ended. A message that says so is on its way to the link.
            None => increment(&mut self.totals.stale),
        }
    }
}
