//! The codecs of Engine.IO and the verification of requests.

use std::str;

use bytes::Bytes;
use bytestring::ByteString;
use socketio_proto::{
    EngineId, ServerConfig, Transports,
    engine::{
        EngineDecodeError, EnginePacket, ErrorCode, Frame, Method, PayloadReader, PayloadWriter,
        Query, QuerySid, RequestHead, Transport, Verified, verify,
    },
};

use super::source::Source;

/// The codecs of Engine.IO and the verification of requests: one frame, one polling body, or the head
/// of one request.
pub fn engine_codec(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(3) {
        0 => packet(source.rest()),
        1 => payload(source.rest()),
        _ => query(source),
    }
}

/// Decoding, encoding and decoding again gives the same packet, from text and from binary frames.
fn packet(data: &[u8]) {
    let binary = Frame::Binary(Bytes::copy_from_slice(data));
    let packet = EnginePacket::decode(binary.clone());
    assert_eq!(packet.map(|packet| packet.encode()), Ok(binary), "bytes are a message");
    if let Ok(text) = str::from_utf8(data)
        && let Ok(packet) = EnginePacket::decode(Frame::Text(text.into()))
    {
        check_packet(&packet);
    }
}

fn check_packet(packet: &EnginePacket) {
    let encoded = packet.encode();
    assert_eq!(EnginePacket::decode(encoded.clone()).as_ref(), Ok(packet));
    let mut body = PayloadWriter::new(0);
    assert!(body.push(&encoded), "the first packet fits");
    if !matches!(&encoded, Frame::Text(text) if text.contains('\u{1e}')) {
        let read: Vec<_> = PayloadReader::new(body.finish()).collect();
        assert_eq!(read, [Ok(packet.clone())], "base64 and back");
    }
}

/// A polling body is its records one by one up to the first bad one, and survives being written
/// again, in one body or in several.
fn payload(data: &[u8]) {
    let read: Vec<_> = PayloadReader::new(Bytes::copy_from_slice(data)).collect();
    let mut expected = Vec::new();
    for record in data.split(|byte| *byte == 0x1e) {
        let packet = match ByteString::try_from(record) {
            Ok(text) => EnginePacket::decode(Frame::Text(text)),
            Err(_) => Err(EngineDecodeError::InvalidUtf8),
        };
        let is_bad = packet.is_err();
        expected.push(packet);
        if is_bad {
            break;
        }
    }
    assert_eq!(read, expected);
    let packets: Vec<EnginePacket> = read.into_iter().flatten().collect();
    for limit in [0, 16, usize::MAX] {
        assert_eq!(rewritten(&packets, limit), packets);
    }
}

/// Writes packets into bodies of that size and reads them again.
fn rewritten(packets: &[EnginePacket], limit: usize) -> Vec<EnginePacket> {
    let mut read = Vec::new();
    let mut rest = packets.iter().peekable();
    while rest.peek().is_some() {
        let mut body = PayloadWriter::new(limit);
        let mut count = 0;
        while rest.next_if(|packet| body.push(&packet.encode())).is_some() {
            count += 1;
        }
        let body = body.finish();
        assert!(count == 1 || body.len() <= limit, "{count} packets, {} bytes", body.len());
        read.extend(PayloadReader::new(body).flatten());
    }
    read
}

/// A query string is read as its meaning says, and whatever is let in satisfies every rule.
fn query(mut source: Source<'_>) {
    let choices = source.byte();
    let origin = source.flag().then(|| source.bytes());
    let query = source.text();
    let config = ServerConfig::new().transports(match choices % 3 {
        0 => Transports::Both,
        1 => Transports::PollingOnly,
        _ => Transports::WebSocketOnly,
    });
    let head = RequestHead {
        method: match choices / 3 % 3 {
            0 => Method::Get,
            1 => Method::Post,
            _ => Method::Other,
        },
        query: &query,
        upgrade: choices & 0x80 != 0,
        origin,
        binary: choices & 0x40 != 0,
    };
    let parsed = Query::parse(&query);
    check_query(&parsed);
    let current = if choices & 0x20 != 0 { Transport::Polling } else { Transport::WebSocket };
    // Half of the ids are those of sessions.
    let find = |id: &EngineId| {
        let is_known = id.as_str().bytes().fold(0, |sum: u8, byte| sum ^ byte) & 1 == 0;
        is_known.then_some((*id, current))
    };
    let verified = verify(&head, &config, find);
    assert_eq!(verify(&head, &config, find), verified, "same inputs, same answer");
    match verified {
        Ok(Verified::Handshake { transport }) => {
            assert!(parsed.version4 && parsed.sid.is_none() && head.method == Method::Get);
            assert_eq!(parsed.transport, Some(transport));
            assert_eq!(head.upgrade, transport == Transport::WebSocket);
        }
        Ok(Verified::Session(id)) => {
            assert!(parsed.version4);
            assert_eq!(parsed.sid, Some(QuerySid::Id(id)));
            assert!(head.upgrade || current == Transport::Polling);
        }
        Err(refusal) => {
            check_refusal(&refusal);
            let response = refusal.response(head.upgrade);
            assert!(response.status == 400 && !response.body.is_empty());
        }
    }
}

fn check_query(parsed: &Query) {
    let mut canonical = format!("EIO={}", if parsed.version4 { "4" } else { "3" });
    if let Some(transport) = parsed.transport {
        canonical.push_str("&transport=");
        canonical.push_str(transport.as_str());
    }
    match parsed.sid {
        Some(QuerySid::Id(id)) => {
            canonical.push_str("&sid=");
            canonical.push_str(id.as_str());
        }
        Some(QuerySid::Malformed) => canonical.push_str("&sid=%00"),
        None => {}
    }
    assert_eq!(Query::parse(&canonical), *parsed, "{canonical}");
}

fn check_refusal(refusal: &socketio_proto::engine::RequestRefusal) {
    assert_ne!(refusal.code, ErrorCode::Forbidden, "that is for the application to say");
    let response = refusal.response(false);
    let body: Result<serde_json::Value, _> = serde_json::from_slice(&response.body);
    let Ok(body) = body else {
        unreachable!("the body is JSON");
    };
    assert_eq!(response.status, 400);
    assert_eq!(body.get("code"), Some(&refusal.code.as_u8().into()));
    assert_eq!(body.get("message"), Some(&refusal.message.to_string().into()));
}
