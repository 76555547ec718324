//! Packets, polling bodies and their codecs.

use bytes::Bytes;
use bytestring::ByteString;
use proptest::prelude::*;
use socketio_proto::engine::{
    EngineDecodeError, EnginePacket, Frame, Open, Payload, PayloadReader, PayloadWriter, Transport,
};

fn text(text: &str) -> Frame {
    Frame::Text(text.into())
}

fn message(text: &str) -> EnginePacket {
    EnginePacket::Message(Payload::Text(text.into()))
}

fn read(body: &[u8]) -> Vec<Result<EnginePacket, EngineDecodeError>> {
    PayloadReader::new(Bytes::copy_from_slice(body)).collect()
}

/// The separator is looked for in blocks of 16 bytes.
#[test]
fn packets_of_every_length_are_told_apart() {
    for len in 0..50 {
        let (first, second) = ("x".repeat(len), "y".repeat(50 - len));
        let body = format!("4{first}\u{1e}4{second}\u{1e}2");
        let expected = [message(&first), message(&second), EnginePacket::Ping { probe: false }];
        assert_eq!(read(body.as_bytes()), expected.map(Ok), "{len}");
    }
}

#[test]
fn every_packet_type_has_its_digit() {
    let table = [
        ("1", EnginePacket::Close),
        ("2", EnginePacket::Ping { probe: false }),
        ("2probe", EnginePacket::Ping { probe: true }),
        ("3", EnginePacket::Pong { probe: false }),
        ("3probe", EnginePacket::Pong { probe: true }),
        ("4", message("")),
        ("4hello €", message("hello €")),
        ("5", EnginePacket::Upgrade),
        ("6", EnginePacket::Noop),
    ];
    for (encoded, packet) in table {
        assert_eq!(EnginePacket::decode(text(encoded)), Ok(packet.clone()), "{encoded}");
        assert_eq!(packet.encode(), text(encoded));
    }
}

#[test]
fn open_packet_has_its_keys_in_order() {
    let open = Open {
        sid: "abc".into(),
        upgrades: [Transport::WebSocket].into_iter().collect(),
        ping_interval: 25_000,
        ping_timeout: 20_000,
        max_payload: 1_000_000,
    };
    let encoded = r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    assert_eq!(EnginePacket::Open(open.clone()).encode(), text(encoded));
    assert_eq!(EnginePacket::decode(text(encoded)), Ok(EnginePacket::Open(open)));
}

#[test]
fn open_packets_of_other_servers_are_read() {
    let encoded = r#"0{"sid":"x","upgrades":["webtransport","websocket"],"pingInterval":1,"pingTimeout":2,"more":{}}"#;
    let Ok(EnginePacket::Open(open)) = EnginePacket::decode(text(encoded)) else {
        panic!("not read");
    };
    assert_eq!(open.upgrades.as_slice(), [Transport::WebSocket]);
    assert_eq!(open.max_payload, u64::MAX);
    assert_eq!(EnginePacket::decode(text("0")), Err(EngineDecodeError::InvalidOpen));
    assert_eq!(EnginePacket::decode(text("0{}")), Err(EngineDecodeError::InvalidOpen));
}

#[test]
fn other_payloads_of_a_ping_are_no_probe() {
    assert_eq!(EnginePacket::decode(text("2x")), Ok(EnginePacket::Ping { probe: false }));
    assert_eq!(EnginePacket::decode(text("3probes")), Ok(EnginePacket::Pong { probe: false }));
}

#[test]
fn what_is_no_packet_is_an_error() {
    assert_eq!(EnginePacket::decode(text("")), Err(EngineDecodeError::Empty));
    assert_eq!(EnginePacket::decode(text("7")), Err(EngineDecodeError::UnknownType('7')));
    assert_eq!(EnginePacket::decode(text("é")), Err(EngineDecodeError::UnknownType('é')));
    assert_eq!(EnginePacket::decode(text("b?")), Err(EngineDecodeError::InvalidBase64));
    assert_eq!(EnginePacket::decode(text("b_-_-")), Err(EngineDecodeError::InvalidBase64));
}

#[test]
fn binary_is_a_frame_of_its_own_or_base64() {
    let binary =
        |bytes: &[u8]| EnginePacket::Message(Payload::Binary(Bytes::copy_from_slice(bytes)));
    assert_eq!(binary(&[1, 2]).encode(), Frame::Binary(Bytes::from_static(&[1, 2])));
    assert_eq!(EnginePacket::decode(Frame::Binary(Bytes::new())), Ok(binary(&[])));
    assert_eq!(EnginePacket::decode(text("bAQIDBA==")), Ok(binary(&[1, 2, 3, 4])));
    assert_eq!(
        EnginePacket::decode(text("bAQIDBA")),
        Ok(binary(&[1, 2, 3, 4])),
        "padding is optional"
    );
    assert_eq!(EnginePacket::decode(text("b")), Ok(binary(&[])));
}

#[test]
fn text_message_is_a_slice_of_its_frame() {
    let frame = ByteString::from(String::from("4hello"));
    let Ok(EnginePacket::Message(Payload::Text(payload))) =
        EnginePacket::decode(Frame::Text(frame.clone()))
    else {
        panic!("not read");
    };
    assert_eq!(payload.as_ptr(), frame.as_ptr().wrapping_add(1));
}

#[test]
fn body_is_split_at_separators() {
    let packets = read(b"4a\x1ebAQID\x1e2");
    let binary = EnginePacket::Message(Payload::Binary(Bytes::from_static(&[1, 2, 3])));
    assert_eq!(packets, [Ok(message("a")), Ok(binary), Ok(EnginePacket::Ping { probe: false })]);
}

#[test]
fn body_ends_at_its_first_bad_packet() {
    assert_eq!(read(b""), [Err(EngineDecodeError::Empty)]);
    assert_eq!(read(b"4a\x1e\x1e4b"), [Ok(message("a")), Err(EngineDecodeError::Empty)]);
    assert_eq!(read(b"4a\x1e"), [Ok(message("a")), Err(EngineDecodeError::Empty)]);
    assert_eq!(
        read(b"4a\x1eabc\x1e4b"),
        [Ok(message("a")), Err(EngineDecodeError::UnknownType('a'))]
    );
    assert_eq!(read(b"4a\x1e4\xff\x1e4b"), [Ok(message("a")), Err(EngineDecodeError::InvalidUtf8)]);
}

#[test]
fn body_is_limited_but_takes_one_packet() {
    let mut writer = PayloadWriter::new(10);
    assert!(writer.push(&text("4 longer than the limit")));
    assert!(!writer.push(&text("4")));
    assert_eq!(writer.finish(), "4 longer than the limit");

    let mut writer = PayloadWriter::new(10);
    assert!(writer.push(&Frame::Binary(Bytes::from_static(&[1, 2, 3, 4]))));
    assert!(!writer.push(&text("4")), "nine bytes and a separator leave no room");
    assert_eq!(writer.finish(), "bAQIDBA==");
    assert_eq!(PayloadWriter::new(10).finish(), "");
}

fn any_packet() -> impl Strategy<Value = EnginePacket> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20);
    let open = ("[a-z\"\\\\]{0,20}", any::<[u64; 3]>(), any::<bool>());
    prop_oneof![
        Just(EnginePacket::Close),
        any::<bool>().prop_map(|probe| EnginePacket::Ping { probe }),
        any::<bool>().prop_map(|probe| EnginePacket::Pong { probe }),
        Just(EnginePacket::Upgrade),
        Just(EnginePacket::Noop),
        "[^\u{1e}]{0,20}".prop_map(|text| message(&text)),
        bytes.prop_map(|bytes| EnginePacket::Message(Payload::Binary(bytes.into()))),
        open.prop_map(|(sid, [ping_interval, ping_timeout, max_payload], upgrade)| {
            let upgrades = upgrade.then_some(Transport::WebSocket).into_iter().collect();
            let sid = sid.into();
            EnginePacket::Open(Open { sid, upgrades, ping_interval, ping_timeout, max_payload })
        }),
    ]
}

proptest! {
    #[test]
    fn frames_round_trip(packet in any_packet()) {
        prop_assert_eq!(EnginePacket::decode(packet.encode()), Ok(packet));
    }

    #[test]
    fn bodies_round_trip(packets in proptest::collection::vec(any_packet(), 1..8)) {
        let mut writer = PayloadWriter::new(usize::MAX);
        for packet in &packets {
            prop_assert!(writer.push(&packet.encode()));
        }
        let read: Result<Vec<_>, _> = PayloadReader::new(writer.finish()).collect();
        prop_assert_eq!(read, Ok(packets));
    }

    #[test]
    fn any_body_is_read_to_its_end(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let records = body.split(|&byte| byte == 0x1e).count();
        let packets = read(&body);
        let bad = packets.iter().filter(|packet| packet.is_err()).count();
        prop_assert!(packets.len() == records && bad == 0 || packets.len() <= records && bad == 1);
        prop_assert!(bad == 0 || packets.last().is_some_and(Result::is_err));
    }

    #[test]
    fn bodies_respect_their_limit(
        frames in proptest::collection::vec(any_packet(), 1..8),
        limit in 0_usize..100,
    ) {
        let mut writer = PayloadWriter::new(limit);
        let taken = frames.iter().filter(|packet| writer.push(&packet.encode())).count();
        prop_assert!(taken >= 1);
        prop_assert!(taken == 1 || writer.finish().len() <= limit);
    }
}
