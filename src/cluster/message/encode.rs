//! Writes what messages say, field by field as official nodes do.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, MessageError, NodeId,
    RequestId, SocketDetails, Value,
    decode::{AFTER, NONCE, SEQUENCE, TO},
    sink::{JsonSink, MsgpackSink, Sink},
};
use crate::{cluster::json, socket::Event};

/// The most arrays and objects inside each other that an event may have to be written: stored, or to a
/// channel.
pub(crate) fn depth_limit(event: &Event, is_stored: bool) -> usize {
    let is_json = is_stored && event.attachments().is_empty();
    if is_json { JsonSink::MAX_DEPTH } else { MsgpackSink::MAX_DEPTH }
}

/// Whether an event has at most so many arrays and objects inside each other.
pub(crate) fn is_shallow(event: &Event, limit: usize) -> bool {
    json::is_shallow(event.json().as_bytes(), limit)
}

/// Bytes that a message has a place in, without its event and its rooms.
const CAPACITY: usize = 256;

impl Message {
    /// Writes a message for a channel, as msgpack.
    ///
    /// # Errors
    ///
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 128 deep.
    /// * It contains a received packet that is malformed.
    pub fn to_msgpack(&self) -> Result<Bytes, MessageError> {
        self.to_msgpack_for(None)
    }

    /// Writes a message for one node, or for all, as msgpack.
    pub(in crate::cluster) fn to_msgpack_for(
        &self,
        to: Option<&NodeId>,
    ) -> Result<Bytes, MessageError> {
        let mut sink = MsgpackSink::with_capacity(self.capacity());
        self.write_envelope(&mut sink, to, false)?;
        Ok(sink.out.into())
    }

    /// Writes a message for one node, or for all, as JSON, which begins with the number in the stamp
    /// or with the type. `None` if it has attachments.
    pub(in crate::cluster) fn to_json_for(
        &self,
        to: Option<&NodeId>,
        begins_with_number: bool,
    ) -> Result<Option<String>, MessageError> {
        if has_data(&self.body) && has_attachments(&self.body)? {
            return Ok(None);
        }
        let mut sink = JsonSink::with_capacity(self.capacity());
        self.write_envelope(&mut sink, to, begins_with_number)?;
        Ok(Some(sink.out))
    }

    /// Writes a message as JSON, or as msgpack if it has attachments. It begins with the number in the
    /// stamp or with the type.
    pub(in crate::cluster) fn to_payload(
        &self,
        begins_with_number: bool,
    ) -> Result<Vec<u8>, MessageError> {
        if let Some(json) = self.to_json_for(None, begins_with_number)? {
            return Ok(json.into_bytes());
        }
        let mut sink = MsgpackSink::with_capacity(self.capacity());
        self.write_envelope(&mut sink, None, begins_with_number)?;
        Ok(sink.out)
    }

    /// Bytes in which most messages have a place.
    pub(super) fn capacity(&self) -> usize {
        let Body::Broadcast(broadcast) = &self.body else { return CAPACITY };
        let rooms = broadcast.options.rooms().iter().chain(broadcast.options.excepted());
        // With quotes and a comma.
        let bytes = rooms.map(|room| room.len().saturating_add(3)).fold(0, usize::saturating_add);
        bytes.saturating_add(broadcast.event_len()).saturating_add(CAPACITY)
    }

    /// Whether a payload begins with the number in a stamp.
    pub(in crate::cluster) fn begins_with_number(payload: &[u8]) -> bool {
        match payload {
            [b'{', rest @ ..] => rest.starts_with(b"\"seq\":"),
            [0x80..=0x8f, rest @ ..] => rest.starts_with(b"\xa3seq"),
            _ => false,
        }
    }

    fn write_envelope(
        &self,
        sink: &mut impl Sink,
        to: Option<&NodeId>,
        begins_with_number: bool,
    ) -> Result<(), MessageError> {
        let has_data = has_data(&self.body);
        let marks = 2 * usize::from(self.stamp.is_some())
            + usize::from(self.after.is_some())
            + usize::from(to.is_some());
        sink.map(3 + usize::from(has_data) + marks);
        let first = self.stamp.filter(|_| begins_with_number);
        if let Some(stamp) = first {
            sink.key(SEQUENCE);
            sink.uint(stamp.sequence);
        }
        sink.key("type");
        sink.uint(self.body.kind());
        if has_data {
            sink.key("data");
            write(sink, &self.body)?;
        }
        sink.key("uid");
        sink.text(self.sender.as_str());
        sink.key("nsp");
        sink.text(self.namespace.as_str());
        if let Some(stamp) = self.stamp {
            if first.is_none() {
                sink.key(SEQUENCE);
                sink.uint(stamp.sequence);
            }
            sink.key(NONCE);
            sink.uint(stamp.nonce);
        }
        if let Some(after) = self.after {
            sink.key(AFTER);
            sink.text(&after.to_string());
        }
        if let Some(to) = to {
            sink.key(TO);
            sink.text(to.as_str());
        }
        sink.end_map();
        Ok(())
    }

    /// Writes what the message says as text: JSON, or base64 of msgpack if it has attachments.
    /// `None` if it has no data.
    pub(in crate::cluster) fn data_text(&self) -> Result<Option<String>, MessageError> {
        let body = &self.body;
        if !has_data(body) {
            return Ok(None);
        }
        if has_attachments(body)? {
            let mut sink = MsgpackSink::with_capacity(self.capacity());
            write(&mut sink, body)?;
            return Ok(Some(STANDARD.encode(sink.out)));
        }
        let mut sink = JsonSink::with_capacity(self.capacity());
        write(&mut sink, body)?;
        Ok(Some(sink.out))
    }

    /// Writes what the message says as msgpack. `None` if it has no data.
    pub(in crate::cluster) fn data_msgpack(&self) -> Result<Option<Bytes>, MessageError> {
        if !has_data(&self.body) {
            return Ok(None);
        }
        let mut sink = MsgpackSink::with_capacity(self.capacity());
        write(&mut sink, &self.body)?;
        Ok(Some(sink.out.into()))
    }
}

const fn has_data(body: &Body) -> bool {
    !matches!(
        body,
        Body::InitialHeartbeat | Body::Heartbeat | Body::AdapterClose | Body::Unknown { .. }
    )
}

pub(super) fn has_attachments(body: &Body) -> Result<bool, MessageError> {
    let is_in = |value: &Value| !value.attachments().is_empty();
    Ok(match body {
        Body::Broadcast(broadcast) => !broadcast.packet_here()?.event.attachments().is_empty(),
        Body::FetchSocketsResponse { sockets, .. } => {
            sockets.iter().any(|socket| is_in(&socket.handshake) || is_in(&socket.data))
        }
        Body::ServerSideEmit { packet, .. } => !packet.attachments().is_empty(),
        Body::ServerSideEmitResponse { answer, .. } | Body::BroadcastAck { answer, .. } => {
            is_in(answer)
        }
        Body::Own { data, .. } => is_in(data),
        _ => false,
    })
}

/// Writes the data of a message that has some.
fn write(sink: &mut impl Sink, body: &Body) -> Result<(), MessageError> {
    match body {
        Body::Broadcast(broadcast) => return write_broadcast(sink, broadcast),
        Body::SocketsJoin { options, rooms } | Body::SocketsLeave { options, rooms } => {
            sink.map(2);
            write_options(sink, options);
            write_rooms(sink, "rooms", rooms, false);
        }
        Body::DisconnectSockets { options, close } => {
            sink.map(2);
            write_options(sink, options);
            sink.key("close");
            sink.bool(*close);
        }
        Body::FetchSockets { options, request } => {
            sink.map(2);
            write_options(sink, options);
            write_request(sink, request);
        }
        Body::FetchSocketsResponse { request, sockets } => {
            sink.map(2);
            write_request(sink, request);
            write_sockets(sink, sockets)?;
        }
        Body::ServerSideEmit { packet, request } => {
            sink.map(1 + usize::from(request.is_some()));
            if let Some(request) = request {
                write_request(sink, request);
            }
            sink.key("packet");
            write_json(sink, packet.json(), packet.attachments())?;
        }
        Body::ServerSideEmitResponse { request, answer }
        | Body::BroadcastAck { request, answer } => {
            sink.map(2);
            write_request(sink, request);
            sink.key("packet");
            write_value(sink, answer)?;
        }
        Body::BroadcastClientCount { request, client_count } => {
            sink.map(2);
            write_request(sink, request);
            sink.key("clientCount");
            sink.uint(*client_count);
        }
        Body::Own { data, .. } => {
            sink.map(1);
            sink.key("value");
            write_value(sink, data)?;
        }
        _ => sink.map(0),
    }
    sink.end_map();
    Ok(())
}

fn write_broadcast(sink: &mut impl Sink, broadcast: &ClusterBroadcast) -> Result<(), MessageError> {
    let packet = broadcast.packet_here()?;
    sink.map(2 + usize::from(broadcast.request.is_some()));
    sink.key("packet");
    sink.map(2 + usize::from(packet.ack.is_some()));
    sink.key("type");
    sink.uint(2);
    sink.key("data");
    write_json(sink, packet.event.json(), packet.event.attachments())?;
    if let Some(ack) = packet.ack {
        sink.key("id");
        sink.uint(ack);
    }
    sink.end_map();
    if let Some(request) = &broadcast.request {
        write_request(sink, request);
    }
    write_options(sink, &broadcast.options);
    sink.end_map();
    Ok(())
}

/// Rooms and excepted rooms are always there: a restore of an official node fails at an entry
/// without them.
fn write_options(sink: &mut impl Sink, options: &BroadcastOptions) {
    sink.key("opts");
    sink.map(3);
    write_rooms(sink, "rooms", options.rooms(), options.has_nameless_rooms());
    write_rooms(sink, "except", options.excepted(), false);
    sink.key("flags");
    write_flags(sink, options.flags);
    sink.end_map();
}

/// Without its nameless rooms, a message for nobody would be for everyone.
pub(super) fn write_rooms(
    sink: &mut impl Sink,
    name: &'static str,
    rooms: &[ByteString],
    has_nameless: bool,
) {
    sink.key(name);
    sink.array(rooms.len().saturating_add(usize::from(has_nameless)));
    for room in rooms {
        sink.item();
        sink.text(room);
    }
    if has_nameless {
        sink.item();
        sink.nil();
    }
    sink.end_array();
}

pub(super) fn write_flags(sink: &mut impl Sink, flags: BroadcastFlags) {
    let bools = [
        ("volatile", flags.volatile),
        ("compress", flags.compress),
        ("local", flags.local),
        ("broadcast", flags.broadcast),
        ("binary", flags.binary),
        ("expectSingleResponse", flags.expect_single_response),
    ];
    let set = bools.into_iter().filter_map(|(name, value)| Some((name, value?)));
    sink.map(set.clone().count().saturating_add(usize::from(flags.timeout.is_some())));
    for (name, value) in set {
        sink.key(name);
        sink.bool(value);
    }
    if let Some(timeout) = flags.timeout {
        sink.key("timeout");
        sink.uint(timeout);
    }
    sink.end_map();
}

fn write_request(sink: &mut impl Sink, request: &RequestId) {
    sink.key("requestId");
    sink.text(request.as_str());
}

pub(super) fn write_sockets(
    sink: &mut impl Sink,
    sockets: &[SocketDetails],
) -> Result<(), MessageError> {
    sink.key("sockets");
    sink.array(sockets.len());
    for socket in sockets {
        sink.item();
        sink.map(4);
        sink.key("id");
        sink.text(&socket.id);
        sink.key("handshake");
        write_value(sink, &socket.handshake)?;
        write_rooms(sink, "rooms", &socket.rooms, false);
        sink.key("data");
        write_value(sink, &socket.data)?;
        sink.end_map();
    }
    sink.end_array();
    Ok(())
}

pub(super) fn write_value(sink: &mut impl Sink, value: &Value) -> Result<(), MessageError> {
    write_json(sink, value.json(), value.attachments())
}

pub(super) fn write_json<S: Sink>(
    sink: &mut S,
    json: &str,
    bytes: &[Bytes],
) -> Result<(), MessageError> {
    if !json::is_shallow(json.as_bytes(), S::MAX_DEPTH) {
        return Err(MessageError::TooDeep { limit: S::MAX_DEPTH });
    }
    sink.json(json, bytes);
    Ok(())
}
