//! Reads messages of the classic adapter.

use alloc::format;

use bytes::Bytes;
use bytestring::ByteString;

use super::{ALL_ROOMS, field, kind, usual};
use crate::{
    cluster::{
        message::{
            Body, BroadcastOptions, ClusterBroadcast, Message, MessageError, MessageNames, NodeId,
            RequestId, Stamp,
            broadcast::{PacketFields, RawPacket},
            decode::{Envelope, Fields},
            raw::{Format, Raw},
        },
        msgpack::{self, Token},
    },
    recovery::Offset,
    socket::NamespaceName,
};

/// What stands in the place of broadcasts, or with the requests.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
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
        match name {
            field::SEQUENCE => self.sequence = value.digits(),
            field::NONCE => self.nonce = value.digits(),
            field::POSITION => self.number = value.digits(),
            field::BEFORE => self.before = value.digits(),
            field::MARKER => self.marker = value.digits(),
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
    /// Reads what stands in the place of broadcasts. A broadcast may share the memory of the payload, and
    /// everything else has its own.
    pub(in crate::cluster) fn broadcast(payload: &Bytes, names: &mut MessageNames) -> Self {
        match usual::broadcast(payload, names) {
            Some((number, message)) => Self { number, marker: None, message: Ok(message) },
            None => Self::any_broadcast(payload),
        }
    }

    fn any_broadcast(payload: &Bytes) -> Self {
        let payload = &Bytes::copy_from_slice(payload);
        let Some(parts) = Parts::read(payload) else {
            return Self { number: None, marker: None, message: Err(MessageError::Malformed) };
        };
        let Marks { number, after, marker, before, .. } = parts.marks;
        let message = parts.open().map(|message| message.after(after));
        Self { number, marker: marker.zip(before), message }
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

/// What stands in the place of broadcasts: `[sender, packet, opts, {…}]`, found in one pass.
struct Parts<'a> {
    sender: Raw<'a>,
    packet: Raw<'a>,
    /// `None` if the packet is not a map with names.
    fields: Option<PacketFields<'a>>,
    /// That of the packet, or that it is none.
    namespace: Option<Result<ByteString, MessageError>>,
    opts: Raw<'a>,
    marks: Marks,
    /// What we say with more than a broadcast.
    kind: Option<u64>,
    own_namespace: Option<ByteString>,
    data: Option<Raw<'a>>,
}

impl<'a> Parts<'a> {
    /// `None` if it has another form.
    fn read(payload: &'a Bytes) -> Option<Self> {
        let (whole, mut input) = (Raw::new(payload, Format::Msgpack), &payload[..]);
        let Token::Array(len @ 3..) = msgpack::read(&mut input)? else { return None };
        let sender = whole.msgpack(&mut input)?;
        let (mut fields, mut namespace) = (PacketFields::default(), None);
        let (packet, has_fields) = whole.take_fields(&mut input, |name, value| match name {
            "nsp" => namespace = Some(value.text().ok_or(MessageError::Namespace)),
            name => fields.note(name, value),
        })?;
        let opts = whole.msgpack(&mut input)?;
        let mut marks = Marks::default();
        let (mut kind, mut own_namespace, mut data) = (None, None, None);
        if len > 3 {
            let (_, is_read) = whole.take_fields(&mut input, |name, value| match name {
                "type" => kind = value.whole_number(),
                "nsp" => own_namespace = value.text(),
                "data" => data = Some(value),
                name => marks.note(name, value),
            })?;
            is_read.then_some(())?;
        }
        for _ in 4..len {
            whole.msgpack(&mut input)?;
        }
        let fields = has_fields.then_some(fields);
        let parts =
            Self { sender, packet, fields, namespace, opts, marks, kind, own_namespace, data };
        input.is_empty().then_some(parts)
    }

    fn open(self) -> Result<Message, MessageError> {
        let (sender, stamp) = (self.sender.text(), self.marks.stamp());
        if self.packet.is_null() {
            let envelope = Envelope::of_texts(sender, self.own_namespace, stamp);
            return envelope.open(self.kind.ok_or(MessageError::Kind)?, self.data);
        }
        let fields = self.fields.ok_or(MessageError::Malformed)?;
        let namespace = match self.namespace {
            // As official nodes take it.
            None => NamespaceName::ROOT,
            Some(name) => NamespaceName::read(&name?).ok_or(MessageError::Namespace)?,
        };
        let sender = sender.and_then(NodeId::new).ok_or(MessageError::Sender)?;
        let packet = RawPacket::split(Format::Msgpack, fields);
        let options = BroadcastOptions::read(self.opts)?;
        let broadcast = ClusterBroadcast::received(options, None, packet);
        Ok(Message { sender, namespace, stamp, after: None, body: Body::Broadcast(broadcast) })
    }
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
            Body::FetchSockets { options: BroadcastOptions::all(), request }
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
            let packet = RawPacket::new(fields.packet()?);
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::socket::Event;

    /// Broadcasts of this crate and of official nodes.
    fn written() -> Vec<Vec<u8>> {
        let event = Event::new("news", &("hello", 1, [2.5], ())).unwrap();
        let all = BroadcastOptions::all();
        let options = [all.clone(), all.clone().to("a"), all.to("a").to("é").except("b")];
        let mut written = Vec::new();
        for (options, namespace) in options.into_iter().zip(["/", "/chat", "/é"]) {
            let body = Body::Broadcast(ClusterBroadcast::new(options, event.clone()));
            let sender = NodeId::new("0123456789abcdef").unwrap();
            let message = Message::new(sender, NamespaceName::new(namespace).unwrap(), body);
            written.push(message.to_classic_message().unwrap().text);
            let entry = message.stamped(Stamp::new(7, u64::MAX)).to_classic_entry().unwrap();
            written
                .push([&entry.text[..], b"00000000000012345678", entry.rest.as_bytes()].concat());
        }
        written
    }

    fn usual(payload: &Bytes, names: &mut MessageNames) -> Option<ClassicEntry> {
        let (number, message) = usual::broadcast(payload, names)?;
        Some(ClassicEntry { number, marker: None, message: Ok(message) })
    }

    #[test]
    fn what_nodes_write_has_the_usual_form() {
        let mut names = MessageNames::default();
        for payload in written() {
            let payload = payload.into();
            let entry = usual(&payload, &mut names).expect("the usual form");
            assert_eq!(entry, ClassicEntry::any_broadcast(&payload));
            let number = entry.message.unwrap().stamp.map(|_| 12_345_678);
            assert_eq!(entry.number, number);
        }
    }

    #[test]
    fn the_usual_form_means_the_same_as_every_other() {
        let mut names = MessageNames::default();
        for payload in written() {
            for place in 0..payload.len() {
                let mut cut: Vec<Vec<u8>> = [payload[..place].to_vec()].into();
                for change in [1, 0x10, 0x80] {
                    let mut changed = payload.clone();
                    changed[place] ^= change;
                    cut.push(changed);
                }
                for changed in cut {
                    let changed = changed.into();
                    let Some(entry) = usual(&changed, &mut names) else { continue };
                    assert_eq!(entry, ClassicEntry::any_broadcast(&changed), "{changed:?}");
                }
            }
            let longer = [&payload[..], b"\xc0"].concat().into();
            assert!(usual(&longer, &mut names).is_none());
        }
    }
}
