//! Reads messages of the classic adapter.

use alloc::format;

use bytes::Bytes;
use bytestring::ByteString;

use super::{ALL_ROOMS, field, kind};
use crate::{
    cluster::message::{
        Body, ClusterBroadcast, Message, MessageError, NodeId, RequestId, Stamp,
        broadcast::RawPacket,
        decode::{Envelope, Fields, options},
        raw::{Format, Raw},
    },
    recovery::Offset,
    socket::NamespaceName,
};

/// What stands in the place of broadcasts, or with the requests.
#[derive(Debug)]
pub(in crate::cluster) struct ClassicEntry {
    /// The number that Redis has given it. Official nodes do not ask for one.
    pub(in crate::cluster) number: Option<u64>,
    /// For a marker: which one, and the number before it.
    pub(in crate::cluster) marker: Option<(u64, u64)>,
    pub(in crate::cluster) message: Result<Message, MessageError>,
}

/// The fields that only nodes of this crate write.
#[derive(Clone, Copy, Default)]
struct Marks {
    sequence: Option<u64>,
    nonce: Option<u64>,
    after: Option<Offset>,
    number: Option<u64>,
    before: Option<u64>,
    marker: Option<u64>,
}

impl Marks {
    /// Takes note of a field.
    fn note(&mut self, name: &str, value: Raw<'_>) {
        let number = || value.text().and_then(|text| decimal(&text));
        match name {
            field::SEQUENCE => self.sequence = number(),
            field::NONCE => self.nonce = number(),
            field::POSITION => self.number = number(),
            field::BEFORE => self.before = number(),
            field::MARKER => self.marker = number(),
            field::AFTER => self.after = value.text().and_then(|text| text.parse().ok()),
            _ => {}
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        let (sequence, nonce) = self.sequence.zip(self.nonce)?;
        Some(Stamp::new(sequence, nonce))
    }
}

impl ClassicEntry {
    /// Reads what stands in the place of broadcasts.
    pub(in crate::cluster) fn broadcast(payload: &Bytes) -> Self {
        let (mut parts, mut count) = ([None; 4], 0_usize);
        let read = Raw::new(payload, Format::Msgpack).elements(|element| {
            if let Some(part) = parts.get_mut(count) {
                *part = Some(element);
            }
            count = count.saturating_add(1);
            Some(())
        });
        let malformed = Err(MessageError::Malformed);
        let (Some(()), [Some(sender), Some(packet), Some(opts), extra]) = (read, parts) else {
            return Self { number: None, marker: None, message: malformed };
        };
        let mut marks = Marks::default();
        let (mut kind, mut namespace, mut data) = (None, None, None);
        let is_read = extra.is_none_or(|extra| {
            let fields = extra.fields(|name, value| {
                match name {
                    "type" => kind = value.whole_number(),
                    "nsp" => namespace = value.text(),
                    "data" => data = Some(value),
                    name => marks.note(name, value),
                }
                Some(())
            });
            fields.is_some()
        });
        if !is_read {
            return Self { number: None, marker: None, message: malformed };
        }
        let (sender, stamp) = (sender.text(), marks.stamp());
        let message = if packet.is_null() {
            let envelope = Envelope { sender, namespace, stamp };
            kind.ok_or(MessageError::Kind).and_then(|kind| envelope.open(kind, data))
        } else {
            broadcast(sender, stamp, packet, opts)
        };
        let message = message.map(|message| message.after(marks.after));
        Self { number: marks.number, marker: marks.marker.zip(marks.before), message }
    }

    /// Reads a request in a namespace.
    pub(in crate::cluster) fn request(namespace: &NamespaceName, payload: &Bytes) -> Self {
        let mut marks = Marks::default();
        let message = request(namespace, payload, &mut marks);
        Self { number: marks.number, marker: None, message }
    }

    /// Reads an answer: what it says, and whose it is. Official ones do not tell that.
    pub(in crate::cluster) fn answer(
        namespace: &NamespaceName,
        payload: &Bytes,
    ) -> Result<(Message, bool), MessageError> {
        let raw = raw(payload);
        let (mut marks, mut sender) = (Marks::default(), None);
        let (mut kind, mut data) = (None, None);
        raw.fields(|name, value| {
            match name {
                "type" => kind = value.whole_number(),
                "data" => data = Some(value),
                "uid" => sender = value.text(),
                name => marks.note(name, value),
            }
            Some(())
        })
        .ok_or(MessageError::Malformed)?;
        let fields = Fields::read(raw)?;
        let request = fields.required()?;
        let body = match kind {
            None if fields.sockets.is_some() => {
                Body::FetchSocketsResponse { request, sockets: fields.sockets()? }
            }
            Some(kind::SERVER_SIDE_EMIT) => {
                let answer = data.map_or(Ok(super::super::Value::null()), Raw::value)?;
                Body::ServerSideEmitResponse { request, answer }
            }
            Some(kind::CLIENT_COUNT) => {
                Body::BroadcastClientCount { request, client_count: fields.client_count()? }
            }
            Some(kind::BROADCAST_ACK) => Body::BroadcastAck { request, answer: fields.answer()? },
            kind => Body::Unknown { kind: kind.unwrap_or_default() },
        };
        let sender = sender.and_then(NodeId::new);
        let is_named = sender.is_some();
        let sender = sender.unwrap_or(NodeId::EMITTER);
        let message = Message {
            sender,
            namespace: namespace.clone(),
            stamp: marks.stamp(),
            after: None,
            body,
        };
        Ok((message, is_named))
    }
}

fn broadcast(
    sender: Option<ByteString>,
    stamp: Option<Stamp>,
    packet: Raw<'_>,
    opts: Raw<'_>,
) -> Result<Message, MessageError> {
    let mut namespace = None;
    packet
        .fields(|name, value| {
            if name == "nsp" {
                namespace = Some(value.text());
            }
            Some(())
        })
        .ok_or(MessageError::Malformed)?;
    let namespace = match namespace {
        // As official nodes take it.
        None => NamespaceName::ROOT,
        Some(name) => {
            let name = name.and_then(|name| NamespaceName::read(&name));
            name.ok_or(MessageError::Namespace)?
        }
    };
    let sender = sender.and_then(NodeId::new).ok_or(MessageError::Sender)?;
    let broadcast = ClusterBroadcast::received(options(opts)?, None, RawPacket::new(packet, None));
    Ok(Message { sender, namespace, stamp, after: None, body: Body::Broadcast(broadcast) })
}

fn request(
    namespace: &NamespaceName,
    payload: &Bytes,
    marks: &mut Marks,
) -> Result<Message, MessageError> {
    let raw = raw(payload);
    let (mut sender, mut kind, mut data) = (None, None, None);
    raw.fields(|name, value| {
        match name {
            "uid" => sender = Some(value.text()),
            "type" => kind = value.whole_number(),
            "data" => data = Some(value),
            name => marks.note(name, value),
        }
        Some(())
    })
    .ok_or(MessageError::Malformed)?;
    let fields = Fields::read(raw)?;
    let sender = match sender {
        // An emitter does not say that it is one.
        None => NodeId::EMITTER,
        Some(name) => name.and_then(NodeId::new).ok_or(MessageError::Sender)?,
    };
    let body = match kind.ok_or(MessageError::Kind)? {
        kind::ALL_ROOMS => {
            let name = format!("{ALL_ROOMS}{}", fields.required()?);
            let request = RequestId::new(name).ok_or(MessageError::Field { field: "requestId" })?;
            Body::FetchSockets { options: super::super::BroadcastOptions::all(), request }
        }
        kind::JOIN => Body::SocketsJoin { options: fields.options()?, rooms: fields.rooms()? },
        kind::LEAVE => Body::SocketsLeave { options: fields.options()?, rooms: fields.rooms()? },
        kind::DISCONNECT => {
            Body::DisconnectSockets { options: fields.options()?, close: fields.close() }
        }
        kind::FETCH => {
            Body::FetchSockets { options: fields.options()?, request: fields.required()? }
        }
        kind::SERVER_SIDE_EMIT => Body::ServerSideEmit {
            packet: data.ok_or(MessageError::Field { field: "data" })?.args()?,
            request: fields.request()?,
        },
        kind::BROADCAST => {
            let packet = RawPacket::new(fields.packet()?, None);
            let request = Some(fields.required()?);
            Body::Broadcast(ClusterBroadcast::received(fields.options()?, request, packet))
        }
        kind => Body::Unknown { kind },
    };
    let namespace = namespace.clone();
    Ok(Message { sender, namespace, stamp: marks.stamp(), after: marks.after, body })
}

fn raw(payload: &Bytes) -> Raw<'_> {
    let is_json = payload.first() == Some(&b'{');
    Raw::new(payload, if is_json { Format::Json } else { Format::Msgpack })
}

/// A number of at most 20 digits. `parse` would accept a sign.
fn decimal(text: &str) -> Option<u64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}
