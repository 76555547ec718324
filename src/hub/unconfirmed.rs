//! Sockets whose links have not confirmed that they know of them.
//!
//! A link that closes before it learns of its socket cannot report which socket it has lost: it
//! knows only its CONNECT.

use alloc::collections::BTreeMap;

use super::message::{Attached, ConnectSerial};
use crate::id::ConnectionId;

/// The sockets by link and namespace, with the CONNECT that was answered. When a link closes, its
/// entries are removed in any case, so none is left over.
#[derive(Default)]
pub(super) struct Unconfirmed(BTreeMap<(ConnectionId, u32), (ConnectSerial, Attached)>);

impl Unconfirmed {
    pub(super) fn insert(&mut self, to: ConnectionId, serial: ConnectSerial, socket: Attached) {
        self.0.insert((to, socket.key.namespace), (serial, socket));
    }

    /// The link knows of the socket, and will report itself when the socket loses the link.
    pub(super) fn note_confirmed(&mut self, from: ConnectionId, socket: Attached) {
        let place = (from, socket.key.namespace);
        if self.0.get(&place).is_some_and(|(_, unconfirmed)| *unconfirmed == socket) {
            self.0.remove(&place);
        }
    }

    /// Removes and returns the socket that answered a CONNECT of a link, if the link has not
    /// confirmed that it knows of it.
    pub(super) fn take(
        &mut self,
        place: (ConnectionId, u32),
        serial: ConnectSerial,
    ) -> Option<Attached> {
        let (_, socket) = *self.0.get(&place).filter(|(asked, _)| *asked == serial)?;
        self.0.remove(&place);
        Some(socket)
    }
}
