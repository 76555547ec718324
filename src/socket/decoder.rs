//! Decodes the messages of an Engine.IO session into packets.

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Args, DecodeError, Event, Json, Kind, NamespaceName, Packet, check, list::List, placeholder,
    text,
};
use crate::{Limits, number::INTEGER_MAX};

/// The limits of a [`Decoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Attachments of one packet. See [`Limits::attachments`].
    pub attachments: usize,
    /// Bytes of all attachments of one packet. See [`Limits::attachment_bytes`].
    pub attachment_bytes: usize,
    /// Bytes of a namespace name. See [`Limits::namespace_name_bytes`].
    pub namespace_name_bytes: usize,
}

impl From<&Limits> for DecoderLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            attachments: limits.attachments,
            attachment_bytes: limits.attachment_bytes,
            namespace_name_bytes: limits.namespace_name_bytes,
        }
    }
}

/// Decodes the messages of one Engine.IO session, in order, into packets.
///
/// After an error the incomplete packet is dropped, and the caller should close the connection.
///
/// It is stricter than the reference: the number of attachments and the acknowledgement id consist
/// of the digits 0 to 9 only, an empty text is not a CONNECT, and the index in a placeholder is an
/// integer. A packet with attachments is checked when its text arrives, and may be nested at most
/// 128 deep.
///
/// ```
/// use bytes::Bytes;
/// use bytestring::ByteString;
/// use socketio_proto::Limits;
/// use socketio_proto::socket::{Binary, Decoder, DecoderLimits, Kind};
///
/// let mut decoder = Decoder::new(DecoderLimits::from(&Limits::default()));
/// let text = ByteString::from_static(r#"51-["file",{"_placeholder":true,"num":0}]"#);
/// assert_eq!(decoder.push_text(text)?, None);
/// assert!(decoder.is_mid_packet());
///
/// let packet = decoder.push_binary(Bytes::from_static(b"hello"))?;
/// let Some(Kind::Event { event, .. }) = packet.map(|packet| packet.kind) else {
///     unreachable!("the last attachment completes the packet");
/// };
/// let file: Binary = event.get(0)?;
/// assert_eq!(file.resolve(&event), Some(&Bytes::from_static(b"hello")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: DecoderLimits,
    /// Boxed, because most sessions never send an attachment.
    pending: Option<Box<Pending>>,
}

impl Decoder {
    /// Makes a decoder for a new session.
    pub const fn new(limits: DecoderLimits) -> Self {
        Self { limits, pending: None }
    }

    /// Decodes a text message, without the Engine.IO message type `4`.
    ///
    /// Returns `None` if attachments have to follow. It also returns `None` for an EVENT without a
    /// payload: the reference accepts that, but the event has no name and reaches no handler. The
    /// arguments of a packet without attachments share the memory of `text`; everything else is
    /// copied.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the text is not a packet, or if an attachment is expected.
    pub fn push_text(&mut self, text: ByteString) -> Result<Option<Packet>, DecodeError> {
        if self.pending.take().is_some() {
            return Err(DecodeError::UnexpectedText);
        }
        let header = Header::parse(&text, &self.limits)?;
        if header.is_ignored() {
            return Ok(None);
        }
        let Header { kind, attachments, id, .. } = header;
        let namespace = header.namespace.map_or(NamespaceName::ROOT, NamespaceName::from_wire);
        let kind = match kind {
            PacketType::Connect => Kind::Connect { auth: header.json(|first| first == b'{')? },
            PacketType::Disconnect => {
                header.json(|_| false)?;
                Kind::Disconnect
            }
            PacketType::ConnectError => {
                Kind::ConnectError { error: header.json(|first| matches!(first, b'{' | b'"'))? }
            }
            PacketType::Event => {
                let (array, name) = header.event()?;
                let event = Event::from_list(array.into_list(text), name);
                Kind::Event { event: event.ok_or(DecodeError::InvalidPayload)?, ack: id }
            }
            PacketType::Ack => {
                Kind::Ack { id, args: Args::from_list(header.array()?.into_list(text)) }
            }
        };
        let packet = Packet { namespace, kind };
        if attachments == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending::new(packet, attachments)));
        Ok(None)
    }

    /// Takes a binary message, the next attachment. It is copied.
    ///
    /// Returns the packet if it was the last one.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if no attachment is expected, or if the attachments of the packet have
    /// become too large.
    #[expect(clippy::needless_pass_by_value, reason = "callers are done with the message")]
    pub fn push_binary(&mut self, data: Bytes) -> Result<Option<Packet>, DecodeError> {
        let mut pending = self.pending.take().ok_or(DecodeError::UnexpectedBinary)?;
        pending.push(&data, self.limits.attachment_bytes)?;
        if pending.is_complete() {
            return Ok(Some(pending.finish()));
        }
        self.pending = Some(pending);
        Ok(None)
    }

    /// Returns whether attachments are expected.
    pub const fn is_mid_packet(&self) -> bool {
        self.pending.is_some()
    }

    /// The namespace of the packet whose attachments are expected.
    pub(crate) fn awaiting(&self) -> Option<&NamespaceName> {
        self.pending.as_ref().map(|pending| &pending.packet.namespace)
    }

    /// Drops an incomplete packet.
    ///
    /// ```
    /// use socketio_proto::Limits;
    /// use socketio_proto::socket::{Decoder, DecoderLimits};
    ///
    /// let mut decoder = Decoder::new(DecoderLimits::from(&Limits::new()));
    /// decoder.push_text(r#"51-["file",{"_placeholder":true,"num":0}]"#.into())?;
    /// decoder.reset();
    /// assert!(!decoder.is_mid_packet());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&mut self) {
        self.pending = None;
    }
}

/// The namespace in a text that is not a valid packet, if it starts like one.
pub(crate) fn namespace_of(text: &str) -> Option<NamespaceName> {
    let (kind, rest) = text.split_at_checked(1)?;
    let (digits, behind) = split_digits(rest);
    let rest = if matches!(kind, "5" | "6") && !digits.is_empty() {
        behind.strip_prefix('-').unwrap_or(rest)
    } else {
        rest
    };
    match kind {
        "0" | "1" | "2" | "3" | "4" | "5" | "6" => match namespace(rest, usize::MAX).ok()? {
            (Some(name), _) => Some(NamespaceName::from_wire(name)),
            (None, _) => Some(NamespaceName::ROOT),
        },
        _ => None,
    }
}

/// A packet that waits for attachments.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    expected: usize,
    received: Vec<Bytes>,
    received_bytes: usize,
}

impl Pending {
    fn new(packet: Packet, expected: usize) -> Self {
        debug_assert!(expected > 0, "refused before");
        // The count of the peer is not trusted, so no memory is reserved for it.
        Self { packet, expected, received: Vec::new(), received_bytes: 0 }
    }

    fn push(&mut self, data: &[u8], limit: usize) -> Result<(), DecodeError> {
        self.received_bytes = self.received_bytes.saturating_add(data.len());
        if self.received_bytes > limit {
            return Err(DecodeError::AttachmentsTooLarge { limit });
        }
        self.received.push(Bytes::copy_from_slice(data));
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.received.len() >= self.expected
    }

    fn finish(self) -> Packet {
        let mut packet = self.packet;
        match &mut packet.kind {
            Kind::Event { event, .. } => event.attach(self.received),
            Kind::Ack { args, .. } => args.attach(self.received),
            Kind::Connect { .. } | Kind::Disconnect | Kind::ConnectError { .. } => {
                debug_assert!(false, "only events and acknowledgements have attachments");
            }
        }
        packet
    }
}

/// The packet types. The binary types count as those that they extend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PacketType {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// The parts of the text of a packet.
struct Header<'a> {
    kind: PacketType,
    /// Not zero for the binary types.
    attachments: usize,
    /// `None` is the main namespace.
    namespace: Option<&'a str>,
    id: Option<u64>,
    payload: &'a str,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str, limits: &DecoderLimits) -> Result<Self, DecodeError> {
        let (kind, is_binary) = match text.as_bytes().first() {
            Some(b'0') => (PacketType::Connect, false),
            Some(b'1') => (PacketType::Disconnect, false),
            Some(b'2') => (PacketType::Event, false),
            Some(b'3') => (PacketType::Ack, false),
            Some(b'4') => (PacketType::ConnectError, false),
            Some(b'5') => (PacketType::Event, true),
            Some(b'6') => (PacketType::Ack, true),
            _ => return Err(DecodeError::UnknownType),
        };
        let rest = text.get(1..).unwrap_or_default();
        let (attachments, rest) =
            if is_binary { attachment_count(rest, limits.attachments)? } else { (0, rest) };
        let (namespace, rest) = namespace(rest, limits.namespace_name_bytes)?;
        let (id, payload) = ack_id(rest)?;
        Ok(Self { kind, attachments, namespace, id, payload })
    }

    /// An EVENT without a payload. It has no name, so it reaches no handler.
    fn is_ignored(&self) -> bool {
        self.kind == PacketType::Event && self.attachments == 0 && self.payload.is_empty()
    }

    /// Reads an optional payload. Its first byte shows whether it has the right type.
    fn json(&self, accepts: impl Fn(u8) -> bool) -> Result<Option<Json>, DecodeError> {
        if self.payload.is_empty() {
            return Ok(None);
        }
        check::value(self.payload, accepts)?;
        Ok(Some(Json::from_valid(self.payload)))
    }

    /// Reads the payload of an event or an acknowledgement. An acknowledgement without attachments
    /// may have no payload, and then has no arguments.
    fn array(&self) -> Result<Array, DecodeError> {
        if self.payload.is_empty() && self.attachments == 0 {
            return Ok(Array::Apart(List::empty()));
        }
        self.place(check::value(self.payload, |first| first == b'[')?)
    }

    /// Reads the payload of an event, and the position of the name in its array if that is known.
    fn event(&self) -> Result<(Array, Option<Range<usize>>), DecodeError> {
        match check::named_array(self.payload) {
            Some((array, name)) => Ok((self.place(array)?, Some(name))),
            None => Ok((self.array()?, None)),
        }
    }

    /// Decides where the array of the payload is kept.
    fn place(&self, array: &str) -> Result<Array, DecodeError> {
        if self.attachments > 0 {
            let found = placeholder::walk(array, self.attachments);
            if found.map_err(|_| DecodeError::InvalidPayload)?.illegal {
                return Err(DecodeError::IllegalAttachments);
            }
            // It is kept until the attachments have arrived, so it must not keep a read buffer
            // alive.
            return Ok(Array::Apart(List::whole(array.into(), None)));
        }
        if self.payload.ends_with(text::is_space) {
            return Ok(Array::Apart(List::whole(array.into(), None)));
        }
        Ok(Array::AtEnd { len: array.len() })
    }
}

/// Where the array of an event or an acknowledgement is.
enum Array {
    /// At the very end of the packet's text.
    AtEnd {
        len: usize,
    },
    Apart(List),
}

impl Array {
    fn into_list(self, text: ByteString) -> List {
        match self {
            Self::AtEnd { len } => {
                let start = text.len().saturating_sub(len);
                List::within(text, start)
            }
            Self::Apart(list) => list,
        }
    }
}

/// Reads `<digits>-`.
fn attachment_count(text: &str, limit: usize) -> Result<(usize, &str), DecodeError> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(DecodeError::IllegalAttachments)?;
    if digits.bytes().all(|digit| digit == b'0') {
        // No digits, or zero.
        return Err(DecodeError::IllegalAttachments);
    }
    // A number that does not fit the integer is above the limit as well.
    let count = digits.parse().ok().filter(|count| *count <= limit);
    Ok((count.ok_or(DecodeError::TooManyAttachments { limit })?, rest))
}

/// Reads `/<name>,` or a name that takes the rest of the text.
pub(super) fn namespace(text: &str, limit: usize) -> Result<(Option<&str>, &str), DecodeError> {
    if !text.starts_with('/') {
        return Ok((None, text));
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    if name.len() > limit {
        return Err(DecodeError::NamespaceTooLong { limit });
    }
    Ok((Some(name), rest))
}

/// Reads the digits before the payload.
fn ack_id(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let id = digits.parse().ok().filter(|id| *id <= INTEGER_MAX);
    Ok((Some(id.ok_or(DecodeError::IllegalAckId)?), rest))
}

pub(super) fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
