//! Reads what messages say.

use alloc::vec::Vec;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Body, BroadcastOptions, ClusterBroadcast, Message, MessageError, NodeId, OwnKind, RequestId,
    SocketDetails, Stamp,
    broadcast::RawPacket,
    raw::{Format, Raw},
};
use crate::socket::NamespaceName;

/// How the packet of a broadcast begins in JSON of an official node, and what follows it.
const PACKET: &[u8] = br#"{"packet":"#;
const OPTS: &[u8] = br#"},"opts":{"#;

impl Message {
    /// Reads a message of a channel, which is msgpack.
    ///
    /// # Errors
    ///
    /// The message is malformed. It has to be skipped and counted.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use socketio_proto::cluster::message::{Body, Message};
    ///
    /// let payload = Bytes::from_static(b"\x83\xa4type\x02\xa3uid\xb0c81a1630046574db\xa3nsp\xa1/");
    /// let message = Message::from_msgpack(&payload)?;
    /// assert_eq!(message.body, Body::Heartbeat);
    /// assert_eq!(message.sender.as_str(), "c81a1630046574db");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_msgpack(payload: &Bytes) -> Result<Self, MessageError> {
        Ok(read(payload, Format::Msgpack, None)?.message)
    }
}

/// A message with what is only said to those who carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Addressed {
    pub(in crate::cluster) message: Message,
    /// The node that it is for; `None` if it is for all.
    pub(in crate::cluster) to: Option<ByteString>,
}

impl Addressed {
    /// Reads a message that is JSON if it begins with `{`, or else msgpack. One that names no
    /// namespace is about this one.
    pub(in crate::cluster) fn read(
        payload: &Bytes,
        namespace: Option<&str>,
    ) -> Result<Self, MessageError> {
        let is_json = payload.first() == Some(&b'{');
        read(payload, if is_json { Format::Json } else { Format::Msgpack }, namespace)
    }
}

fn read(
    payload: &Bytes,
    format: Format,
    namespace: Option<&str>,
) -> Result<Addressed, MessageError> {
    let (mut kind, mut sender, mut named, mut data) = (None, None, None, None);
    let (mut sequence, mut nonce, mut after, mut to) = (None, None, None, None);
    Raw::new(payload, format)
        .fields(|name, value| {
            match name {
                "type" => kind = value.whole_number(),
                "uid" => sender = value.text(),
                "nsp" => named = value.text(),
                "data" => data = Some(value),
                SEQUENCE => sequence = value.wide_number(),
                NONCE => nonce = value.wide_number(),
                AFTER => after = value.text(),
                TO => to = value.text(),
                _ => {}
            }
            Some(())
        })
        .ok_or(MessageError::Malformed)?;
    let stamp = sequence.zip(nonce).map(|(sequence, nonce)| Stamp::new(sequence, nonce));
    let namespace = named.or_else(|| namespace.map(ByteString::from));
    let envelope = Envelope::of_texts(sender, namespace, stamp);
    let message = envelope.open(kind.ok_or(MessageError::Kind)?, data)?;
    let message = message.after(after.and_then(|after| after.parse().ok()));
    Ok(Addressed { message, to })
}

/// The fields of [`Stamp`] on the wire.
pub(super) const SEQUENCE: &str = "seq";
pub(super) const NONCE: &str = "nonce";
/// The name of [`Message::after`] on the wire.
pub(super) const AFTER: &str = "after";
/// The node that a message is for, where all nodes receive it.
pub(super) const TO: &str = "to";

/// What is around the data of a message.
pub(in crate::cluster) struct Envelope {
    pub(in crate::cluster) sender: Option<NodeId>,
    pub(in crate::cluster) namespace: Option<NamespaceName>,
    pub(in crate::cluster) stamp: Option<Stamp>,
}

impl Envelope {
    pub(super) fn of_texts(
        sender: Option<ByteString>,
        namespace: Option<ByteString>,
        stamp: Option<Stamp>,
    ) -> Self {
        let namespace = namespace.and_then(|name| NamespaceName::read(&name));
        Self { sender: sender.and_then(NodeId::new), namespace, stamp }
    }

    pub(super) fn open(self, kind: u64, data: Option<Raw<'_>>) -> Result<Message, MessageError> {
        let Self { sender, namespace, stamp } = self;
        let sender = sender.ok_or(MessageError::Sender)?;
        let namespace = namespace.ok_or(MessageError::Namespace)?;
        let body = body(kind, data, stamp.is_some())?;
        Ok(Message { sender, namespace, stamp, after: None, body })
    }
}

pub(super) fn body(kind: u64, data: Option<Raw<'_>>, is_ours: bool) -> Result<Body, MessageError> {
    if let Some(kind) = OwnKind::from_number(kind).filter(|_| is_ours) {
        // The data of an entry is an object, or it would not be taken for JSON.
        let mut value = None;
        let is_read = data.and_then(|data| {
            data.fields(|name, field| {
                if name == "value" {
                    value = Some(field);
                }
                Some(())
            })
        });
        let value = is_read.and(value).ok_or(MessageError::Field { field: "value" })?;
        return Ok(Body::Own { kind, data: value.value()? });
    }
    match kind {
        1 => return Ok(Body::InitialHeartbeat),
        2 => return Ok(Body::Heartbeat),
        13 => return Ok(Body::AdapterClose),
        3..=12 => {}
        _ => return Ok(Body::Unknown { kind }),
    }
    let data = data.ok_or(MessageError::Field { field: "data" })?;
    if kind == 3 {
        return broadcast(data).map(Body::Broadcast);
    }
    let fields = Fields::read(data)?;
    Ok(match kind {
        4 => Body::SocketsJoin { options: fields.options()?, rooms: fields.rooms()? },
        5 => Body::SocketsLeave { options: fields.options()?, rooms: fields.rooms()? },
        6 => Body::DisconnectSockets { options: fields.options()?, close: fields.close() },
        7 => Body::FetchSockets { options: fields.options()?, request: fields.required()? },
        8 => Body::FetchSocketsResponse { request: fields.required()?, sockets: fields.sockets()? },
        9 => Body::ServerSideEmit { packet: fields.packet()?.args()?, request: fields.request()? },
        10 => {
            Body::ServerSideEmitResponse { request: fields.required()?, answer: fields.answer()? }
        }
        11 => Body::BroadcastClientCount {
            request: fields.required()?,
            client_count: fields.client_count()?,
        },
        _ => Body::BroadcastAck { request: fields.required()?, answer: fields.answer()? },
    })
}

fn broadcast(data: Raw<'_>) -> Result<ClusterBroadcast, MessageError> {
    if let Some(broadcast) = official_json(data) {
        return Ok(broadcast);
    }
    let fields = Fields::read(data)?;
    let (options, request) = (fields.options()?, fields.request()?);
    let packet = RawPacket::new(fields.packet()?);
    Ok(ClusterBroadcast::received(options, request, packet))
}

/// Reads what an official node writes to a stream, from the end: `{"packet":{…},"opts":{…}}`. It
/// costs the same for any number of arguments.
///
/// It is right for all valid JSON. Unescaped quotes do not occur inside strings, so `"opts"` is a
/// name. The last bracket of the text closes the object that the name is in, so that is the
/// outermost one. And of several fields with this name, the last one counts. If something else is
/// between the packet and `opts`, that is noticed when the packet is read.
pub(super) fn official_json(data: Raw<'_>) -> Option<ClusterBroadcast> {
    let text = data.bytes();
    if data.format() != Format::Json || !text.starts_with(PACKET) {
        return None;
    }
    let packet_end = opts_start(text)?;
    let opts = data.slice(packet_end.checked_add(OPTS.len() - 1)?, text.len().checked_sub(1)?)?;
    if text.last() != Some(&b'}') {
        return None;
    }
    let options = BroadcastOptions::read(opts).ok()?;
    let packet = RawPacket::within(data, PACKET.len()..packet_end.checked_add(1)?);
    Some(ClusterBroadcast::received(options, None, packet))
}

/// The place of the bracket that closes the packet. `None` if `opts` does not follow it.
fn opts_start(text: &[u8]) -> Option<usize> {
    /// Its own bracket and that of its flags.
    const NESTED_BRACKETS: usize = 2;
    let mut before = text;
    for _ in 0..NESTED_BRACKETS {
        let bracket = before.iter().rposition(|byte| *byte == b'{')?;
        let start = bracket.checked_sub(OPTS.len() - 1)?;
        if text.get(start..)?.starts_with(OPTS) {
            return Some(start);
        }
        before = before.get(..bracket)?;
    }
    None
}

/// The fields that messages have.
#[derive(Default)]
pub(super) struct Fields<'a> {
    packet: Option<Raw<'a>>,
    opts: Option<Raw<'a>>,
    request: Option<Raw<'a>>,
    rooms: Option<Raw<'a>>,
    close: Option<Raw<'a>>,
    pub(super) sockets: Option<Raw<'a>>,
    client_count: Option<Raw<'a>>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(data: Raw<'a>) -> Result<Self, MessageError> {
        let mut fields = Self::default();
        data.fields(|name, value| {
            let field = match name {
                "packet" => &mut fields.packet,
                "opts" => &mut fields.opts,
                "requestId" => &mut fields.request,
                "rooms" => &mut fields.rooms,
                "close" => &mut fields.close,
                "sockets" => &mut fields.sockets,
                "clientCount" => &mut fields.client_count,
                _ => return Some(()),
            };
            *field = Some(value);
            Some(())
        })
        .ok_or(MessageError::Malformed)?;
        Ok(fields)
    }

    pub(super) fn options(&self) -> Result<BroadcastOptions, MessageError> {
        BroadcastOptions::read(self.opts.ok_or(MessageError::Field { field: "opts" })?)
    }

    pub(super) fn packet(&self) -> Result<Raw<'a>, MessageError> {
        self.packet.ok_or(MessageError::Field { field: "packet" })
    }

    /// The argument of an answer. If the client or the server has answered with nothing, JSON has
    /// no such field.
    pub(super) fn answer(&self) -> Result<super::Value, MessageError> {
        self.packet.map_or(Ok(super::Value::null()), Raw::value)
    }

    pub(super) fn request(&self) -> Result<Option<RequestId>, MessageError> {
        let request = self.request.filter(|request| !request.is_null());
        request.map(|request| request.text().and_then(RequestId::new).ok_or(REQUEST)).transpose()
    }

    pub(super) fn required(&self) -> Result<RequestId, MessageError> {
        self.request()?.ok_or(REQUEST)
    }

    /// Rooms to join or to leave. There is no harm in leaving out those that no text can name.
    pub(super) fn rooms(&self) -> Result<Vec<ByteString>, MessageError> {
        let rooms = self.rooms.and_then(Raw::rooms);
        rooms.map(|(rooms, _)| rooms).ok_or(MessageError::Field { field: "rooms" })
    }

    pub(super) fn close(&self) -> bool {
        self.close.is_some_and(|close| close.bool() == Some(true))
    }

    pub(super) fn client_count(&self) -> Result<u64, MessageError> {
        let count = self.client_count.and_then(Raw::whole_number);
        count.ok_or(MessageError::Field { field: "clientCount" })
    }

    pub(super) fn sockets(&self) -> Result<Vec<SocketDetails>, MessageError> {
        const SOCKETS: MessageError = MessageError::Field { field: "sockets" };
        let (mut sockets, mut failed) = (Vec::new(), SOCKETS);
        let all = self.sockets.ok_or(SOCKETS)?.elements(|socket| {
            let socket = details(socket).map_err(|error| failed = error).ok()?;
            sockets.push(socket);
            Some(())
        });
        all.map(|()| sockets).ok_or(failed)
    }
}

const REQUEST: MessageError = MessageError::Field { field: "requestId" };

fn details(socket: Raw<'_>) -> Result<SocketDetails, MessageError> {
    let (mut id, mut handshake, mut rooms, mut data) = (None, None, None, None);
    socket
        .fields(|name, value| {
            match name {
                "id" => id = value.text(),
                "handshake" => handshake = Some(value),
                "rooms" => rooms = value.rooms(),
                "data" => data = Some(value),
                _ => {}
            }
            Some(())
        })
        .ok_or(MessageError::Field { field: "sockets" })?;
    let value = |raw: Option<Raw<'_>>| raw.map_or(Ok(super::Value::null()), Raw::value);
    Ok(SocketDetails {
        id: id.ok_or(MessageError::Field { field: "id" })?,
        handshake: value(handshake)?,
        rooms: rooms.ok_or(MessageError::Field { field: "rooms" })?.0,
        data: value(data)?,
    })
}
