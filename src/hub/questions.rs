//! Emitting events that ask for acknowledgements, and the answers to them.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::{
    audience::Audience,
    error::EmitError,
    message::{Attached, Reliability},
    namespace::{Namespace, Outbox},
    relay::Requester,
    sessions::{Change, Recipients},
};
use crate::{
    cluster::{Missing, message::NodeId},
    id::{AckId, SocketKey},
    socket::{self, Args},
    time::Timestamp,
};

impl<D> Namespace<D> {
    /// Emits an event to one socket and waits for its acknowledgement.
    pub(super) fn emit_with_ack(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let id = self.expect_answer(now, socket, event, timeout)?;
        self.ask(now, out, socket, event, id);
        Ok(AckId { namespace: self.id.into(), id })
    }

    /// Starts to wait for the acknowledgement of an event that is going to be emitted to a socket.
    pub(super) fn expect_answer(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<u64, EmitError> {
        let is_logged = self.replays_questions();
        self.check_emit(socket, event, is_logged)?;
        self.check_acks()?;
        let id = self.take_ack_id(now);
        self.acks.expect_one(id, now.saturating_add(timeout), socket, is_logged);
        Ok(id)
    }

    /// Emits an event whose acknowledgement is waited for. Has no effect if it is no longer.
    pub(super) fn ask(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        event: &socket::Event,
        ack: u64,
    ) {
        let Some(member) = self.member(socket).filter(|_| self.acks.is_pending(ack)) else {
            return;
        };
        let to = Recipients::Session { id: member.id, index: Some(socket.index) };
        let reliability = Reliability::of_event(false, self.replays_questions());
        let published = self.publish(now, to, event, Some(ack), reliability);
        self.deliver(out, published);
    }

    /// Emits an event to an audience and collects the acknowledgements of the connected sockets.
    pub(super) fn broadcast_with_ack(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        audience: &Audience,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let id = self.expect_answers(now, event, timeout)?;
        self.ask_all(now, out, audience, event, id);
        Ok(AckId { namespace: self.id.into(), id })
    }

    /// Starts to wait for the acknowledgements of an event that is going to be emitted to an audience.
    pub(super) fn expect_answers(
        &mut self,
        now: Timestamp,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<u64, EmitError> {
        self.config.check_event(event, false)?;
        self.check_acks()?;
        let id = self.take_ack_id(now);
        self.acks.expect_many(id, now.saturating_add(timeout));
        Ok(id)
    }

    /// Emits an event whose acknowledgements are waited for to the connected sockets of an audience.
    /// Has no effect if they are no longer.
    pub(super) fn ask_all(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        audience: &Audience,
        event: &socket::Event,
        ack: u64,
    ) {
        if !self.acks.is_pending(ack) {
            return;
        }
        if audience.expects_single_response() {
            self.acks.expect_single(ack);
        }
        let to = self.recipients(audience);
        self.ask_recipients(now, out, to, event, ack, audience.is_volatile());
    }

    /// The same for recipients by name. Returns the number of sockets that are asked.
    pub(super) fn ask_recipients(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        to: Recipients<'_>,
        event: &socket::Event,
        ack: u64,
        is_volatile: bool,
    ) -> usize {
        let reliability = Reliability::of_event(is_volatile, false);
        let published = self.publish(now, to, event, Some(ack), reliability);
        let asked = published.iter().flat_map(|published| &published.asked);
        let asked: BTreeSet<SocketKey> = asked.filter_map(|index| self.key(*index)).collect();
        let count = asked.len();
        if let Some(settled) = self.acks.note_asked(ack, asked) {
            out.push_back(self.settled(ack, settled));
        }
        self.deliver(out, published);
        count
    }

    /// Starts to wait for acknowledgements on behalf of another node.
    pub(super) fn expect_relayed(
        &mut self,
        now: Timestamp,
        timeout: Duration,
        to: Requester,
    ) -> Result<u64, EmitError> {
        self.check_acks()?;
        let id = self.take_ack_id(now);
        self.acks.expect_relayed(id, now.saturating_add(timeout), to);
        Ok(id)
    }

    /// Other nodes have answered a broadcast, or their time is over. `missing` are their sockets, and
    /// nodes of which nothing is known.
    pub(super) fn note_elsewhere(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        ack: u64,
        missing: (usize, Missing),
        timed_out: bool,
    ) {
        if let Some(settled) = self.acks.note_elsewhere(ack, missing, timed_out) {
            self.sessions.apply(now, Change::SettleAck { id: ack });
            out.push_back(self.settled(ack, settled));
        }
    }

    /// A client of another node has acknowledged a broadcast. Returns as
    /// [`handle_ack`](Self::handle_ack).
    pub(super) fn answer_elsewhere(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        ack: u64,
        from: NodeId,
        args: &Args,
    ) -> Option<u64> {
        let limit = self.config.limits.broadcast_answer_bytes;
        let (settled, dropped) = self.acks.answer_elsewhere(ack, from, args, limit)?;
        if let Some(settled) = settled {
            self.sessions.apply(now, Change::SettleAck { id: ack });
            out.push_back(self.settled(ack, settled));
        }
        Some(dropped)
    }

    /// A client has acknowledged an event. Returns how many answers to broadcasts were dropped to
    /// make room; `None` if this acknowledgement is not awaited.
    pub(super) fn handle_ack(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: Attached,
        id: u64,
        args: Args,
    ) -> Option<u64> {
        self.attached(socket)?;
        let limit = self.config.limits.broadcast_answer_bytes;
        let (settled, dropped) = self.acks.answer(id, socket.key, args, limit)?;
        if let Some(settled) = settled {
            self.sessions.apply(now, Change::SettleAck { id });
            out.push_back(self.settled(id, settled));
        }
        Some(dropped)
    }

    fn take_ack_id(&mut self, now: Timestamp) -> u64 {
        let id = self.sessions.next_ack();
        self.sessions.apply(now, Change::TakeAckId { id });
        id
    }

    fn replays_questions(&self) -> bool {
        self.config.recovery.as_ref().is_some_and(|recovery| recovery.replay_ack_events)
    }

    fn check_acks(&self) -> Result<(), EmitError> {
        let limit = self.config.limits.pending_acks;
        if self.acks.len() < limit { Ok(()) } else { Err(EmitError::TooManyAcks { limit }) }
    }
}
