//! Sockets whose links are not known to have heard that their clients were let in.
//!
//! A link that has gone by then cannot tell which socket it has lost: all that it knows is its
//! CONNECT.

use alloc::collections::BTreeMap;

use super::message::{Attached, ConnectSerial};
use crate::id::ConnectionId;

/// By link and namespace, with the CONNECT that is answered. A link that has closed takes its own
/// out, whether it has heard or not, so nothing stays.
#[derive(Default)]
pub(super) struct Unheard(BTreeMap<(ConnectionId, u32), (ConnectSerial, Attached)>);

impl Unheard {
    pub(super) fn insert(&mut self, to: ConnectionId, serial: ConnectSerial, socket: Attached) {
        self.0.insert((to, socket.key.namespace), (serial, socket));
    }

    /// The link knows of the socket, and will tell itself when that has lost it.
    pub(super) fn note_heard(&mut self, from: ConnectionId, socket: Attached) {
        let place = (from, socket.key.namespace);
        if self.0.get(&place).is_some_and(|(_, unheard)| *unheard == socket) {
            self.0.remove(&place);
        }
    }

    /// The socket that a link was given for a CONNECT, if it is not known to have heard so.
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
