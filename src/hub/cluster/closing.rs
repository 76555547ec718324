//! Connections that are closed after all their sessions have ended in the channel, with
//! [`Durability::OnChange`](crate::cluster::Durability::OnChange).
//!
//! The store has the sessions of a connection all the time. If they ended with the connection, at this
//! node alone, they could be recovered elsewhere after a crash. So each of them gets an entry, as the one
//! that is disconnected. An entry is for one namespace, so there is one for each. The client is told of
//! an end when its entry is read, and so never knows more than the channel.
//!
//! ```text
//!   disconnect(a, close) ──► channel:  end of a   end of b   end of c
//!                                          │          │          │ then the connection is closed
//!                                          ▼          ▼          ▼
//!                            client:      41        41/b,      41/c,  closed
//! ```

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use bytestring::ByteString;

use super::verb::{Closing, Verb};
use crate::{
    cluster::message::{Body, BroadcastOptions},
    hub::{
        Hub,
        message::{Attached, ReplyKind},
    },
    id::{ConnectionId, SocketKey},
};

/// The sessions of each connection, and the connections that are going to be closed.
#[derive(Default)]
pub(super) struct Links {
    /// In the order in which they came. Some may have lost the connection since.
    sockets: BTreeMap<(ConnectionId, u64), SocketKey>,
    places: BTreeMap<SocketKey, (ConnectionId, u64)>,
    closing: BTreeSet<ConnectionId>,
    latest: u64,
}

impl Links {
    /// A session is connected.
    pub(super) fn attach(&mut self, socket: SocketKey, link: ConnectionId) {
        self.forget(socket);
        self.latest = self.latest.saturating_add(1);
        self.sockets.insert((link, self.latest), socket);
        self.places.insert(socket, (link, self.latest));
    }

    /// A session has ended, or has gone to another node.
    pub(super) fn forget(&mut self, socket: SocketKey) {
        if let Some(place) = self.places.remove(&socket) {
            self.sockets.remove(&place);
        }
    }

    fn of(&self, link: ConnectionId) -> impl Iterator<Item = SocketKey> {
        self.sockets.range((link, 0)..=(link, u64::MAX)).map(|(_, socket)| *socket)
    }
}

impl<D: Default> Hub<D> {
    /// Whether a connection whose session was disconnected is closed later, because its other sessions
    /// have to end first. If there is no room for that, it is closed at once.
    pub(in crate::hub) fn closes_later(&mut self, link: ConnectionId, socket: Attached) -> bool {
        let Some(durable) = self.durable() else { return false };
        durable.links.closing.contains(&link) || self.begin_closing(link, socket, false)
    }

    /// Puts the ends of the other sessions of a connection into their channels. Returns false if there
    /// are none, or no room for all of them.
    fn begin_closing(&mut self, link: ConnectionId, socket: Attached, is_repeated: bool) -> bool {
        let Some(durable) = self.durable() else { return false };
        let sockets: Vec<SocketKey> = durable.links.of(link).collect();
        let is_other = |other: &SocketKey| {
            *other != socket.key && self.connection(*other) == Some(link) && self.is_ahead(*other)
        };
        let others: Vec<SocketKey> = sockets.into_iter().filter(is_other).collect();
        if others.is_empty() {
            return false;
        }
        let mut namespaces = vec![socket.key.namespace];
        for other in others {
            if !self.append_end(other) {
                return false;
            }
            let channel = |id: &u32| self.namespaces.get(id).map(|it| it.channel);
            let of_other = channel(&other.namespace);
            if namespaces.iter().all(|id| channel(id) != of_other) {
                namespaces.push(other.namespace);
            }
        }
        let closing = Closing { link, socket, namespaces, is_repeated };
        let is_deferred = self.defer(Verb::Close(Box::new(closing))).is_none();
        if let Some(durable) = self.durable().filter(|_| is_deferred) {
            durable.links.closing.insert(link);
        }
        is_deferred
    }

    /// Puts the end of one session into the channel. Returns false if there is no room.
    fn append_end(&mut self, socket: SocketKey) -> bool {
        let Some(id) = self.socket_id(socket) else { return true };
        let options = BroadcastOptions::all().to(ByteString::from(id.as_str()));
        let body = Body::DisconnectSockets { options, close: false };
        self.append(socket.namespace, body, id.as_str().len()).is_ok()
    }

    /// The own entries of a channel were read, or are lost. Closes the connection if no other channel has
    /// to be waited for. Sessions that came meanwhile end in the channel as well, but only once: a
    /// client cannot stay by that.
    pub(super) fn close_behind(&mut self, mut closing: Box<Closing>) {
        closing.namespaces.pop();
        if !closing.namespaces.is_empty() {
            if let Some(verb) = self.defer(Verb::Close(closing)) {
                self.run(verb);
            }
            return;
        }
        let Closing { link, socket, is_repeated, .. } = *closing;
        if let Some(durable) = self.durable() {
            durable.links.closing.remove(&link);
        }
        if !is_repeated && self.begin_closing(link, socket, true) {
            return;
        }
        // Otherwise, its own entry is lost.
        let has_ended = self.connection(socket.key) != Some(link);
        if has_ended {
            self.reply(link, ReplyKind::Disconnected { socket, close: true });
        } else {
            self.disconnect(self.now, socket.key, true);
        }
    }
}
