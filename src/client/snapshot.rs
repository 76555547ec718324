//! What the next process needs to continue where this one ends.

use alloc::{collections::BTreeMap, format, vec::Vec};
use core::fmt;

use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use super::{
    BufferedEvent, Client, ClientConfig, ClientLimits,
    offset::Position,
    session::{PID_LEN_MAX, Session},
    socket::Socket,
    unconfirmed::Sent,
};
use crate::{
    engine::ClientConnection,
    number::{INTEGER_MAX, whole, whole_or_null},
    socket::NamespaceName,
    time::Timestamp,
};

/// A snapshot of a client: its sessions, and the events that have not arrived. Take it with
/// [`Client::snapshot`] and pass it to [`Client::restore`], which has an example.
///
/// It contains private ids. Everybody who knows them can take the sessions over, so store it as a
/// secret. Its `Debug` does not show them.
///
/// It can be serialised in any self-describing format. The form has a version number. Another version
/// is refused when it is deserialised, and inconsistent contents when it is restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSnapshot {
    version: Version,
    websocket_worked: bool,
    sessions: Vec<SessionSnapshot>,
}

impl ClientSnapshot {
    /// Returns the sessions: one for each namespace that has something to restore.
    ///
    /// ```
    /// use socketio_proto::client::{Client, ClientConfig};
    ///
    /// let client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// assert!(client.snapshot().sessions().is_empty());
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn sessions(&self) -> &[SessionSnapshot] {
        &self.sessions
    }
}

/// The version of the serialised form that this code writes and reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Version;

const VERSION: u32 = 1;

/// No client uses more names, and from here on there is room for as many again.
const NEXT_ACK_MAX: u64 = INTEGER_MAX / 2;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            VERSION => Ok(Self),
            other => Err(D::Error::custom(format!("the version is {other} and not {VERSION}"))),
        }
    }
}

/// The part of a [`ClientSnapshot`] that belongs to one namespace.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSnapshot {
    namespace: NamespaceName,
    pid: Option<ByteString>,
    offset: Option<ByteString>,
    /// The next unused name of an acknowledgement: none is used twice.
    #[serde(deserialize_with = "whole")]
    next_ack: u64,
    /// Events that were sent and not confirmed, if the server confirms events.
    sent: Option<Sent>,
    /// Events that were not sent.
    buffered: Vec<BufferedEvent>,
    /// Events that were emitted with retries and not acknowledged.
    retrying: Vec<BufferedEvent>,
    /// How often the first event of `retrying` was sent.
    tries: u32,
    /// Its id on the wire, if the server confirms events and may have received it.
    #[serde(default, deserialize_with = "whole_or_null")]
    in_flight: Option<u64>,
}

impl SessionSnapshot {
    /// Returns the namespace.
    pub fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }

    /// Returns the offset of the last event that was polled, as the server wrote it.
    pub fn offset(&self) -> Option<&str> {
        self.offset.as_deref()
    }

    /// Returns the events that have not arrived, as far as the client knows: events that were sent and
    /// not confirmed, then events that were not sent, then events that were emitted with retries.
    pub fn events(&self) -> impl Iterator<Item = &BufferedEvent> {
        let in_flight = self.in_flight;
        let sent = self.sent.iter().flat_map(|sent| sent.events.iter().flatten());
        // The retried event that is in flight is in both lists.
        let sent = sent.filter(move |event| event.ack.is_none() || event.ack != in_flight);
        sent.chain(&self.buffered).chain(&self.retrying)
    }

    fn of(socket: &Socket, config: &ClientConfig) -> Option<Self> {
        let (pid, offset) = socket.session.exported();
        let in_flight = socket.retries.in_flight().filter(|_| socket.unconfirmed.is_counted());
        let head = socket.retries.sent_head().map(|(name, _)| name);
        // Of all acknowledgements the next process waits only for those of retried events. The one in
        // flight is marked by its id.
        let sent = |event: &BufferedEvent| {
            let ack = in_flight.filter(|_| event.ack.is_some() && event.ack == head);
            BufferedEvent { ack, ..event.clone() }
        };
        let without_ack = |event: &BufferedEvent| BufferedEvent { ack: None, ..event.clone() };
        let snapshot = Self {
            namespace: socket.name.clone(),
            pid,
            offset,
            next_ack: socket.next_ack,
            sent: socket.unconfirmed.exported(sent),
            buffered: socket.buffer.iter().map(without_ack).collect(),
            retrying: socket.retries.events().iter().cloned().collect(),
            tries: socket.retries.tries().min(config.retries),
            in_flight,
        };
        let is_empty =
            snapshot.pid.is_none() && snapshot.buffered.is_empty() && snapshot.retrying.is_empty();
        (!is_empty).then_some(snapshot)
    }

    /// Whether a client can have written it.
    fn is_consistent(&self) -> bool {
        let is_pid = |pid: &ByteString| !pid.is_empty() && pid.len() <= PID_LEN_MAX;
        let is_ours = |name: u64| name < self.next_ack;
        let is_sent = |id: u64, sent: &Sent| {
            let events = u64::try_from(sent.events.len()).unwrap_or(u64::MAX);
            id < sent.confirmed.saturating_add(events)
        };
        let is_number = |sent: &Sent| sent.confirmed <= NEXT_ACK_MAX;
        let sent = self.sent.iter().flat_map(|sent| sent.events.iter().flatten());
        let mut unawaited = sent.chain(&self.buffered).map(|event| event.ack);
        let mut names = self.retrying.iter().map(|event| event.ack);
        let is_ordered =
            self.retrying.iter().zip(self.retrying.iter().skip(1)).all(|(a, b)| a.ack < b.ack);
        self.pid.as_ref().is_none_or(is_pid)
            && self.offset.as_deref().is_none_or(|text| Position::parse(text).is_some())
            && (self.pid.is_some() || (self.offset.is_none() && self.sent.is_none()))
            && unawaited.all(|ack| ack.is_none() || ack == self.in_flight)
            && names.all(|name| name.is_some_and(is_ours))
            && is_ordered
            && self
                .in_flight
                .is_none_or(|id| self.sent.as_ref().is_some_and(|sent| is_sent(id, sent)))
            && (self.in_flight.is_none() || !self.retrying.is_empty())
            && self.sent.as_ref().is_none_or(is_number)
            && self.next_ack <= NEXT_ACK_MAX
    }

    fn respects(&self, limits: &ClientLimits) -> bool {
        let sent = self.sent.as_ref().map_or(&[][..], |sent| &sent.events);
        let size = |events: &[BufferedEvent]| {
            events.iter().map(BufferedEvent::size).fold(0, usize::saturating_add)
        };
        let sent_size = sent.iter().flatten().map(BufferedEvent::size);
        let waiting = sent_size.fold(size(&self.buffered), usize::saturating_add);
        sent.len().saturating_add(self.buffered.len()) <= limits.buffered_events
            && self.retrying.len() <= limits.buffered_events
            && waiting <= limits.buffered_bytes
            && size(&self.retrying) <= limits.buffered_bytes
    }

    fn restore(self, now: Timestamp, socket: &mut Socket, config: &ClientConfig) {
        // The other process may have had another clock.
        let not_later = |event: BufferedEvent| BufferedEvent { at: event.at.min(now), ..event };
        socket.next_ack = self.next_ack;
        socket.session = Session::restored(self.pid, self.offset);
        let head = self.retrying.first().and_then(|event| event.ack);
        let named = |event: BufferedEvent| BufferedEvent { ack: event.ack.and(head), ..event };
        socket.unconfirmed.restore(self.sent.map(|sent| Sent {
            events: sent.events.into_iter().map(|event| event.map(not_later).map(named)).collect(),
            ..sent
        }));
        self.buffered.into_iter().map(not_later).for_each(|event| socket.buffer.push(event));
        socket.buffer.mark_restored();
        self.retrying.into_iter().map(not_later).for_each(|event| socket.retries.push(event));
        socket.retries.restore(self.tries.min(config.retries), self.in_flight);
    }
}

impl fmt::Debug for SessionSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSnapshot")
            .field("namespace", &self.namespace)
            .field("offset", &self.offset)
            .field("events", &self.events().count())
            .finish_non_exhaustive()
    }
}

/// Why a snapshot was not restored. The client is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientRestoreError {
    /// The client already has namespaces.
    #[error("the client already has namespaces")]
    InUse,
    /// The snapshot has more namespaces or events than [`ClientLimits`] allow.
    #[error("the snapshot has more than the limits allow")]
    OverLimits,
    /// The snapshot is inconsistent: no client has written it.
    #[error("the snapshot is inconsistent")]
    Inconsistent,
}

impl Client {
    /// Returns a snapshot for the next process: the sessions up to the last event that was polled, and
    /// the events that have not arrived. [`restore`](Self::restore) has an example.
    ///
    /// What the client does later is not in it. So take the snapshot last, when there is no output
    /// left, or store a new one before you carry out each output. A server that counts events notices
    /// an old snapshot. Then the client reports it ([`ClientEvent::SnapshotOutOfDate`]): it does not send
    /// events again that may have arrived, and it takes no answer to an unknown event for the answer to
    /// another.
    ///
    /// Takes O(events). The contents of events are shared, not copied.
    ///
    /// [`ClientEvent::SnapshotOutOfDate`]: super::ClientEvent::SnapshotOutOfDate
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit(now, "/", &Event::new("hello", &())?)?;
    /// let stored = serde_json::to_string(&client.snapshot())?;
    /// assert!(stored.contains("hello"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> ClientSnapshot {
        let config = &self.cx.config;
        let sessions = self.sockets.values().filter_map(|it| SessionSnapshot::of(it, config));
        ClientSnapshot {
            version: Version,
            websocket_worked: self
                .cx
                .state
                .connection()
                .map_or(self.start.websocket_worked, ClientConnection::websocket_worked),
            sessions: sessions.collect(),
        }
    }

    /// Restores the snapshot of another process. Call it before any other verb. Afterwards
    /// [`connect`](Self::connect) continues the session.
    ///
    /// Acknowledgements that the other process waited for are dropped, except those of
    /// [`emit_with_retries`](Self::emit_with_retries): [`retrying`](Self::retrying) returns the new id of
    /// each.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::client::{Auth, Client, ClientConfig, ClientSnapshot};
    /// use socketio_proto::socket::Event;
    ///
    /// let entropy = |dest: &mut [u8]| dest.fill(7);
    /// let now = Timestamp::ZERO;
    /// let mut previous = Client::new(ClientConfig::new(), entropy)?;
    /// previous.connect(now, "/", Auth::None)?;
    /// previous.emit(now, "/", &Event::new("hello", &())?)?;
    /// let stored = serde_json::to_string(&previous.snapshot())?;
    ///
    /// let mut client = Client::new(ClientConfig::new(), entropy)?;
    /// client.restore(now, serde_json::from_str::<ClientSnapshot>(&stored)?)?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert_eq!(client.buffered("/").count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientRestoreError`] if the client is in use, if the snapshot is inconsistent, or at a limit. The
    /// client is unchanged then.
    pub fn restore(
        &mut self,
        now: Timestamp,
        snapshot: ClientSnapshot,
    ) -> Result<(), ClientRestoreError> {
        self.advance(now);
        if !self.sockets.is_empty() {
            return Err(ClientRestoreError::InUse);
        }
        let config = self.cx.config.clone();
        if snapshot.sessions.len() > config.limits.namespaces {
            return Err(ClientRestoreError::OverLimits);
        }
        let mut sockets = BTreeMap::new();
        for session in snapshot.sessions {
            if !session.is_consistent() || sockets.contains_key(&session.namespace) {
                return Err(ClientRestoreError::Inconsistent);
            }
            if !session.respects(&config.limits) {
                return Err(ClientRestoreError::OverLimits);
            }
            let name = session.namespace.clone();
            let slot = sockets.len() as u64;
            let mut socket = Socket::new(name.clone(), self.next_slot.wrapping_add(slot));
            session.restore(self.cx.now, &mut socket, &config);
            sockets.insert(name, socket);
        }
        self.next_slot = self.next_slot.wrapping_add(sockets.len() as u64);
        self.start.websocket_worked = snapshot.websocket_worked;
        self.sockets = sockets;
        Ok(())
    }
}
