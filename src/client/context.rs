//! What the namespaces of a client share: the connection, the time and the queue of events.

use alloc::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};
use core::time::Duration;

use bytestring::ByteString;

use super::{ClientConfig, ClientEvent, Undeliverable, left::LeftNamespaces, state::State};
use crate::{
    engine::{ClientConnection, Frame},
    grace::Grace,
    socket::Encoded,
    time::Timestamp,
};

#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: Arc<ClientConfig>,
    /// The latest moment seen.
    pub(super) now: Timestamp,
    pub(super) state: State,
    /// The grace period of what namespaces wait for.
    pub(super) grace: Grace,
    /// Whether events wait for a sign that the connection is alive.
    pub(super) holds_back: bool,
    events: VecDeque<Queued>,
    /// The number of the last request for credentials.
    last_serial: u64,
    /// How many events were sent, on all connections.
    sent_events: u64,
    /// How many events had been sent when the current connection was made.
    sent_before: u64,
    pub(super) left: LeftNamespaces,
    /// The sent events that may be the reason why the server closed the last connection.
    pub(super) suspects: BTreeSet<u64>,
}

/// An event, with the generation of its session and its offset in it. When the application takes
/// the event, the offset becomes part of what is exported.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) event: ClientEvent,
    pub(super) offset: Option<(u64, ByteString)>,
}

impl Context {
    pub(super) fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            now: Timestamp::ZERO,
            state: State::new(),
            grace: Grace::default(),
            holds_back: false,
            events: VecDeque::new(),
            last_serial: 0,
            sent_events: 0,
            sent_before: 0,
            left: LeftNamespaces::default(),
            suspects: BTreeSet::new(),
        }
    }

    pub(super) fn emit(&mut self, event: ClientEvent) {
        self.events.push_back(Queued { event, offset: None });
    }

    /// Queues an event of the server, with the generation of its session and its offset.
    pub(super) fn deliver(&mut self, event: ClientEvent, offset: Option<(u64, ByteString)>) {
        self.events.push_back(Queued { event, offset });
    }

    pub(super) fn pop_event(&mut self) -> Option<Queued> {
        let queued = self.events.pop_front();
        if queued.is_none() && self.events.capacity() > 0 {
            self.events = VecDeque::new();
        }
        queued
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// A connection begins.
    pub(super) fn begin(&mut self, connection: ClientConnection) {
        self.sent_before = self.sent_events;
        self.left.clear();
        self.state.begin(connection);
    }

    /// Sends a packet without a look at the limits. The callers bound what they send.
    pub(super) fn send(&mut self, packet: &Encoded) -> bool {
        let attachments = packet.attachments().iter().cloned().map(Frame::Binary);
        let head = core::iter::once(Frame::Text(packet.head().clone()));
        let connection = self.state.connection_mut();
        connection.is_some_and(|connection| connection.send_frames(head.chain(attachments)).is_ok())
    }

    /// Why the server is known not to accept a packet, if it is.
    pub(super) fn undeliverable(&self, packet: &Encoded) -> Option<Undeliverable> {
        let limit = self.config.limits.sent_attachments;
        if packet.attachments().len() > limit {
            return Some(Undeliverable::TooManyAttachments { limit });
        }
        let connection = self.state.connection().filter(|connection| connection.is_open())?;
        let text = packet.head().len();
        let attachments = packet.attachments().iter().map(bytes::Bytes::len);
        (!connection.takes(text, attachments))
            .then(|| Undeliverable::TooLarge { limit: connection.max_payload() })
    }

    /// Whether a text of this many bytes can be sent, as far as is known.
    pub(super) fn takes(&self, text: usize) -> bool {
        let connection = self.state.connection().filter(|connection| connection.is_open());
        connection.is_none_or(|connection| connection.takes(text, core::iter::empty()))
    }

    /// Numbers an event that is sent.
    pub(super) fn count_event(&mut self) -> u64 {
        self.sent_events = self.sent_events.saturating_add(1);
        self.sent_events
    }

    /// How many events were sent on the current connection, or on the last one if there is none.
    pub(super) fn sent_on_connection(&self) -> u64 {
        self.sent_events.saturating_sub(self.sent_before)
    }

    /// Whether the connection's queue has room for a packet.
    pub(super) fn has_room(&self, packet: &Encoded) -> bool {
        let frames = packet.attachments().len().saturating_add(1);
        let connection = self.state.connection();
        connection.is_some_and(|connection| connection.has_room(frames, packet.wire_len()))
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.connection().is_some_and(ClientConnection::is_open)
    }

    /// Whether a ping is overdue, so that the connection may be dead.
    pub(super) fn is_overdue(&self) -> bool {
        self.state.connection().is_some_and(|connection| connection.is_overdue(self.now))
    }

    /// The longest grace period of what namespaces wait for.
    pub(super) fn longest_grace(&self) -> Duration {
        let of_connection = self.state.connection().map(ClientConnection::longest_grace);
        of_connection.unwrap_or(self.config.connect_timeout)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.state.connection().is_some_and(ClientConnection::is_writable)
    }

    pub(super) fn connect_deadline(&self) -> Timestamp {
        self.now.saturating_add(self.config.connect_timeout)
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.last_serial = self.last_serial.wrapping_add(1);
        self.last_serial
    }
}
