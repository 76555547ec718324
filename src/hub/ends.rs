//! How sessions lose their links, and how they end.

use super::{
    Hub, HubOutput,
    event::ServerEvent,
    message::{Attached, ReplyKind},
    namespace::Namespace,
    reason::{DisconnectReason, EndCause, ExpiryCause},
    sessions::{Change, Disconnected, Ended, Member, Recipients},
};
use crate::{id::SocketKey, stats::increment, time::Timestamp};

impl<D: Default> Hub<D> {
    /// See [`At::disconnect`](super::At::disconnect).
    pub(super) fn disconnect(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        close_connection: bool,
    ) -> bool {
        self.advance(now);
        let namespace = self.namespaces.get(&socket.namespace);
        let Some(member) = namespace.and_then(|namespace| namespace.member(socket)) else {
            return false;
        };
        let attached = Attached { key: socket, attachment: member.attachment };
        let link = member.connection();
        if let Some(to) = link {
            self.reply(to, ReplyKind::Disconnected { socket: attached, close: close_connection });
        }
        self.end(socket, EndCause::by_server(link.is_some()));
        self.settle(socket.namespace);
        true
    }

    /// Disconnects sockets in the namespace `id`. Returns their number.
    pub(super) fn disconnect_all(
        &mut self,
        now: Timestamp,
        id: u32,
        to: Recipients<'_>,
        close: bool,
    ) -> usize {
        let now = self.advance(now);
        let ended = self.with_namespace(id, |namespace, _| {
            namespace.sessions.apply(now, Change::EndAll { to }).all_ended()
        });
        let ended = ended.unwrap_or_default();
        let count = ended.len();
        for Disconnected { index, generation, link, ended } in ended {
            let key = SocketKey { namespace: id, index, generation };
            if let Some((to, attachment)) = link {
                let socket = Attached { key, attachment };
                let close = close && !self.closes_later(to, socket);
                self.reply(to, ReplyKind::Disconnected { socket, close });
            }
            self.with_namespace(id, |namespace, out| namespace.give_up_acks(now, out, key, false));
            self.conclude(key, ended);
        }
        self.settle(id);
        count
    }

    /// A session has lost its link. It is parked if its client may come back; otherwise it ends.
    pub(super) fn handle_detach(
        &mut self,
        now: Timestamp,
        socket: Attached,
        reason: DisconnectReason,
    ) {
        let id = socket.key.namespace;
        if !self.namespaces.contains_key(&id) {
            increment(&mut self.totals.stale);
            return;
        }
        if self.is_connected_on(socket) {
            if self.park(now, socket.key, reason) {
                self.note_parked(socket.key);
            } else {
                self.end(socket.key, EndCause::Disconnected(reason));
            }
        }
        // One more session is parked, so there may be too many. Do not expire sessions by time
        // here: a client whose time is up may have come back already.
        self.expire(Timestamp::ZERO, id);
        self.settle(id);
    }

    /// Ends the session that a decided CONNECT replaces, unless this is the session that continues.
    pub(super) fn end_replaced(&mut self, replaced: Option<Attached>, goes_on: Option<SocketKey>) {
        let replaced = replaced.filter(|socket| goes_on != Some(socket.key));
        if let Some(socket) = replaced.filter(|socket| self.is_connected_on(*socket)) {
            self.end(socket.key, EndCause::Disconnected(DisconnectReason::Replaced));
        }
    }

    /// Ends the sessions of a namespace that have expired or are too many.
    pub(super) fn expire(&mut self, now: Timestamp, id: u32) {
        let next = |hub: &Self| hub.namespaces.get(&id)?.next_expired(now);
        while let Some((socket, cause)) = next(self)
            && self.end(socket, EndCause::Expired(cause))
        {}
    }

    /// Ends a session permanently. Returns false if it has already ended.
    pub(super) fn end(&mut self, socket: SocketKey, cause: EndCause) -> bool {
        let now = self.now;
        let ended = self.with_namespace(socket.namespace, |namespace, out| {
            namespace.end(now, out, socket, cause)
        });
        let Some(ended) = ended.flatten() else {
            return false;
        };
        self.conclude(socket, ended);
        true
    }

    /// Forgets the private id of a session that has ended, counts the end, and tells the
    /// application.
    ///
    /// This concludes every session, for any cause of its end.
    fn conclude(&mut self, socket: SocketKey, ended: Ended<D>) {
        let Ended { id, key, data, rooms, cause } = ended;
        let Some(namespace) = self.namespaces.get(&socket.namespace) else {
            return;
        };
        let namespace = namespace.sessions.name().clone();
        if let Some(key) = key {
            self.keys.remove(&key.index_key());
        }
        self.forget_record(socket, key, cause);
        let event = match cause {
            EndCause::Disconnected(reason) => {
                if reason == DisconnectReason::Replaced {
                    increment(&mut self.totals.sessions_replaced);
                }
                let data = Some(data);
                ServerEvent::Disconnected { socket, id, namespace, reason, rooms, data }
            }
            EndCause::Expired(cause) => {
                match cause {
                    ExpiryCause::TimedOut => increment(&mut self.totals.sessions_expired),
                    ExpiryCause::Evicted => increment(&mut self.totals.sessions_evicted),
                    ExpiryCause::Disconnected | ExpiryCause::Moved | ExpiryCause::ChannelGap => {}
                }
                ServerEvent::SessionExpired { socket, id, namespace, rooms, data, cause }
            }
        };
        self.out.push_back(HubOutput::Event(event));
    }

    /// Parks a session whose link is lost. Returns false if it must not be parked.
    fn park(&mut self, now: Timestamp, socket: SocketKey, reason: DisconnectReason) -> bool {
        let is_parked = |namespace: &mut Namespace<D>, out: &mut _| {
            reason.is_recoverable() && namespace.park(now, out, socket, reason)
        };
        self.with_namespace(socket.namespace, is_parked).unwrap_or(false)
    }

    fn is_connected_on(&self, socket: Attached) -> bool {
        let namespace = self.namespaces.get(&socket.key.namespace);
        let member = namespace.and_then(|namespace| namespace.attached(socket));
        member.and_then(Member::connection).is_some()
    }
}
