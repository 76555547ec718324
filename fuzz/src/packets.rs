//! The decoder of Socket.IO.

use std::str;

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::Value;
use socketio_proto::socket::{
    Args, ArgsError, Binary, DecodeError, Decoder, DecoderLimits, Encoded, Event, Json, Kind,
    Packet,
};

/// Small ones, so that they are reached.
const LIMITS: DecoderLimits =
    DecoderLimits { attachments: 4, attachment_bytes: 64, namespace_name_bytes: 16 };

/// A text that is a packet survives being encoded and decoded again, and its arguments can be
/// read.
pub(super) fn text(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut decoder = Decoder::new(LIMITS);
    match decoder.push_text(text.into()) {
        Ok(Some(packet)) => check_packet(&packet),
        Ok(None) => {}
        Err(_) => assert!(!decoder.is_mid_packet()),
    }
}

/// Any sequence of messages keeps the decoder within its limits, and packets with attachments
/// survive as plain ones do.
///
/// The messages are separated by 0xff, which no text contains; a leading 0xfe marks a binary one.
pub(super) fn packets(data: &[u8]) {
    let mut decoder = Decoder::new(LIMITS);
    for message in data.split(|byte| *byte == 0xff) {
        let was_mid_packet = decoder.is_mid_packet();
        let result = if let Some(binary) = message.strip_prefix(&[0xfe]) {
            let result = decoder.push_binary(Bytes::copy_from_slice(binary));
            let is_unexpected = result == Err(DecodeError::UnexpectedBinary);
            assert_eq!(is_unexpected, !was_mid_packet);
            result
        } else {
            let result = decoder.push_text(String::from_utf8_lossy(message).into_owned().into());
            let is_unexpected = result == Err(DecodeError::UnexpectedText);
            assert_eq!(is_unexpected, was_mid_packet);
            result
        };
        match result {
            Ok(Some(packet)) => {
                assert!(!decoder.is_mid_packet());
                check_packet(&packet);
            }
            Ok(None) => {}
            Err(_) => assert!(!decoder.is_mid_packet(), "it has forgotten the packet"),
        }
    }
}

fn check_packet(packet: &Packet) {
    assert!(packet.namespace.as_str().len() <= LIMITS.namespace_name_bytes);
    let encoded = Encoded::packet(packet);
    assert_eq!(encoded.head().len() + attachment_bytes(encoded.attachments()), encoded.wire_len());
    let again = decoded(&encoded);
    assert_eq!(again.as_ref(), Some(packet), "{:?}", encoded.head());
    assert_eq!(Encoded::packet(packet), encoded);
    match &packet.kind {
        Kind::Connect { auth } => check_json(auth.as_ref()),
        Kind::ConnectError { error } => check_json(error.as_ref()),
        Kind::Disconnect => {}
        Kind::Event { event, .. } => check_event(event),
        Kind::Ack { args, .. } => check_args(args),
    }
}

fn decoded(encoded: &Encoded) -> Option<Packet> {
    let mut decoder = Decoder::new(LIMITS);
    let text: ByteString = encoded.head().strip_prefix('4')?.into();
    let mut packet = decoder.push_text(text).ok()?;
    for attachment in encoded.attachments() {
        assert_eq!(packet, None, "not before the last attachment");
        packet = decoder.push_binary(attachment.clone()).ok()?;
    }
    packet
}

fn check_json(json: Option<&Json>) {
    if let Some(json) = json {
        assert_eq!(Json::from_text(json.as_str()).as_ref(), Ok(json));
    }
}

fn check_event(event: &Event) {
    let args = event.args();
    assert_eq!(event.len(), args.len());
    assert_eq!(event.is_empty(), args.is_empty());
    // Without arguments nothing can name an attachment.
    assert!(args.is_empty() || event.attachments() == args.attachments());
    check_args(&args);
    for index in 0..=event.len() {
        assert_eq!(event.get::<Value>(index).ok(), args.get::<Value>(index).ok());
    }
    // Passed on under its own name it is the same, however name and arguments were written.
    if let Ok(same) = Event::with_args(event.name(), &args) {
        assert_eq!(same.name(), event.name());
        assert_eq!(same.args(), args);
    }
}

fn check_args(args: &Args) {
    assert!(args.attachments().len() <= LIMITS.attachments);
    assert!(attachment_bytes(args.attachments()) <= LIMITS.attachment_bytes);
    let len = args.len();
    assert_eq!(len == 0, args.is_empty());
    assert_eq!(args.get::<Value>(len), Err(ArgsError::Missing { index: len }));
    // Rust cannot hold everything that JavaScript can: lone surrogates, 1e999.
    let Ok(values) = args.parse::<Vec<Value>>() else {
        return;
    };
    assert_eq!(values.len(), len);
    for (index, value) in values.iter().enumerate() {
        assert_eq!(args.get::<Value>(index).as_ref(), Ok(value));
        if !args.attachments().is_empty() {
            check_placeholders(value, args);
        }
    }
    for count in 0..=len.saturating_add(1) {
        check_rest(&args.skip(count), args, values.get(count..).unwrap_or_default());
    }
}

/// The last arguments are those that they were, attachments included.
fn check_rest(rest: &Args, args: &Args, values: &[Value]) {
    assert_eq!(rest.len(), values.len());
    for (index, value) in values.iter().enumerate() {
        let passed_on = rest.get::<Value>(index);
        assert!(passed_on.is_ok_and(|passed_on| is_same(value, args, &passed_on, rest)), "{value}");
    }
}

/// Whether two values are the same, wherever their attachments are.
fn is_same(value: &Value, args: &Args, other: &Value, others: &Args) -> bool {
    let binary = |value: &Value, args: &Args| {
        let binary = serde_json::from_value::<Binary>(value.clone()).ok();
        binary.and_then(|binary| binary.resolve(args).cloned())
    };
    match (value, other) {
        (Value::Object(fields), Value::Object(other_fields)) => {
            let bytes = binary(value, args);
            if bytes.is_some() {
                return bytes == binary(other, others);
            }
            fields.len() == other_fields.len()
                && fields.iter().zip(other_fields).all(|((name, value), (other_name, other))| {
                    name == other_name && is_same(value, args, other, others)
                })
        }
        (Value::Array(values), Value::Array(other_values)) => {
            values.len() == other_values.len()
                && values
                    .iter()
                    .zip(other_values)
                    .all(|(value, other)| is_same(value, args, other, others))
        }
        _ => value == other,
    }
}

/// Every placeholder names an attachment.
fn check_placeholders(value: &Value, args: &Args) {
    match value {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let binary = serde_json::from_value::<Binary>(value.clone()).ok();
            assert!(binary.and_then(|binary| binary.resolve(args)).is_some(), "{value}");
        }
        Value::Object(fields) => fields.values().for_each(|value| check_placeholders(value, args)),
        Value::Array(values) => values.iter().for_each(|value| check_placeholders(value, args)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn attachment_bytes(attachments: &[Bytes]) -> usize {
    attachments.iter().map(Bytes::len).sum()
}
