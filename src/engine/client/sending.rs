//! Sending to the server, and the limits on what waits for it.

use super::{
    super::{
        EnginePacket, Frame, Payload, SendError, Transport, packet::base64_len, queue::Account,
    },
    ClientConnection,
};

impl ClientConnection {
    /// Sends a message.
    ///
    /// A text must not contain U+001E: polling would split it there. JSON never contains it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection is not open. [`SendError::Overflow`] if more would
    /// be queued than [`ClientLimits`](crate::client::ClientLimits) allow; nothing is sent then,
    /// and the connection continues.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # connection.poll_output();
    /// connection.send(Payload::Text("hello".into()))?;
    /// let frame = Frame::Text("4hello".into());
    /// assert_eq!(connection.poll_output(), Some(EngineClientOutput::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&mut self, payload: Payload) -> Result<(), SendError> {
        let frame = EnginePacket::Message(payload).encode();
        if self.is_open() && !self.has_room(1, frame.len()) {
            return Err(SendError::Overflow);
        }
        self.send_frames(core::iter::once(frame))
    }

    /// Sends encoded messages without checking the limits.
    pub(crate) fn send_frames(
        &mut self,
        frames: impl Iterator<Item = Frame>,
    ) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        for frame in frames {
            self.queue.push(frame, Account::Burst);
        }
        self.pump();
        Ok(())
    }

    /// Whether this many messages, with this many bytes in total, can be queued.
    pub(crate) fn has_room(&self, packets: usize, bytes: usize) -> bool {
        let limits = &self.config.limits;
        self.queue.has_room(packets, bytes, limits.queued_packets, limits.queued_bytes)
    }

    /// Whether the server accepts a text and attachments of these sizes, each as a separate
    /// message, on the current transport. During an upgrade that is WebSocket: see
    /// [`pump`](Self::pump).
    pub(crate) fn takes(&self, text: usize, mut attachments: impl Iterator<Item = usize>) -> bool {
        let is_base64 = self.transport() == Transport::Polling && !self.state.is_probing();
        text <= self.max_payload
            && attachments.all(|len| {
                let len = if is_base64 { base64_len(len) } else { len };
                len <= self.max_payload
            })
    }

    /// Limits the size of a body, except for a single larger packet.
    pub(crate) fn limit_bodies(&mut self, max_body: usize) {
        self.max_body = max_body;
    }

    /// The size limit of a body, as far as it is known.
    pub(crate) fn max_body(&self) -> usize {
        self.max_body
    }
}
