//! Events that wait for the next connection, bounded by count, bytes and age.

use alloc::{collections::VecDeque, format, string::String, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::ClientLimits;
use crate::{
    socket::{self, Decoder, DecoderLimits, Encoded, Kind, NamespaceName},
    time::Timestamp,
};

/// An event that was emitted and is not sent yet, or not acknowledged yet.
///
/// It is part of a [`ClientSnapshot`](super::ClientSnapshot). It can also be serialised by itself: a
/// program that takes events back can store them and emit them later.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::client::{Auth, BufferedEvent, Client, ClientConfig};
/// use socketio_proto::socket::Event;
///
/// let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
/// let now = Timestamp::ZERO;
/// client.connect(now, "/", Auth::None)?;
/// client.emit(now, "/", &Event::new("hello", &())?)?;
///
/// let stored = serde_json::to_string(&client.take_buffered(now, "/"))?;
/// for event in serde_json::from_str::<Vec<BufferedEvent>>(&stored)? {
///     assert_eq!(event.emitted_at(), now);
///     client.emit(now, "/", &event.into_event())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferedEvent {
    pub(super) event: socket::Event,
    pub(super) at: Timestamp,
    pub(super) ack: Option<u64>,
}

impl BufferedEvent {
    /// Returns the event.
    pub fn event(&self) -> &socket::Event {
        &self.event
    }

    /// Returns the event by value, for example to emit it again.
    pub fn into_event(self) -> socket::Event {
        self.event
    }

    /// Returns when the event was emitted.
    pub fn emitted_at(&self) -> Timestamp {
        self.at
    }

    /// The size of its text and its attachments, in bytes.
    pub(super) fn size(&self) -> usize {
        self.event.wire_len()
    }
}

/// The serialised form: the packet as on the wire, which contains everything.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: Timestamp,
    /// The name of the acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ack: Option<u64>,
    packet: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Bytes>,
}

impl Serialize for BufferedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let packet = Encoded::event(&NamespaceName::ROOT, &self.event, None, None);
        let text = packet.head().strip_prefix('4').unwrap_or_default();
        let attachments = packet.attachments().to_vec();
        let Self { at, ack, .. } = *self;
        Stored { at, ack, packet: text.into(), attachments }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BufferedEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let mut decoder = Decoder::new(DecoderLimits {
            attachments: stored.attachments.len(),
            attachment_bytes: usize::MAX,
            namespace_name_bytes: 1,
        });
        let invalid = |error| D::Error::custom(format!("not a stored event: {error}"));
        let mut packet = decoder.push_text(ByteString::from(stored.packet)).map_err(invalid)?;
        for attachment in stored.attachments {
            packet = decoder.push_binary(attachment).map_err(invalid)?;
        }
        match packet.map(|packet| packet.kind) {
            Some(Kind::Event { event, ack: None }) => {
                Ok(Self { event, at: stored.at, ack: stored.ack })
            }
            Some(_) | None => Err(D::Error::custom("not a stored event")),
        }
    }
}

/// Events in the order in which they were emitted.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    events: VecDeque<BufferedEvent>,
    bytes: usize,
    /// How many of the oldest events were restored from a snapshot.
    restored: usize,
}

impl SendBuffer {
    /// Whether the limits allow one more event, if `events` events of `bytes` bytes elsewhere share
    /// them.
    pub(super) fn has_room(
        &self,
        event: &BufferedEvent,
        (events, bytes): (usize, usize),
        limits: &ClientLimits,
    ) -> bool {
        let bytes = self.bytes.saturating_add(bytes).saturating_add(event.size());
        self.events.len().saturating_add(events) < limits.buffered_events
            && bytes <= limits.buffered_bytes
    }

    pub(super) fn push(&mut self, event: BufferedEvent) {
        self.bytes = self.bytes.saturating_add(event.size());
        self.events.push_back(event);
    }

    /// The events in the buffer were restored from a snapshot.
    pub(super) fn mark_restored(&mut self) {
        self.restored = self.events.len();
    }

    /// Removes the oldest event if it was restored from a snapshot.
    pub(super) fn pop_restored(&mut self) -> Option<BufferedEvent> {
        if self.restored > 0 { self.pop() } else { None }
    }

    pub(super) fn pop(&mut self) -> Option<BufferedEvent> {
        let event = self.events.pop_front()?;
        self.restored = self.restored.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(event.size());
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        Some(event)
    }

    /// Removes the oldest event if it is too old.
    pub(super) fn pop_expired(&mut self, now: Timestamp, age: Duration) -> Option<BufferedEvent> {
        if self.deadline(age) <= now { self.pop() } else { None }
    }

    /// Removes the event with this acknowledgement.
    pub(super) fn withdraw(&mut self, ack: u64) {
        if let Some(index) = self.events.iter().position(|event| event.ack == Some(ack))
            && let Some(event) = self.events.remove(index)
        {
            // The acknowledgements of restored events are not pending.
            debug_assert!(index >= self.restored, "a restored event was withdrawn");
            self.bytes = self.bytes.saturating_sub(event.size());
        }
    }

    pub(super) fn front(&self) -> Option<&BufferedEvent> {
        self.events.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &BufferedEvent> {
        self.events.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// When the oldest event becomes too old.
    pub(super) fn deadline(&self, age: Duration) -> Timestamp {
        self.front().map_or(Timestamp::NEVER, |event| event.at.saturating_add(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32) -> BufferedEvent {
        let event = socket::Event::new("e", &(number,)).unwrap();
        BufferedEvent { event, at: Timestamp::from_millis(number.into()), ack: None }
    }

    #[test]
    fn events_survive_serialisation() {
        let file = socket::Event::new("file", &("a", Bytes::from_static(b"\0\xff"))).unwrap();
        let file = BufferedEvent { event: file, at: Timestamp::from_millis(5), ack: Some(3) };
        for event in [event(1), file] {
            let text = serde_json::to_string(&event).unwrap();
            let back: BufferedEvent = serde_json::from_str(&text).unwrap();
            assert_eq!(back, event);
        }
    }

    #[test]
    fn invalid_serialised_events_are_refused() {
        for text in [
            r#"{"at":0,"packet":""}"#,
            r#"{"at":0,"packet":"0"}"#,
            r#"{"at":0,"packet":"20[\"e\"]"}"#,
            r#"{"at":0,"packet":"51-[\"e\",{\"_placeholder\":true,\"num\":0}]"}"#,
            r#"{"at":0,"packet":"2[\"e\"]","attachments":[[1]]}"#,
        ] {
            assert!(serde_json::from_str::<BufferedEvent>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_removal_subtracts_the_bytes() {
        let mut buffer = SendBuffer::default();
        for number in 0..4 {
            buffer.push(BufferedEvent { ack: Some(number.into()), ..event(number) });
        }
        buffer.withdraw(2);
        buffer.withdraw(9);
        assert!(buffer.pop_expired(Timestamp::from_millis(9), Duration::from_millis(10)).is_none());
        assert!(
            buffer.pop_expired(Timestamp::from_millis(10), Duration::from_millis(10)).is_some()
        );
        while buffer.pop().is_some() {}
        assert_eq!(buffer.bytes, 0);
        assert_eq!(buffer.deadline(Duration::ZERO), Timestamp::NEVER);
    }
}
