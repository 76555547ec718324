//! What a CONNECT means for the session that its client has in the namespace already.
//!
//! The link decides whether a CONNECT repeats an earlier one ([`link`](crate::link)); one that does
//! not replaces the session, since nobody knows whether the client has processed what it was sent.

use super::{
    Hub,
    message::{Attached, ConnectSerial, ReplyKind},
};
use crate::{id::ConnectionId, stats::increment};

impl<D: Default> Hub<D> {
    /// Answers a CONNECT again with the session that the client was let in with.
    pub(super) fn repeat(&mut self, from: ConnectionId, socket: Attached, serial: ConnectSerial) {
        let namespace = self.namespaces.get(&socket.key.namespace);
        let is_attached = namespace.is_some_and(|it| it.attached(socket).is_some());
        match self.connect_packet(socket.key).filter(|_| is_attached) {
            Some(packet) => self.reply(from, ReplyKind::Repeated { socket, serial, packet }),
            // The link will hear that the session has ended.
            None => increment(&mut self.totals.stale),
        }
    }
}
