//! Sending to the peer of a session, and the limits on what waits for it.

use super::{
    CloseReason, EnginePacket, Frame, Payload, SendError, ServerConnection, queue::Account,
};
use crate::time::Timestamp;

impl ServerConnection {
    /// Sends a message at time `now`: if a GET waits, the message answers it now.
    ///
    /// A text must not contain U+001E: polling would split it there. JSON never contains it.
    ///
    /// # Errors
    ///
    /// The same as [`send_frame`](Self::send_frame).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// # session.poll_output();
    /// session.send(now, Payload::Binary(vec![1, 2, 3].into()))?;
    /// let frame = Frame::Binary(vec![1, 2, 3].into());
    /// assert_eq!(session.poll_output(), Some(EngineOutput::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&mut self, now: Timestamp, payload: Payload) -> Result<(), SendError> {
        self.send_frame(now, EnginePacket::Message(payload).encode())
    }

    /// Sends an encoded message. A broadcast encodes a message once for all its recipients.
    ///
    /// # Errors
    ///
    /// * [`SendError::Closed`] if the session is not open.
    /// * [`SendError::Full`] if the peer reads, but more than
    ///   [`queue_burst_bytes`](crate::Limits#structfield.queue_burst_bytes) or
    ///   [`queue_burst_packets`](crate::Limits#structfield.queue_burst_packets) would wait for it.
    ///   Nothing has changed then.
    /// * [`SendError::Overflow`] if the peer does not read, and more than
    ///   [`queued_bytes`](crate::Limits#structfield.queued_bytes) or
    ///   [`queued_packets`](crate::Limits#structfield.queued_packets) would wait for it. The session
    ///   has closed itself then.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// # session.poll_output();
    /// let frame = EnginePacket::Message(Payload::Text("to everyone".into())).encode();
    /// for session in [&mut session] {
    ///     session.send_frame(now, frame.clone())?; // Cloning does not copy the text.
    /// }
    /// assert_eq!(session.poll_output(), Some(EngineOutput::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_frame(&mut self, now: Timestamp, frame: Frame) -> Result<(), SendError> {
        self.advance(now);
        let sent = self.send_message(frame.len(), core::iter::once(frame), false);
        if sent == Err(SendError::Overflow) {
            self.end(CloseReason::Overflow);
        }
        sent
    }

    /// Sends the frames of one message, which have this many bytes in total: all of them, or none
    /// if there is no room. The session continues in any case. The caller has updated the time.
    ///
    /// An answer to the peer that does not fit into a burst fits if it would fit for a peer that
    /// does not read: an honest peer may ask for many at once.
    pub(crate) fn send_message(
        &mut self,
        bytes: usize,
        frames: impl ExactSizeIterator<Item = Frame>,
        is_answer: bool,
    ) -> Result<(), SendError> {
        let account = match self.find_room(self.now(), frames.len(), bytes) {
            Err(SendError::Full) if is_answer && self.fits_backlog(frames.len(), bytes) => {
                Account::Backlog
            }
            found => found?,
        };
        for frame in frames {
            self.queue.push(frame, account);
        }
        self.answer_get();
        Ok(())
    }

    /// Like [`send_frame`](Self::send_frame), for answers to the peer: however many requests it
    /// sends at once, the answers kept for it are bounded.
    pub(crate) fn send_answer(&mut self, frame: Frame) {
        if !self.is_open() {
            return;
        }
        if !self.fits_backlog(1, frame.len()) {
            return self.end(CloseReason::Overflow);
        }
        self.queue.push(frame, Account::Backlog);
        self.answer_get();
    }

    /// Like [`send_frame`](Self::send_frame), for replays, which have their own limit.
    pub(crate) fn send_exempt(&mut self, frame: Frame) {
        if self.is_open() {
            self.queue.push(frame, Account::Exempt);
            self.answer_get();
        }
    }

    /// Whether a message of this many frames and bytes can be sent at `now`.
    pub(crate) fn check_room(
        &self,
        now: Timestamp,
        packets: usize,
        bytes: usize,
    ) -> Result<(), SendError> {
        self.find_room(now.max(self.now()), packets, bytes).map(|_| ())
    }

    /// The account of a message of this many frames and bytes, if there is room for it.
    ///
    /// What is queued while the peer reads says nothing about the peer. Only what is added while it
    /// does not read counts against it.
    #[inline]
    fn find_room(
        &self,
        now: Timestamp,
        packets: usize,
        bytes: usize,
    ) -> Result<Account, SendError> {
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        let (account, error) = if self.is_behind(now) {
            (Account::Backlog, SendError::Overflow)
        } else {
            (Account::Burst, SendError::Full)
        };
        let is_room = self.queue.fits(packets, bytes, account, &self.config.limits);
        if is_room { Ok(account) } else { Err(error) }
    }

    fn fits_backlog(&self, packets: usize, bytes: usize) -> bool {
        self.queue.fits(packets, bytes, Account::Backlog, &self.config.limits)
    }

    /// Whether the peer does not read: its WebSocket is paused, or it has not sent a GET for
    /// `ping_timeout`.
    #[inline]
    fn is_behind(&self, now: Timestamp) -> bool {
        match self.state.idle_since() {
            None => self.state.is_paused(),
            Some(since) => since.saturating_add(self.config.ping_timeout) <= now,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use bytestring::ByteString;

    use super::*;
    use crate::{
        EngineId, Limits, ServerConfig, Timestamp, WireId,
        engine::{EngineEvent, Transport},
    };

    #[test]
    fn replays_do_not_count_against_the_limits() {
        let limits = Limits { queued_bytes: 8, queued_packets: 2, ..Limits::default() };
        let config = Arc::new(ServerConfig::new().limits(limits));
        let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let (now, wire) = (Timestamp::ZERO, WireId(1));
        let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
        session.pause(wire);
        let replay = Frame::Text(ByteString::from_static("4a long one"));
        for _ in 0..10 {
            session.send_exempt(replay.clone());
        }
        assert_eq!(session.queued_packets(), 11);
        assert_eq!(session.send(now, Payload::Text("a".into())), Ok(()));
        session.send_answer(Frame::Text(ByteString::from_static("4b")));
        assert!(session.is_open());
        assert_eq!(session.send(now, Payload::Text("c".into())), Err(SendError::Overflow));
        session.send_exempt(replay);
        assert_eq!(session.queued_packets(), 0);
    }

    #[test]
    fn answers_are_bounded_also_while_the_peer_reads() {
        let limits = Limits { queued_packets: 2, ..Limits::default() };
        let config = Arc::new(ServerConfig::new().limits(limits));
        let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let (now, wire) = (Timestamp::ZERO, WireId(1));
        let mut session = ServerConnection::new(now, config, id, Transport::Polling, wire);
        let answer = Frame::Text(ByteString::from_static("44/nope,"));
        session.send_answer(answer.clone());
        session.send_answer(answer.clone());
        assert!(session.is_open());
        session.send_answer(answer);
        assert_eq!(
            session.poll_event(),
            Some(EngineEvent::Closed { reason: CloseReason::Overflow })
        );
    }
}
