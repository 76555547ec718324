//! Writes messages for the classic adapter.

use alloc::{collections::BTreeSet, string::ToString as _, vec::Vec};

use bytestring::ByteString;

use super::{ALL_ROOMS, DIGITS, field, kind};
use crate::cluster::message::{
    Body, BroadcastOptions, BroadcastPacket, ClusterBroadcast, Message, MessageError, RequestId,
    SocketDetails,
    encode::{has_attachments, write_flags, write_json, write_rooms, write_sockets, write_value},
    sink::{JsonSink, MsgpackSink, Sink},
};

/// Where a message is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Place {
    /// Where broadcasts are: for one room, or not.
    Broadcasts(Option<ByteString>),
    Requests,
    /// With the answers, for the node that has asked.
    Answers,
    /// Official nodes have no word for it. It is in the place of broadcasts if it is an entry.
    Own,
}

/// What is published.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct ClassicPayload {
    pub(in crate::cluster) place: Place,
    /// Up to the number of the entry, or everything.
    pub(in crate::cluster) text: Vec<u8>,
    /// What follows the number.
    pub(in crate::cluster) rest: &'static str,
}

/// What replaces the number until Redis fills it in.
const NUMBER: &str = "00000000000000000000";
const _: () = assert!(NUMBER.len() == DIGITS, "as many zeros as digits");

impl Message {
    /// Writes an entry of the channel, whose number is filled in later.
    pub(in crate::cluster) fn to_classic_entry(&self) -> Result<ClassicPayload, MessageError> {
        let is_for_log = match &self.body {
            Body::Broadcast(broadcast) => broadcast.request.is_none(),
            Body::SocketsJoin { .. }
            | Body::SocketsLeave { .. }
            | Body::DisconnectSockets { .. }
            | Body::Own { .. } => true,
            _ => false,
        };
        if !is_for_log {
            return Err(MessageError::NotForLog { kind: self.body.kind() });
        }
        self.to_classic(true)
    }

    /// Writes a message that is not in the channel.
    pub(in crate::cluster) fn to_classic_message(&self) -> Result<ClassicPayload, MessageError> {
        self.to_classic(false)
    }

    fn to_classic(&self, is_entry: bool) -> Result<ClassicPayload, MessageError> {
        let is_own = match &self.body {
            Body::InitialHeartbeat
            | Body::Heartbeat
            | Body::AdapterClose
            | Body::Unknown { .. } => true,
            Body::Own { .. } => !is_entry,
            _ => false,
        };
        if is_own {
            let text = self.to_msgpack()?.into();
            return Ok(ClassicPayload { place: Place::Own, text, rest: "" });
        }
        let must_be_msgpack = match &self.body {
            Body::Broadcast(_) | Body::Own { .. } | Body::BroadcastAck { .. } => true,
            body => has_attachments(body)?,
        };
        let writer = Writer { message: self, is_entry };
        let (mut text, rest) = if must_be_msgpack {
            let mut sink = MsgpackSink::with_capacity(self.capacity());
            writer.write(&mut sink)?;
            (sink.out, "")
        } else {
            let mut sink = JsonSink::with_capacity(self.capacity());
            writer.write(&mut sink)?;
            (sink.out.into_bytes(), "\"}")
        };
        let place = place(&self.body);
        if !is_entry {
            return Ok(ClassicPayload { place, text, rest: "" });
        }
        let len = text.len().saturating_sub(DIGITS.saturating_add(rest.len()));
        text.truncate(len);
        Ok(ClassicPayload { place, text, rest })
    }
}

/// A marker, in two parts: up to the number before its own, and from there to its own. Nothing follows
/// that.
pub(in crate::cluster) fn classic_marker(sender: &str, marker: u64) -> (Vec<u8>, Vec<u8>) {
    let mut sink = MsgpackSink::default();
    sink.array(4);
    sink.text(sender);
    sink.nil();
    sink.nil();
    sink.map(3);
    sink.key(field::MARKER);
    sink.text(&marker.to_string());
    let (mut first, mut second) = (sink, MsgpackSink::default());
    for (sink, name) in [(&mut first, field::BEFORE), (&mut second, field::POSITION)] {
        sink.key(name);
        sink.text(NUMBER);
        sink.out.truncate(sink.out.len().saturating_sub(DIGITS));
    }
    (first.out, second.out)
}

fn place(body: &Body) -> Place {
    match body {
        Body::Broadcast(broadcast) if broadcast.request.is_none() => {
            Place::Broadcasts(broadcast.options.only_room().cloned())
        }
        Body::Own { .. } => Place::Own,
        body if body.answers().is_some() => Place::Answers,
        _ => Place::Requests,
    }
}

struct Writer<'a> {
    message: &'a Message,
    is_entry: bool,
}

impl Writer<'_> {
    fn write(&self, sink: &mut impl Sink) -> Result<(), MessageError> {
        match &self.message.body {
            Body::Broadcast(broadcast) if broadcast.request.is_none() => {
                self.write_broadcast(sink, broadcast)
            }
            Body::Own { kind, data } => {
                self.begin_array(sink);
                sink.item();
                sink.nil();
                sink.item();
                sink.nil();
                sink.item();
                sink.map(self.marks().saturating_add(3));
                sink.key("type");
                sink.uint(kind.number());
                sink.key("nsp");
                sink.text(self.message.namespace.as_str());
                sink.key("data");
                sink.map(1);
                sink.key("value");
                write_value(sink, data)?;
                sink.end_map();
                self.end(sink);
                sink.end_array();
                Ok(())
            }
            body if body.answers().is_some() => self.write_answer(sink),
            _ => self.write_request(sink),
        }
    }

    fn begin_array(&self, sink: &mut impl Sink) {
        sink.array(if self.marks() > 0 { 4 } else { 3 });
        sink.item();
        sink.text(self.message.sender.as_str());
    }

    fn write_broadcast(
        &self,
        sink: &mut impl Sink,
        broadcast: &ClusterBroadcast,
    ) -> Result<(), MessageError> {
        self.begin_array(sink);
        sink.item();
        self.write_packet(sink, broadcast.packet_here()?.as_ref())?;
        sink.item();
        write_options(sink, &broadcast.options, true);
        if self.marks() > 0 {
            sink.item();
            sink.map(self.marks());
            self.end(sink);
        }
        sink.end_array();
        Ok(())
    }

    fn write_packet(
        &self,
        sink: &mut impl Sink,
        packet: &BroadcastPacket,
    ) -> Result<(), MessageError> {
        sink.map(3 + usize::from(packet.ack.is_some()));
        sink.key("type");
        sink.uint(2);
        sink.key("data");
        write_json(sink, packet.event.json(), packet.event.attachments())?;
        if let Some(ack) = packet.ack {
            sink.key("id");
            sink.uint(ack);
        }
        sink.key("nsp");
        sink.text(self.message.namespace.as_str());
        sink.end_map();
        Ok(())
    }

    fn write_request(&self, sink: &mut impl Sink) -> Result<(), MessageError> {
        let marks = self.marks();
        match &self.message.body {
            Body::SocketsJoin { options, rooms } | Body::SocketsLeave { options, rooms } => {
                let is_join = matches!(self.message.body, Body::SocketsJoin { .. });
                let kind = if is_join { kind::JOIN } else { kind::LEAVE };
                self.begin(sink, marks.saturating_add(4), None, kind);
                sink.key("opts");
                write_options(sink, options, false);
                write_rooms(sink, "rooms", rooms, false);
            }
            Body::DisconnectSockets { options, close } => {
                self.begin(sink, marks.saturating_add(4), None, kind::DISCONNECT);
                sink.key("opts");
                write_options(sink, options, false);
                sink.key("close");
                sink.bool(*close);
            }
            Body::FetchSockets { options, request } => {
                self.begin(sink, marks.saturating_add(4), Some(request), kind::FETCH);
                sink.key("opts");
                write_options(sink, options, false);
            }
            Body::ServerSideEmit { packet, request } => {
                let fields = 3 + usize::from(request.is_some());
                let kind = kind::SERVER_SIDE_EMIT;
                self.begin(sink, marks.saturating_add(fields), request.as_ref(), kind);
                sink.key("data");
                write_json(sink, packet.json(), packet.attachments())?;
            }
            Body::Broadcast(broadcast) => {
                let request = broadcast.request.as_ref();
                self.begin(sink, marks.saturating_add(5), request, kind::BROADCAST);
                sink.key("packet");
                self.write_packet(sink, broadcast.packet_here()?.as_ref())?;
                sink.key("opts");
                write_options(sink, &broadcast.options, true);
            }
            body => return Err(MessageError::NotForLog { kind: body.kind() }),
        }
        self.end(sink);
        Ok(())
    }

    fn begin(&self, sink: &mut impl Sink, fields: usize, request: Option<&RequestId>, kind: u64) {
        sink.map(fields);
        sink.key("uid");
        sink.text(self.message.sender.as_str());
        if let Some(request) = request {
            sink.key("requestId");
            sink.text(request.as_str());
        }
        sink.key("type");
        sink.uint(kind);
    }

    /// Official answers do not say whose they are. Ours do, if they have a mark.
    fn write_answer(&self, sink: &mut impl Sink) -> Result<(), MessageError> {
        let marks = self.marks();
        let extra = if marks > 0 { marks.saturating_add(1) } else { 0 };
        match &self.message.body {
            Body::FetchSocketsResponse { request, sockets } => {
                sink.map(extra.saturating_add(2));
                sink.key("requestId");
                if let Some(name) = request.as_str().strip_prefix(ALL_ROOMS) {
                    sink.text(name);
                    write_rooms(sink, "rooms", &rooms_of(sockets), false);
                } else {
                    sink.text(request.as_str());
                    write_sockets(sink, sockets)?;
                }
            }
            Body::ServerSideEmitResponse { request, answer } => {
                begin_answer(sink, extra, kind::SERVER_SIDE_EMIT, request);
                sink.key("data");
                write_value(sink, answer)?;
            }
            Body::BroadcastClientCount { request, client_count } => {
                begin_answer(sink, extra, kind::CLIENT_COUNT, request);
                sink.key("clientCount");
                sink.uint(*client_count);
            }
            Body::BroadcastAck { request, answer } => {
                begin_answer(sink, extra, kind::BROADCAST_ACK, request);
                sink.key("packet");
                write_value(sink, answer)?;
            }
            body => return Err(MessageError::NotForLog { kind: body.kind() }),
        }
        if extra > 0 {
            sink.key("uid");
            sink.text(self.message.sender.as_str());
        }
        self.end(sink);
        Ok(())
    }

    /// How many fields [`end`](Self::end) writes.
    fn marks(&self) -> usize {
        let Message { stamp, after, .. } = self.message;
        2 * usize::from(stamp.is_some()) + usize::from(after.is_some()) + usize::from(self.is_entry)
    }

    /// Our own fields, as text. The number of the entry is the last one.
    fn end(&self, sink: &mut impl Sink) {
        if let Some(stamp) = self.message.stamp {
            sink.key(field::SEQUENCE);
            sink.digits(stamp.sequence);
            sink.key(field::NONCE);
            sink.digits(stamp.nonce);
        }
        if let Some(after) = self.message.after {
            sink.key(field::AFTER);
            sink.text(&after.to_string());
        }
        if self.is_entry {
            sink.key(field::POSITION);
            sink.text(NUMBER);
        }
        sink.end_map();
    }
}

fn begin_answer(sink: &mut impl Sink, extra: usize, kind: u64, request: &RequestId) {
    sink.map(extra.saturating_add(3));
    sink.key("type");
    sink.uint(kind);
    sink.key("requestId");
    sink.text(request.as_str());
}

/// Whom it is for. Requests have no flags.
fn write_options(sink: &mut impl Sink, options: &BroadcastOptions, has_flags: bool) {
    sink.map(2 + usize::from(has_flags));
    write_rooms(sink, "rooms", options.rooms(), options.has_nameless_rooms());
    write_rooms(sink, "except", options.excepted(), false);
    if has_flags {
        sink.key("flags");
        write_flags(sink, options.flags);
    }
    sink.end_map();
}

/// The rooms of these sockets, each once.
fn rooms_of(sockets: &[SocketDetails]) -> Vec<ByteString> {
    let rooms: BTreeSet<&ByteString> = sockets.iter().flat_map(|socket| &socket.rooms).collect();
    rooms.into_iter().cloned().collect()
}
