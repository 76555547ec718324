//! One namespace: its sessions and the acknowledgements that it waits for.

use alloc::{borrow::Cow, collections::VecDeque, sync::Arc};

use super::{
    acks::{AckTable, Settled},
    audience::Audience,
    error::EmitError,
    event::ServerEvent,
    message::{Attached, Delivery, Reliability},
    output::HubOutput,
    reason::{DisconnectReason, EndCause, ExpiryCause},
    sessions::{Change, Ended, Links, Member, Published, Recipients, Sessions},
};
use crate::{
    config::ServerConfig,
    id::{AckId, ConnectionId, SocketId, SocketKey},
    recovery::Offset,
    socket::{self, Encoded, NamespaceName},
    time::Timestamp,
};

/// One namespace of the hub.
pub(super) struct Namespace<D> {
    pub(super) id: u32,
    pub(super) sessions: Sessions<D>,
    /// In a cluster: the number of its channel.
    pub(super) channel: u32,
    /// In a cluster: the position of the latest entry that a session of another node may have to be
    /// told of. `None` if there was none since the namespace began.
    pub(super) latest_entry: Option<Offset>,
    /// In a cluster: how long it is kept although nobody here is in it. Never if it is in use.
    pub(super) vacant_until: Timestamp,
    /// Whether a predicate accepted it. Such a namespace is removed when it is empty.
    pub(super) is_dynamic: bool,
    /// CONNECTs that wait for an answer.
    pub(super) waiting: usize,
    /// This namespace's entry among the hub's timers.
    pub(super) armed: Timestamp,
    /// The same among those that the present grace period does not postpone.
    pub(super) armed_promptly: Timestamp,
    pub(super) acks: AckTable,
    pub(super) config: Arc<ServerConfig>,
}

/// Where a namespace writes its outputs.
pub(super) type Outbox<D> = VecDeque<HubOutput<D>>;

impl<D> Namespace<D> {
    pub(super) fn new(
        id: u32,
        sessions: Sessions<D>,
        channel: u32,
        config: Arc<ServerConfig>,
        is_dynamic: bool,
    ) -> Self {
        Self {
            id,
            sessions,
            channel,
            latest_entry: None,
            vacant_until: Timestamp::NEVER,
            is_dynamic,
            waiting: 0,
            armed: Timestamp::NEVER,
            armed_promptly: Timestamp::NEVER,
            acks: AckTable::default(),
            config,
        }
    }

    /// Emits an event to one socket. A parked socket gets it when its client comes back.
    pub(super) fn emit(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        event: &socket::Event,
        is_volatile: bool,
    ) -> Result<(), EmitError> {
        let is_logged = self.config.recovery.is_some() && !is_volatile;
        let id = self.check_emit(socket, event, is_logged)?;
        let to = Recipients::Session { id, index: Some(socket.index) };
        let reliability = Reliability::of_event(is_volatile, is_logged);
        let published = self.publish(now, to, event, None, reliability);
        self.deliver(out, published);
        Ok(())
    }

    /// Checks whether an event can be emitted to one socket. Returns the id of the socket.
    #[inline]
    pub(super) fn check_emit(
        &self,
        socket: SocketKey,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<SocketId, EmitError> {
        let member = self.member(socket).ok_or(EmitError::NotConnected)?;
        if member.connection().is_none() && !is_logged {
            return Err(EmitError::NotConnected);
        }
        self.config.check_event(event, is_logged)?;
        Ok(member.id)
    }

    /// Emits an event that is not logged to one socket, if it is connected.
    pub(super) fn emit_unlogged(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        event: &socket::Event,
        is_volatile: bool,
    ) {
        let Some(member) = self.member(socket) else { return };
        let to = Recipients::Session { id: member.id, index: Some(socket.index) };
        let reliability = Reliability::of_event(is_volatile, false);
        let published = self.publish(now, to, event, None, reliability);
        self.deliver(out, published);
    }

    /// Emits an event to an audience. Returns the number of connected sockets that it is sent to.
    pub(super) fn broadcast(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<usize, EmitError> {
        let is_logged = self.config.recovery.is_some() && !audience.is_volatile();
        self.config.check_event(event, is_logged)?;
        Ok(self.broadcast_checked(now, out, audience, event, is_logged))
    }

    /// The same with an event that was checked, logged or not.
    #[inline]
    pub(super) fn broadcast_checked(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        audience: &Audience,
        event: &socket::Event,
        is_logged: bool,
    ) -> usize {
        let to = self.recipients(audience);
        let reliability = Reliability::of_event(audience.is_volatile(), is_logged);
        let published = self.publish(now, to, event, None, reliability);
        self.deliver(out, published)
    }

    /// Parks a session that has lost its link. Returns false if recovery is off.
    pub(super) fn park(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        reason: DisconnectReason,
    ) -> bool {
        let Some(id) = self.member(socket).map(|member| member.id) else {
            return false;
        };
        // The link continues if it has refused a CONNECT.
        let is_open = reason == DisconnectReason::InvalidPacket;
        if !self.sessions.apply(now, Change::Park { index: socket.index, is_open }).is_done() {
            return false;
        }
        self.give_up_acks(now, out, socket, true);
        out.push_back(HubOutput::Event(ServerEvent::Disconnected {
            socket,
            id,
            namespace: self.sessions.name().clone(),
            reason,
            rooms: self.sessions.names_of(socket.index, id),
            data: None,
        }));
        true
    }

    /// Attaches a session to the link over which its client has come back. Returns the earlier
    /// link.
    ///
    /// An event that asks for an acknowledgement and is not replayed does not reach the new link,
    /// so its acknowledgement fails. On the same link nothing was lost, and the client may still
    /// answer.
    pub(super) fn attach(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        connection: ConnectionId,
        claimed: u64,
    ) -> Option<ConnectionId> {
        let earlier = self.member(socket)?.connection();
        self.sessions.apply(now, Change::Attach { index: socket.index, connection, claimed });
        let earlier = earlier?;
        if earlier != connection {
            self.give_up_acks(now, out, socket, true);
        }
        Some(earlier)
    }

    /// The next session that has expired, or that exceeds the limit.
    pub(super) fn next_expired(&self, now: Timestamp) -> Option<(SocketKey, ExpiryCause)> {
        let (index, is_expired) = self.sessions.next_expired(now)?;
        let cause = if is_expired { ExpiryCause::TimedOut } else { ExpiryCause::Evicted };
        Some((self.key(index)?, cause))
    }

    /// Whether a session has expired.
    pub(super) fn has_expired(&self, now: Timestamp, socket: SocketKey) -> bool {
        self.member(socket).is_some() && self.sessions.has_expired(now, socket.index)
    }

    /// Times out acknowledgements. `may_judge` says that there is no grace period.
    pub(super) fn time_out_acks(&mut self, now: Timestamp, out: &mut Outbox<D>, may_judge: bool) {
        while let Some((id, settled)) = self.acks.next_timed_out(now, may_judge) {
            self.sessions.apply(now, Change::SettleAck { id });
            out.push_back(self.settled(id, settled));
        }
    }

    /// Times out acknowledgements and evicts packets that are too old.
    pub(super) fn handle_timeout(&mut self, now: Timestamp, out: &mut Outbox<D>) {
        self.time_out_acks(now, out, true);
        if self.sessions.log().deadline() <= now {
            self.sessions.apply(now, Change::ExpireLog);
        }
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.acks.deadline().min(self.sessions.deadline()).min(self.vacant_until)
    }

    /// Whether nobody here is in it, and it is kept for sessions of other nodes.
    pub(super) fn is_vacant(&self) -> bool {
        self.vacant_until != Timestamp::NEVER
    }

    /// Whether the namespace can be removed without a loss.
    pub(super) fn is_removable(&self) -> bool {
        self.is_dynamic && self.waiting == 0 && self.sessions.is_empty() && self.acks.len() == 0
    }

    pub(super) fn pending_acks(&self) -> usize {
        self.acks.len()
    }

    pub(super) fn member(&self, socket: SocketKey) -> Option<&Member<D>> {
        self.sessions.get(socket.index, socket.generation)
    }

    pub(super) fn key(&self, index: u32) -> Option<SocketKey> {
        let generation = self.sessions.generation(index)?;
        Some(SocketKey { namespace: self.id, index, generation })
    }

    pub(super) fn attached(&self, socket: Attached) -> Option<&Member<D>> {
        self.member(socket.key).filter(|member| member.attachment == socket.attachment)
    }

    /// Removes a session that has ended; see [`Hub::end`](super::Hub::end).
    pub(super) fn end(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        cause: EndCause,
    ) -> Option<Ended<D>> {
        self.member(socket)?;
        self.give_up_acks(now, out, socket, false);
        self.sessions.apply(now, Change::End { index: socket.index, cause }).ended()
    }

    /// An audience by names. An excepted socket of another namespace, or whose session has ended,
    /// is not a recipient in any case.
    pub(super) fn recipients<'a>(&self, audience: &'a Audience) -> Recipients<'a> {
        let excepted = audience.excepted_sockets().filter(|socket| socket.namespace == self.id);
        Recipients::of(audience, excepted.filter_map(|socket| Some(self.member(socket)?.id)))
    }

    #[inline]
    pub(super) fn publish(
        &mut self,
        now: Timestamp,
        to: Recipients<'_>,
        event: &socket::Event,
        ack: Option<u64>,
        reliability: Reliability,
    ) -> Option<Published> {
        let event = Cow::Borrowed(event);
        self.sessions
            .apply(now, Change::Publish { to, event, ack, reliability, at: None })
            .published()
    }

    /// Sends an event to its recipients. Returns the number of those that are connected.
    #[inline]
    pub(super) fn deliver(&self, out: &mut Outbox<D>, published: Option<Published>) -> usize {
        let Some(Published { packet, links: to, reliability, .. }) = published else {
            return 0;
        };
        let (namespace, count) = (self.id, to.len());
        if count > 0 {
            out.push_back(HubOutput::Deliver(Delivery { namespace, packet, reliability, to }));
        }
        count
    }

    pub(super) fn give_up_acks(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        goes_on: bool,
    ) {
        let (namespace, name) = (self.id.into(), self.sessions.name().clone());
        self.acks.give_up(socket, goes_on, |id, outcome| {
            self.sessions.apply(now, Change::SettleAck { id });
            out.push_back(settled(name.clone(), AckId { namespace, id }, outcome));
        });
    }

    pub(super) fn settled(&self, id: u64, outcome: Settled) -> HubOutput<D> {
        let name = self.sessions.name().clone();
        settled(name, AckId { namespace: self.id.into(), id }, outcome)
    }

    pub(super) fn deliver_one(
        &self,
        to: ConnectionId,
        packet: Encoded,
        reliability: Reliability,
    ) -> HubOutput<D> {
        let to = Links::from_buf([to]);
        HubOutput::Deliver(Delivery { namespace: self.id, packet, reliability, to })
    }
}

fn settled<D>(namespace: NamespaceName, ack: AckId, outcome: Settled) -> HubOutput<D> {
    HubOutput::Event(match outcome {
        Settled::One { socket, outcome: Ok(args) } => {
            ServerEvent::Acked { socket, namespace, ack, args }
        }
        Settled::One { socket, outcome: Err(cause) } => {
            ServerEvent::AckFailed { socket, namespace, ack, cause }
        }
        Settled::Many { responses, missing, nodes_missing, timed_out } => {
            ServerEvent::BroadcastAcked {
                namespace,
                ack,
                responses,
                missing,
                nodes_missing,
                timed_out,
            }
        }
    })
}
