//! What a new process needs to go on where an old one has ended.

use alloc::{collections::BTreeMap, format, vec::Vec};
use core::fmt;

use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use super::{
    BufferedEvent, Client, ClientConfig, ClientLimits,
    offset::Position,
    session::{PID_LEN_MAX, Session},
    settle::ID_MAX,
    socket::Socket,
    unconfirmed::Sent,
};
use crate::{
    engine::ClientConnection,
    number::{whole, whole_or_null},
    socket::NamespaceName,
    time::Timestamp,
};

/// The state of a client that outlives its process: its sessions, and the events that have not
/// arrived. Take it with [`Client::state`], and give it to [`Client::restore`].
///
/// It holds bearer tokens: whoever has them has the sessions. Its `Debug` does not show them.
///
/// It can be serialised, in any format that describes itself. The form has a version: one of
/// another version is refused when it is read, and what contradicts itself when it is restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientState {
    version: Version,
    websocket_worked: bool,
    sessions: Vec<SessionState>,
}

impl ClientState {
    /// Returns the sessions, one per namespace that has something to go on with.
    pub fn sessions(&self) -> &[SessionState] {
        &self.sessions
    }
}

/// The form that this code writes and reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Version;

const VERSION: u32 = 1;

/// No client draws so many, and from here on there is room for as many again.
const NEXT_ACK_MAX: u64 = ID_MAX / 2;

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

/// The state of a client in one namespace.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    namespace: NamespaceName,
    pid: Option<ByteString>,
    offset: Option<ByteString>,
    /// Names of acknowledgements are not used twice.
    #[serde(deserialize_with = "whole")]
    next_ack: u64,
    /// Events that were sent and that the server has not confirmed, if it confirms.
    sent: Option<Sent>,
    /// Events that were not sent.
    buffered: Vec<BufferedEvent>,
    /// Events that are sent until they are acknowledged.
    retrying: Vec<BufferedEvent>,
    /// How often the first of them was sent.
    tries: u32,
    /// The id that it has on the wire, if the server confirms and may have it.
    #[serde(default, deserialize_with = "whole_or_null")]
    in_flight: Option<u64>,
}

impl SessionState {
    /// Returns the namespace.
    pub fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }

    /// Returns the position of the last event that was polled, as the server wrote it.
    pub fn offset(&self) -> Option<&str> {
        self.offset.as_deref()
    }

    /// Returns the events that have not arrived, as far as is known: those that were sent and not
    /// confirmed, those that were not sent, and those that are sent until they are acknowledged.
    pub fn events(&self) -> impl Iterator<Item = &BufferedEvent> {
        let in_flight = self.in_flight;
        let sent = self.sent.iter().flat_map(|sent| sent.events.iter().flatten());
        // One that is in flight is in both places.
        let sent = sent.filter(move |event| event.ack.is_none() || event.ack != in_flight);
        sent.chain(&self.buffered).chain(&self.retrying)
    }

    fn of(socket: &Socket, config: &ClientConfig) -> Option<Self> {
        let (pid, offset) = socket.session.exported();
        let in_flight = socket.retries.in_flight().filter(|_| socket.unconfirmed.is_active());
        let head = socket.retries.sent_head().map(|(name, _)| name);
        // Of what is awaited only the head of the retries will be, which has its id here.
        let sent = |event: &BufferedEvent| {
            let ack = in_flight.filter(|_| event.ack.is_some() && event.ack == head);
            BufferedEvent { ack, ..event.clone() }
        };
        let unawaited = |event: &BufferedEvent| BufferedEvent { ack: None, ..event.clone() };
        let state = Self {
            namespace: socket.name.clone(),
            pid,
            offset,
            next_ack: socket.next_ack,
            sent: socket.unconfirmed.exported(sent),
            buffered: socket.buffer.iter().map(unawaited).collect(),
            retrying: socket.retries.events().iter().cloned().collect(),
            tries: socket.retries.tries().min(config.retries),
            in_flight,
        };
        let is_empty =
            state.pid.is_none() && state.buffered.is_empty() && state.retrying.is_empty();
        (!is_empty).then_some(state)
    }

    /// Whether it can have been written by a client.
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
        // The clock of the former process may have been another one.
        let known = |event: BufferedEvent| BufferedEvent { at: event.at.min(now), ..event };
        socket.next_ack = self.next_ack;
        socket.session = Session::restored(self.pid, self.offset);
        let head = self.retrying.first().and_then(|event| event.ack);
        let named = |event: BufferedEvent| BufferedEvent { ack: event.ack.and(head), ..event };
        socket.unconfirmed.restore(self.sent.map(|sent| Sent {
            events: sent.events.into_iter().map(|event| event.map(known).map(named)).collect(),
            ..sent
        }));
        self.buffered.into_iter().map(known).for_each(|event| socket.buffer.push(event));
        socket.buffer.mark_restored();
        self.retrying.into_iter().map(known).for_each(|event| socket.retries.push(event));
        socket.retries.restore(self.tries.min(config.retries), self.in_flight);
    }
}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionState")
            .field("namespace", &self.namespace)
            .field("offset", &self.offset)
            .field("events", &self.events().count())
            .finish_non_exhaustive()
    }
}

/// Why a state was not taken over. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The client has namespaces already.
    #[error("the client has namespaces already")]
    InUse,
    /// It has more namespaces or events than [`ClientLimits`] allow.
    #[error("there is more than the limits allow")]
    OverLimits,
    /// It contradicts itself: no client has written it.
    #[error("it contradicts itself")]
    Inconsistent,
}

impl Client {
    /// Returns what a new process needs to go on: the sessions, up to the last event that was
    /// polled, and the events that have not arrived.
    ///
    /// It is the state of this moment: what the client does afterwards is not in it. So take it
    /// last, when there is no output left, or write it down each time before it is acted upon. If
    /// a server that counts says that there is more than the state knows of, it is
    /// [out of date](super::Event::StateOutOfDate): what is uncertain then is reported and not sent
    /// again, and no answer to an event that it does not know is taken for one to another.
    ///
    /// Takes O(events); their contents are shared.
    pub fn state(&self) -> ClientState {
        let config = &self.io.config;
        let sessions = self.sockets.values().filter_map(|it| SessionState::of(it, config));
        ClientState {
            version: Version,
            websocket_worked: self
                .io
                .connection
                .as_ref()
                .map_or(self.start.websocket_worked, ClientConnection::websocket_worked),
            sessions: sessions.collect(),
        }
    }

    /// Takes over the state of a former process. To be called before anything else; then
    /// [`connect`](Self::connect) goes on with the session.
    ///
    /// Acknowledgements that the former process waited for are not waited for any more, except
    /// those of [`emit_with_retries`](Self::emit_with_retries):
    /// [`retrying`](Self::retrying) tells under which name each of these settles.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::client::{Auth, Client, ClientConfig, ClientState};
    /// use socketio_proto::socket::Event;
    ///
    /// let entropy = |dest: &mut [u8]| dest.fill(7);
    /// let now = Timestamp::ZERO;
    /// let mut former = Client::new(ClientConfig::new(), entropy)?;
    /// former.connect(now, "/", Auth::None)?;
    /// former.emit(now, "/", &Event::new("hello", &())?)?;
    /// let stored = serde_json::to_string(&former.state())?;
    ///
    /// let mut client = Client::new(ClientConfig::new(), entropy)?;
    /// client.restore(now, serde_json::from_str::<ClientState>(&stored)?)?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert_eq!(client.buffered("/").count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if the client is in use, or if the state cannot be what it should be. The
    /// client is as it was then.
    pub fn restore(&mut self, now: Timestamp, state: ClientState) -> Result<(), RestoreError> {
        self.advance(now);
        if !self.sockets.is_empty() {
            return Err(RestoreError::InUse);
        }
        let config = self.io.config.clone();
        if state.sessions.len() > config.limits.namespaces {
            return Err(RestoreError::OverLimits);
        }
        let mut sockets = BTreeMap::new();
        for session in state.sessions {
            if !session.is_consistent() || sockets.contains_key(&session.namespace) {
                return Err(RestoreError::Inconsistent);
            }
            if !session.respects(&config.limits) {
                return Err(RestoreError::OverLimits);
            }
            let name = session.namespace.clone();
            let slot = sockets.len() as u64;
            let mut socket = Socket::new(name.clone(), self.next_slot.wrapping_add(slot));
            session.restore(self.io.now, &mut socket, &config);
            sockets.insert(name, socket);
        }
        self.next_slot = self.next_slot.wrapping_add(sockets.len() as u64);
        self.start.websocket_worked = state.websocket_worked;
        self.sockets = sockets;
        Ok(())
    }
}
