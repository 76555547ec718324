//! The verbs that emit events, acknowledge events, and take events back.

use alloc::vec::Vec;
use core::time::Duration;

use super::{
    BufferedEvent, Client, ClientAckToken, ClientEmitError, context::Context, socket::Socket,
    verbs::find,
};
use crate::{
    id::AckId,
    socket::{self, Args, Encoded},
    time::Timestamp,
};

impl Client {
    /// Emits an event. While the namespace is not joined, the event is buffered.
    ///
    /// # Errors
    ///
    /// [`ClientEmitError::UnknownNamespace`], [`ClientEmitError::Full`] at a limit, and [`ClientEmitError::TooLarge`] or
    /// [`ClientEmitError::TooManyAttachments`] if the server is known not to accept the event. Its
    /// `maxPayload` is known while there is a connection. A buffered event that turns out to be too
    /// large is reported as [`Undeliverable`](super::ClientEvent::Undeliverable).
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit(now, "/", &Event::new("chat message", &("hello", 7))?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
    ) -> Result<(), ClientEmitError> {
        self.advance(now);
        self.send_or_buffer(namespace, event, None)
    }

    /// Sends an event at once, or drops it. Returns whether it was sent.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// assert!(!client.emit_volatile(now, "/", &Event::new("typing", &())?), "not joined");
    /// assert_eq!(client.buffered("/").count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit_volatile(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
    ) -> bool {
        self.advance(now);
        let Some(socket) = find(&mut self.sockets, namespace) else {
            return false;
        };
        let packet = Encoded::event(&socket.name, event, None, None);
        let can_send = socket.is_connected()
            && !socket.is_held_back(&self.cx)
            && self.cx.is_writable()
            && self.cx.undeliverable(&packet).is_none()
            && self.cx.has_room(&packet)
            && socket.unconfirmed.has_room(None, &self.cx.config.limits);
        let is_sent = can_send && self.cx.send(&packet);
        if is_sent {
            let serial = self.cx.count_event();
            socket.keep(&mut self.cx, None, serial);
        }
        is_sent
    }

    /// Emits an event and asks for an acknowledgement. It completes with
    /// [`ClientEvent::Acked`](super::ClientEvent::Acked) or [`ClientEvent::AckFailed`](super::ClientEvent::AckFailed), at the
    /// latest when `timeout` has passed from now. An event that was not sent by then is dropped.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`ClientEmitError::TooManyAcks`] at the limit.
    ///
    /// ```
    /// use core::time::Duration;
    /// use socketio_proto::client::{ClientAckFailure, ClientEvent, ClientOutput};
    /// use socketio_proto::engine::ClientInput;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// let (event, timeout) = (Event::new("save", &("text",))?, Duration::from_secs(5));
    /// let id = client.emit_with_ack(now, "/", &event, timeout)?;
    ///
    /// client.handle_input(Timestamp::from_millis(5_000), ClientInput::Timeout);
    /// let mut outputs = std::iter::from_fn(|| client.poll_output());
    /// assert!(outputs.any(|output| matches!(
    ///     output,
    ///     ClientOutput::Event(ClientEvent::AckFailed { ack, cause: ClientAckFailure::Timeout, .. }) if ack == id
    /// )));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit_with_ack(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, ClientEmitError> {
        self.advance(now);
        let limit = self.cx.config.limits.pending_acks;
        let socket = find(&mut self.sockets, namespace).ok_or(ClientEmitError::UnknownNamespace)?;
        if socket.acks.len() >= limit {
            return Err(ClientEmitError::TooManyAcks { limit });
        }
        let name = socket.next_name();
        socket.acks.expect(name, self.cx.now.saturating_add(timeout));
        let ack = socket.ack_id(name);
        let result = self.send_or_buffer(namespace, event, Some(name));
        if result.is_err()
            && let Some(socket) = find(&mut self.sockets, namespace)
        {
            socket.acks.remove(name);
        }
        result.map(|()| ack)
    }

    /// Emits an event that is delivered at least once, unless it is given up. It is sent again, after
    /// [`ack_timeout`](super::ClientConfig::ack_timeout) or on the next connection, until the server
    /// acknowledges it. It is given up after [`retries`](super::ClientConfig::retries) further
    /// attempts, or when it has waited for
    /// [`buffered_age`](super::ClientLimits#structfield.buffered_age), 10 minutes by default: a long
    /// time offline ends it as well. Events with retries are sent in order, one at a time. The
    /// acknowledgement completes as in [`emit_with_ack`](Self::emit_with_ack).
    ///
    /// The server may receive the event several times, so add an id that the application can check. A
    /// server that [counts events](crate::RecoveryConfig::count_events) receives it once in a session;
    /// a further try only asks for the acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// let id = client.emit_with_retries(now, "/", &Event::new("order", &("unique id",))?)?;
    /// assert_eq!(client.retrying("/").next().map(|(id, _)| id), Some(id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit_with_retries(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
    ) -> Result<AckId, ClientEmitError> {
        self.advance(now);
        let at = self.cx.now;
        let socket = find(&mut self.sockets, namespace).ok_or(ClientEmitError::UnknownNamespace)?;
        let mut event = BufferedEvent { event: event.clone(), at, ack: None };
        let name = socket.next_name();
        event.ack = Some(name);
        check_event(socket, &self.cx, &event)?;
        if !socket.retries.events().has_room(&event, (0, 0), &self.cx.config.limits) {
            return Err(ClientEmitError::Full);
        }
        socket.retries.push(event);
        socket.send_retry(&mut self.cx);
        Ok(socket.ack_id(name))
    }

    /// Acknowledges an event of the server. Returns false if the namespace is not joined or has another
    /// session, or if the answer is larger or has more attachments than the server accepts.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, client::{Client, ClientEvent}, socket::Args};
    /// fn handle_event(client: &mut Client, now: Timestamp, event: ClientEvent) {
    ///     if let ClientEvent::Received { ack: Some(token), .. } = event {
    ///         let answer = Args::new(&("ok",)).expect("a string is valid JSON");
    ///         client.ack(now, token, &answer);
    ///     }
    /// }
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a token allows one answer")]
    pub fn ack(&mut self, now: Timestamp, token: ClientAckToken, args: &Args) -> bool {
        self.advance(now);
        let socket = self.sockets.values().find(|socket| socket.slot == token.slot);
        let socket = socket.filter(|socket| {
            socket.is_connected() && socket.session.generation() == token.generation
        });
        socket.is_some_and(|socket| {
            let packet = Encoded::ack(&socket.name, token.id, args);
            self.cx.undeliverable(&packet).is_none() && self.cx.send(&packet)
        })
    }

    /// Returns the buffered events, oldest first. [`take_buffered`](Self::take_buffered) has an example.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit(now, "/", &Event::new("hello", &())?)?;
    /// assert_eq!(client.buffered("/").count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffered(&self, namespace: &str) -> impl Iterator<Item = &BufferedEvent> {
        self.sockets.get(namespace).into_iter().flat_map(|socket| socket.buffer.iter())
    }

    /// Removes and returns the buffered events, oldest first. Their acknowledgements fail as withdrawn.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit(now, "/", &Event::new("hello", &())?)?;
    /// assert_eq!(client.buffered("/").count(), 1);
    /// let taken = client.take_buffered(now, "/");
    /// assert_eq!(taken[0].event().name(), "hello");
    /// assert_eq!(client.buffered("/").count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_buffered(&mut self, now: Timestamp, namespace: &str) -> Vec<BufferedEvent> {
        self.advance(now);
        let socket = find(&mut self.sockets, namespace);
        socket.map(|socket| socket.take_buffered(&mut self.cx)).unwrap_or_default()
    }

    /// Returns the events of [`emit_with_retries`](Self::emit_with_retries) that are not complete, oldest
    /// first, each with the id of its acknowledgement. The first one may have been sent.
    /// [`take_retrying`](Self::take_retrying) has an example.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit_with_retries(now, "/", &Event::new("order", &(7,))?)?;
    /// assert_eq!(client.retrying("/").count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retrying(&self, namespace: &str) -> impl Iterator<Item = (AckId, &BufferedEvent)> {
        self.sockets.get(namespace).into_iter().flat_map(|socket| {
            let events = socket.retries.events().iter();
            events.filter_map(|event| Some((socket.ack_id(event.ack?), event)))
        })
    }

    /// Removes and returns the events of [`emit_with_retries`](Self::emit_with_retries) that are not
    /// complete, oldest first. Their acknowledgements fail as withdrawn.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit_with_retries(now, "/", &Event::new("order", &())?)?;
    /// assert_eq!(client.retrying("/").count(), 1);
    /// assert_eq!(client.take_retrying(now, "/").len(), 1);
    /// assert_eq!(client.retrying("/").count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_retrying(&mut self, now: Timestamp, namespace: &str) -> Vec<BufferedEvent> {
        self.advance(now);
        let socket = find(&mut self.sockets, namespace);
        socket.map(|socket| socket.take_retrying(&mut self.cx)).unwrap_or_default()
    }

    fn send_or_buffer(
        &mut self,
        namespace: &str,
        event: &socket::Event,
        ack: Option<u64>,
    ) -> Result<(), ClientEmitError> {
        let socket = find(&mut self.sockets, namespace).ok_or(ClientEmitError::UnknownNamespace)?;
        let event = BufferedEvent { event: event.clone(), at: self.cx.now, ack };
        check_event(socket, &self.cx, &event)?;
        if !socket.has_room(&event, &self.cx.config.limits) {
            return Err(ClientEmitError::Full);
        }
        let is_held_back = socket.is_held_back(&self.cx);
        if !socket.is_connected() || is_held_back {
            socket.buffer.push(event);
            self.cx.holds_back |= is_held_back;
            return Ok(());
        }
        let (packet, id) = socket.encode(&event);
        if !self.cx.is_open() || !self.cx.has_room(&packet) {
            return Err(ClientEmitError::Full);
        }
        socket.send_encoded(&mut self.cx, event, &packet, id);
        Ok(())
    }
}

/// Refuses an event that the server is known not to accept.
fn check_event(
    socket: &Socket,
    cx: &Context,
    event: &BufferedEvent,
) -> Result<(), ClientEmitError> {
    socket.undeliverable(cx, event).map_or(Ok(()), |cause| Err(cause.into()))
}
