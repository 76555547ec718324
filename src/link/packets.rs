//! The effect of each packet, on the wire and at the hub.

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

use super::{
    Awaited, Link, LinkEvent, LinkOutput,
    joins::{Join, Stage},
};
use crate::{
    engine::{CloseReason, EngineEvent, Frame, Payload, SendError},
    hub::{AckToken, Attached, DisconnectReason, Request, RequestKind},
    number,
    socket::{Args, Decoder, DecoderLimits, Encoded, Kind, Packet},
};

impl Link {
    /// Handles the events of the Engine.IO session.
    pub(super) fn handle_engine(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                EngineEvent::Upgraded => self.rest.out.push(LinkOutput::Event(LinkEvent::Upgraded)),
                EngineEvent::Message(payload) => self.handle_payload(payload),
                EngineEvent::Closed { reason } => self.handle_closed(reason),
            }
        }
    }

    fn handle_payload(&mut self, payload: Payload) {
        if !self.connection.is_open() {
            return;
        }
        let limits = &self.connection.config().limits;
        let fresh = || Decoder::new(DecoderLimits::from(limits));
        let mut decoder = self.rest.decoder.take().map_or_else(fresh, |decoder| *decoder);
        let (text, packet) = match payload {
            Payload::Text(text) => (Some(text.clone()), decoder.push_text(text)),
            Payload::Binary(bytes) => (None, decoder.push_binary(bytes)),
        };
        self.rest.decoder = decoder.is_mid_packet().then(|| Box::new(decoder));
        match packet {
            Ok(Some(packet)) => self.handle_packet(packet),
            Ok(None) => {}
            Err(error) => self.handle_unreadable(error, text.as_deref()),
        }
        self.await_attachment();
    }

    /// A client that has joined a namespace has this much time for each attachment. Before that,
    /// the time to join a namespace is shorter, and covers everything.
    pub(super) fn await_attachment(&mut self) {
        if matches!(self.rest.awaited, Awaited::Namespace(_)) {
            return;
        }
        self.rest.awaited = if self.rest.decoder.is_some() {
            let timeout = self.connection.config().attachment_timeout;
            Awaited::Attachment(self.connection.now().saturating_add(timeout))
        } else {
            Awaited::Nothing
        };
    }

    pub(super) fn close_overdue(&mut self, lateness: Duration) {
        let now = self.connection.now();
        if !self.connection.may_judge(lateness, self.rest.awaited.end()) {
            return;
        }
        let reason = match core::mem::replace(&mut self.rest.awaited, Awaited::Nothing) {
            Awaited::Namespace(_) => CloseReason::ConnectTimeout,
            Awaited::Attachment(_) => CloseReason::AttachmentTimeout,
            Awaited::Nothing => return,
        };
        self.rest.decoder = None;
        self.connection.close(now, reason);
        self.handle_engine();
    }

    fn handle_packet(&mut self, packet: Packet) {
        let Packet { namespace, kind } = packet;
        let join = self.rest.joins.iter().find(|join| join.is_in(&namespace));
        match (kind, join.and_then(|join| join.socket)) {
            (Kind::Connect { auth }, _) => self.handle_connect(namespace, auth),
            (Kind::Disconnect, _) if join.is_some() => {
                self.leave(&namespace, DisconnectReason::ClientNamespaceDisconnect);
            }
            (Kind::ConnectError { .. }, _) => self.handle_namespace_violation(&namespace),
            (Kind::Event { event, ack }, Some(socket)) if self.is_counted(socket) => {
                self.request(RequestKind::Event { socket, event, ack });
            }
            (Kind::Event { event, ack }, Some(socket)) => {
                let ack = ack.map(|id| AckToken::new(socket, id));
                let event = LinkEvent::Received { socket: socket.key, namespace, event, ack };
                self.rest.out.push(LinkOutput::Event(event));
            }
            (Kind::Ack { id: Some(id), args }, Some(socket)) => {
                self.request(RequestKind::Ack { socket, id, args });
            }
            (Kind::Ack { id: None, args }, Some(socket)) => self.confirm(socket, &args),
            (Kind::Event { .. } | Kind::Ack { .. } | Kind::Disconnect, None | Some(_)) => {
                self.request(RequestKind::Misplaced);
            }
        }
    }

    fn is_counted(&self, socket: Attached) -> bool {
        self.rest.joins.iter().any(|join| join.socket == Some(socket) && join.is_counted)
    }

    /// An acknowledgement without an id: a client of this crate counts its events from now on, and
    /// asks how many have arrived. If the server has not offered this, it is ignored.
    fn confirm(&mut self, socket: Attached, args: &Args) {
        if !self.connection.config().counts_events() {
            return;
        }
        let Some(ids) = args.parse().ok().and_then(number::whole_numbers) else {
            return;
        };
        if let Some(join) = self.rest.joins.iter_mut().find(|join| join.socket == Some(socket)) {
            join.is_counted = true;
        }
        self.request(RequestKind::Confirm { socket, ids });
    }

    fn handle_closed(&mut self, reason: CloseReason) {
        for join in self.take_joins() {
            match join.socket.filter(|_| self.is_left_after_replay(&join)) {
                Some(socket) => self.request(RequestKind::Leave { socket, reason: reason.into() }),
                None => self.give_up(&join, reason.into()),
            }
        }
        self.rest.decoder = None;
        self.rest.awaited = Awaited::Nothing;
        self.rest.out.push(LinkOutput::Event(LinkEvent::Closed { reason }));
    }

    /// Whether the client has closed the connection on purpose, after at least one packet behind
    /// the answer to its CONNECT had left the queue.
    fn is_left_after_replay(&self, join: &Join) -> bool {
        let has_more = match join.attempt.as_deref().map(|attempt| attempt.stage) {
            Some(Stage::Answered { answer, .. }) => {
                self.connection.has_left(answer.saturating_add(1))
            }
            // The link has already forgotten the answer, so much was sent since.
            None => true,
            Some(Stage::Asked(_) | Stage::Repeating { .. }) => false,
        };
        has_more && self.connection.is_left()
    }

    pub(super) fn has_joined(&self, namespace: u32) -> bool {
        self.rest.joins.iter().any(|join| join.namespace_id() == Some(namespace))
    }

    pub(super) fn request(&mut self, request: RequestKind) {
        self.rest.out.push(LinkOutput::Hub(Request(request)));
    }

    pub(super) fn send(&mut self, packet: &Encoded, is_answer: bool) -> Result<(), SendError> {
        let head = Frame::Text(packet.head().clone());
        if packet.attachments().is_empty() {
            let frames = core::iter::once(head);
            return self.connection.send_message(packet.head().len(), frames, is_answer);
        }
        let attachments = packet.attachments().iter().map(|bytes| Frame::Binary(bytes.clone()));
        let frames: Vec<Frame> = core::iter::once(head).chain(attachments).collect();
        let bytes = frames.iter().map(Frame::len).sum();
        self.connection.send_message(bytes, frames.into_iter(), is_answer)
    }

    /// Sends a packet without attachments that answers the client, or tells it that its session in
    /// a namespace has ended. A client that does not read them is closed. On a closing connection,
    /// nothing is sent.
    pub(super) fn answer(&mut self, packet: &Encoded) {
        self.connection.send_answer(Frame::Text(packet.head().clone()));
    }

    /// Sends the missed packets. They are bounded by
    /// [`replay_bytes`](crate::RecoveryConfig::replay_bytes) instead of the limits of the queue.
    pub(super) fn replay(&mut self, packet: &Encoded) {
        self.connection.send_exempt(Frame::Text(packet.head().clone()));
        for attachment in packet.attachments() {
            self.connection.send_exempt(Frame::Binary(attachment.clone()));
        }
    }
}
