//! Events of clients that are handled only once, and their answers.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    HubOutput,
    error::OnceError,
    event::ServerEvent,
    message::{AckToken, Attached, Once, Reliability},
    namespace::{Namespace, Outbox},
    sessions::{AckRequest, AnswerKey, Change, Known, Member, OFFSET_LEN_MAX},
};
use crate::{
    id::SocketKey,
    socket::{self, Args, Encoded},
    time::Timestamp,
};

impl<D> Namespace<D> {
    /// Stores the answer to an event that is sent later. It moves with the session, so a repetition of
    /// the event is answered wherever it arrives. Returns the repetition that waits for it.
    pub(super) fn remember_answer(
        &mut self,
        now: Timestamp,
        token: &AckToken,
        args: &Args,
    ) -> Option<AckRequest> {
        self.member(token.socket.key)?;
        self.keep_answers(now, token, args, false)
    }

    /// Sends an answer that was stored before, also to the repetition that waits for it.
    pub(super) fn send_answer(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        (token, args): (&AckToken, &Args),
        later: Option<AckRequest>,
    ) {
        let (first, is_counted) = (request(token), token.is_counted);
        self.acknowledge(now, out, token, args);
        // The answer may have been dropped meanwhile, so that there are two that wait.
        if let Some(later) = later.filter(|later| *later != first) {
            self.answer(out, later, is_counted, args);
        }
    }

    /// Acknowledges an event of a client.
    pub(super) fn acknowledge(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        token: &AckToken,
        args: &Args,
    ) -> bool {
        if self.member(token.socket.key).is_none() {
            return false;
        }
        let later = self.keep_answers(now, token, args, true);
        let (first, is_counted) = (request(token), token.is_counted);
        let is_kept = is_counted || token.offset.is_some();
        let is_sent = self.answer(out, first, is_counted, args);
        let is_sent_again = later.is_some_and(|later| self.answer(out, later, is_counted, args));
        is_kept || is_sent || is_sent_again
    }

    /// Decides whether an event with this offset is new.
    pub(super) fn accept_once(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: SocketKey,
        offset: &str,
        token: Option<AckToken>,
    ) -> Result<Once, OnceError> {
        if offset.is_empty() || offset.len() > OFFSET_LEN_MAX {
            return Err(OnceError::OffsetLength { limit: OFFSET_LEN_MAX });
        }
        self.member(socket).ok_or(OnceError::UnknownSocket)?;
        let waiting = token.as_ref().map(request);
        let accept = Change::Accept { index: socket.index, offset: Cow::Borrowed(offset), waiting };
        let known = self.sessions.apply(now, accept).accepted();
        match (known.ok_or(OnceError::UnknownSocket)?, token) {
            (Known::Fresh, Some(token)) => {
                Ok(Once::Fresh(Some(AckToken { offset: Some(offset.into()), ..token })))
            }
            (Known::Fresh, None) => {
                // The first event asked for no acknowledgement, so the library answers a repetition
                // that does.
                let key = AnswerKey::Offset(offset.into());
                self.keep_answer(now, socket.index, key, &Args::empty(), true);
                Ok(Once::Fresh(None))
            }
            (Known::Duplicate(Some(args)), Some(token)) => {
                self.acknowledge(now, out, &AckToken { offset: None, ..token }, &args);
                Ok(Once::Duplicate)
            }
            (Known::Duplicate(_), _) => Ok(Once::Duplicate),
        }
    }

    /// Withdraws an accepted event. Returns false if it was not accepted, or is no longer
    /// remembered.
    pub(super) fn withdraw(&mut self, now: Timestamp, token: &AckToken) -> bool {
        let AckToken { socket, id, is_counted, offset } = token;
        if self.member(socket.key).is_none() {
            return false;
        }
        let (index, id) = (socket.key.index, is_counted.then_some(*id));
        let offset = offset.as_deref().map(Cow::Borrowed);
        self.sessions.apply(now, Change::Withdraw { index, id, offset }).is_done()
    }

    /// Handles an event of a client that counts its events. Returns false if the session has moved
    /// to another link: an event on the old link is not counted, so the client sends it again.
    pub(super) fn receive(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: Attached,
        event: socket::Event,
        ack: Option<u64>,
    ) -> bool {
        let is_current = self.attached(socket).is_some();
        if is_current {
            self.sessions.apply(now, Change::Count { index: socket.key.index });
            let ack = ack.map(|id| AckToken { is_counted: true, ..AckToken::new(socket, id) });
            let namespace = self.sessions.name().clone();
            let received = ServerEvent::Received { socket: socket.key, namespace, event, ack };
            out.push_back(HubOutput::Event(received));
        }
        is_current
    }

    /// Answers a question of a client that counts its events: how many were received, and which of
    /// the events in question it must send again. Repeats answers.
    pub(super) fn confirm(
        &mut self,
        now: Timestamp,
        out: &mut Outbox<D>,
        socket: Attached,
        ids: Vec<u64>,
    ) {
        let Some(connection) = self.attached(socket).and_then(Member::connection) else {
            return;
        };
        let question = Change::Question { index: socket.key.index, ids };
        for packet in self.sessions.apply(now, question).told() {
            out.push_back(self.deliver_one(connection, packet, Reliability::Answer));
        }
    }

    /// Stores an answer under the id and under the offset of its event. Returns the repetition that
    /// waits for it.
    fn keep_answers(
        &mut self,
        now: Timestamp,
        token: &AckToken,
        args: &Args,
        is_sent: bool,
    ) -> Option<AckRequest> {
        let index = token.socket.key.index;
        if token.is_counted {
            self.keep_answer(now, index, AnswerKey::Id(token.id), args, is_sent);
        }
        let offset = token.offset.clone()?;
        self.keep_answer(now, index, AnswerKey::Offset(offset), args, is_sent)
    }

    fn keep_answer(
        &mut self,
        now: Timestamp,
        index: u32,
        key: AnswerKey,
        args: &Args,
        is_sent: bool,
    ) -> Option<AckRequest> {
        let args = Cow::Borrowed(args);
        let answer = Change::Answer { index, key, args, is_sent };
        self.sessions.apply(now, answer).answered()
    }

    /// Sends an answer to the link that asked for it or, if the client counts its events, to the
    /// current link of the session.
    fn answer(&self, out: &mut Outbox<D>, to: AckRequest, is_counted: bool, args: &Args) -> bool {
        let member = if is_counted { self.member(to.socket.key) } else { self.attached(to.socket) };
        let connection = member.and_then(Member::connection);
        let packet = connection.map(|_| Encoded::ack(self.sessions.name(), to.id, args));
        let delivery = connection
            .zip(packet)
            .map(|(to, packet)| self.deliver_one(to, packet, Reliability::Answer));
        let is_sent = delivery.is_some();
        out.extend(delivery);
        is_sent
    }
}

/// The attempt that a token belongs to.
fn request(token: &AckToken) -> AckRequest {
    AckRequest { socket: token.socket, id: token.id }
}
