//! What a CONNECT means for the session that its client has in the namespace already.
//!
//! The link decides whether a CONNECT repeats an earlier one ([`link`](crate::link)); one that does
//! not replaces the session, since nobody knows whether the client has processed what it was sent.

use super::{
    Hub,
    message::{Attached, ConnectSerial, ReplyKind},
    request::ConnectRequest,
};
use crate::{id::ConnectionId, id::SocketKey, recovery::Refusal, stats::increment};

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

    /// Whether a session that could be recovered is to be given to this request.
    pub(super) fn check_order(
        &self,
        request: ConnectRequest,
        socket: SocketKey,
        replaced: Option<Attached>,
        is_complete: bool,
    ) -> Result<(), Refusal> {
        let namespace = self.namespaces.get(&socket.namespace).ok_or(Refusal::Unknown)?;
        let member = namespace.member(socket).ok_or(Refusal::Unknown)?;
        if member.claimed > request.serial {
            return Err(Refusal::Superseded);
        }
        // Without the word of the link that the client has it, the answer was never sent.
        let is_own = member.connection() == Some(request.connection)
            && replaced == Some(Attached { key: socket, attachment: member.attachment });
        if is_own && !is_complete { Err(Refusal::SameConnection) } else { Ok(()) }
    }
}
