//! Packets for clients.

use alloc::borrow::Cow;
use core::ops::Range;

use bytes::Bytes;

use super::{
    BroadcastOptions, MessageError, RequestId,
    raw::{Format, Raw},
};
use crate::socket::Event;

/// The types of packets with an event.
const EVENT: u64 = 2;
const BINARY_EVENT: u64 = 5;

/// A packet for the clients of some rooms.
///
/// What was received stays bytes: whom it is for is known, but its arguments are not looked at until
/// someone needs [the packet](Self::packet).
///
/// Two broadcasts are equal if they are for the same clients and have the same bytes. So a received
/// one does not equal one that was made of the same event.
///
/// ```
/// use socketio_proto::cluster::message::{BroadcastOptions, ClusterBroadcast};
/// use socketio_proto::socket::Event;
///
/// let event = Event::new("news", &("hello",))?;
/// let broadcast = ClusterBroadcast::new(BroadcastOptions::all().to("lobby"), event.clone());
/// assert_eq!(broadcast.packet()?.event, event);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterBroadcast {
    /// The clients that it is for.
    pub options: BroadcastOptions,
    /// Names the broadcast in the answers, if clients are asked for acknowledgements.
    pub request: Option<RequestId>,
    packet: Packet,
}

/// The packet of a [`ClusterBroadcast`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastPacket {
    /// The event.
    pub event: Event,
    /// The id of the acknowledgement that the event asks for. Official nodes publish such an event
    /// if it is for one socket; it is not replayed.
    pub ack: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Packet {
    Made(BroadcastPacket),
    Received(RawPacket),
}

/// A packet that has not been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawPacket {
    Whole {
        format: Format,
        packet: Bytes,
    },
    /// JSON of what it is a field of, and where in it the packet is expected.
    Within {
        data: Bytes,
        packet: Range<usize>,
    },
    /// Its fields were found when something else was looked for in it.
    Split {
        format: Format,
        kind: Option<u64>,
        event: Option<Bytes>,
        ack: Option<Result<u64, MessageError>>,
    },
}

/// The fields of a packet.
#[derive(Clone, Copy, Default)]
pub(super) struct PacketFields<'a> {
    kind: Option<u64>,
    event: Option<Raw<'a>>,
    /// The id of the acknowledgement, or that it is none.
    ack: Option<Result<u64, MessageError>>,
}

impl ClusterBroadcast {
    /// Makes a broadcast of an event.
    pub const fn new(options: BroadcastOptions, event: Event) -> Self {
        let packet = Packet::Made(BroadcastPacket { event, ack: None });
        Self { options, request: None, packet }
    }

    /// Asks the clients for acknowledgements.
    #[must_use]
    pub fn with_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    pub(super) const fn received(
        options: BroadcastOptions,
        request: Option<RequestId>,
        packet: RawPacket,
    ) -> Self {
        Self { options, request, packet: Packet::Received(packet) }
    }

    /// Reads the packet. The event shares the memory of the message, if that is JSON.
    ///
    /// # Errors
    ///
    /// The packet is malformed. No node delivers it to anyone.
    pub fn packet(&self) -> Result<BroadcastPacket, MessageError> {
        match &self.packet {
            Packet::Made(packet) => Ok(packet.clone()),
            Packet::Received(raw) => raw.read(),
        }
    }

    /// As [`packet`](Self::packet), without a copy if it is here.
    pub(super) fn packet_here(&self) -> Result<Cow<'_, BroadcastPacket>, MessageError> {
        Ok(match &self.packet {
            Packet::Made(packet) => Cow::Borrowed(packet),
            Packet::Received(raw) => Cow::Owned(raw.read()?),
        })
    }

    /// About how many bytes the event has, if it is here.
    pub(super) fn event_len(&self) -> usize {
        match &self.packet {
            Packet::Made(packet) => packet.event.wire_len(),
            Packet::Received(_) => 0,
        }
    }

    /// Returns whether clients that come back get it again, given its packet. Official nodes append
    /// an offset to it, and only to it: not to what is volatile or asks for an acknowledgement.
    pub const fn is_recoverable(&self, packet: &BroadcastPacket) -> bool {
        let is_plain = self.request.is_none() && packet.ack.is_none();
        is_plain && self.options.flags.volatile.is_none()
    }
}

impl RawPacket {
    pub(super) fn new(packet: Raw<'_>) -> Self {
        Self::Whole { format: packet.format(), packet: packet.share() }
    }

    pub(super) fn within(data: Raw<'_>, packet: Range<usize>) -> Self {
        Self::Within { data: data.share(), packet }
    }

    /// A packet that has nothing but an event.
    pub(super) fn of_event(event: Raw<'_>) -> Self {
        let (format, kind) = (event.format(), Some(EVENT));
        Self::Split { format, kind, event: Some(event.share()), ack: None }
    }

    pub(super) fn split(format: Format, fields: PacketFields<'_>) -> Self {
        let PacketFields { kind, event, ack } = fields;
        Self::Split { format, kind, event: event.map(Raw::share), ack }
    }

    fn read(&self) -> Result<BroadcastPacket, MessageError> {
        match self {
            Self::Whole { format, packet } => read_packet(Raw::new(packet, *format)),
            Self::Within { data, packet } => read_within(Raw::new(data, Format::Json), packet),
            Self::Split { format, kind, event, ack } => {
                let event = event.as_ref().map(|event| Raw::new(event, *format));
                PacketFields { kind: *kind, event, ack: *ack }.read()
            }
        }
    }
}

fn read_within(data: Raw<'_>, packet: &Range<usize>) -> Result<BroadcastPacket, MessageError> {
    let packet = data.slice(packet.start, packet.end).ok_or(MessageError::Malformed)?;
    match read_packet(packet) {
        // There may be a field behind it.
        Err(MessageError::Malformed) => {
            let mut packet = None;
            let fields = data.fields(|name, value| {
                match name {
                    "packet" => packet = Some(value),
                    // Asks for acknowledgements, and nobody knew it.
                    "requestId" => return None,
                    _ => {}
                }
                Some(())
            });
            fields.and(packet).map_or(Err(MessageError::Malformed), read_packet)
        }
        read => read,
    }
}

impl<'a> PacketFields<'a> {
    /// Takes note of a field.
    pub(super) fn note(&mut self, name: &str, value: Raw<'a>) {
        match name {
            "type" => self.kind = value.whole_number(),
            "data" => self.event = Some(value),
            "id" => {
                let number = || value.whole_number().ok_or(MessageError::Field { field: "id" });
                self.ack = (!value.is_null()).then(number);
            }
            _ => {}
        }
    }

    fn read(self) -> Result<BroadcastPacket, MessageError> {
        if !self.kind.is_some_and(|kind| [EVENT, BINARY_EVENT].contains(&kind)) {
            return Err(MessageError::NotAnEvent);
        }
        let event = self.event.ok_or(MessageError::Field { field: "data" })?.event()?;
        Ok(BroadcastPacket { event, ack: self.ack.transpose()? })
    }
}

/// Reads the form in which nodes write an event as JSON, in one pass. `None` for every other, and if it is
/// malformed.
fn plain_packet(packet: Raw<'_>) -> Option<BroadcastPacket> {
    const EVENT: &[u8] = br#"{"type":2,"data":"#;
    if packet.format() != Format::Json || !packet.bytes().starts_with(EVENT) {
        return None;
    }
    // What is between is one value only if it is the value of this field, and the last one.
    let event = packet.slice(EVENT.len(), packet.bytes().len().checked_sub(1)?)?.event().ok()?;
    packet.bytes().ends_with(b"}").then_some(BroadcastPacket { event, ack: None })
}

fn read_packet(packet: Raw<'_>) -> Result<BroadcastPacket, MessageError> {
    if let Some(plain) = plain_packet(packet) {
        return Ok(plain);
    }
    let mut fields = PacketFields::default();
    packet
        .fields(|name, value| {
            fields.note(name, value);
            Some(())
        })
        .ok_or(MessageError::Malformed)?;
    fields.read()
}
