//! What is damaged is skipped, and has a place all the same.

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_pubsub::{PubSubReader, Received, RedisPubSub, RedisPubSubOptions},
        message::{Body, BroadcastOptions, ClusterBroadcast, Message, MessageError},
    },
    recovery::Offset,
    socket::{Event, NamespaceName},
};

use crate::{
    monitor::commands,
    traces::{marker, node, reader, redis},
};

const CLASSIC: &str = include_str!("traces/classic.txt");

#[test]
fn damaged_bytes_never_shift_the_positions() {
    for traced in commands(CLASSIC, "PUBLISH") {
        let channel = std::str::from_utf8(&traced[0]).unwrap();
        let is_counted = !channel.contains("-response#");
        for len in 0..traced[1].len() {
            let damaged = traced[1].slice(..len);
            let mut reader = reader();
            reader.read_pattern(channel, &damaged);
            reader.read_channel(channel, &damaged);
            let expected = Offset::pair(10, u64::from(is_counted));
            assert_eq!(reader.position(), Some(expected), "{channel} {damaged:?}");
        }
    }
}

#[test]
fn other_channels_are_not_read() {
    let mut reader = reader();
    let payload = Bytes::from_static(b"\x93\xa1a\xc0\xc0");
    for channel in
        ["", "socket.io", "socket.io#", "socket.io-requests#/#", "x#/#", "socket.io-x#/#"]
    {
        let is_ours = channel == "socket.io#";
        let received = reader.read_pattern(channel, &payload);
        assert!(received == Received::Nothing || is_ours, "{channel}");
        assert_eq!(reader.read_channel(channel, &payload), Received::Nothing, "{channel}");
    }
}

#[test]
fn hostile_messages_are_refused() {
    let mut reader = reader();
    let mut refused = |channel: &str, payload: &[u8]| {
        let payload = Bytes::copy_from_slice(payload);
        match reader.read_pattern(channel, &payload) {
            Received::Entry { message: Err(error), .. } => error,
            other => panic!("{other:?}"),
        }
    };
    let broadcasts = "socket.io#/#";
    // [uid, nil, nil]: official nodes drop it as well.
    assert_eq!(refused(broadcasts, b"\x93\xa1a\xc0\xc0"), MessageError::Kind);
    assert_eq!(refused(broadcasts, b"\x93\xc0\x80\x80"), MessageError::Sender);
    assert_eq!(refused(broadcasts, b"\x93\xa1a\x81\xa3nsp\x01\x80"), MessageError::Namespace);
    assert_eq!(refused(broadcasts, b"{}"), MessageError::Malformed);
    let requests = "socket.io-request#/#";
    assert_eq!(refused(requests, b"{}"), MessageError::Kind);
    assert_eq!(refused(requests, br#"{"type":2}"#), MessageError::Field { field: "opts" });
    assert_eq!(
        refused(requests, br#"{"type":5,"opts":{}}"#),
        MessageError::Field { field: "requestId" }
    );
    assert_eq!(refused(requests, br#"{"type":2,"uid":"a#b"}"#), MessageError::Sender);
}

/// An entry of a node of this crate, with any packet and any number.
fn numbered(packet: &[u8], number: &[u8]) -> Bytes {
    let len = [0xa0 | u8::try_from(number.len()).unwrap()];
    [b"\x94\xa1a", packet, b"\x80\x81\xa3pos", &len, number].concat().into()
}

#[test]
fn a_packet_that_is_no_map_takes_no_number_away() {
    // The last one has a name that is no name behind one that is.
    let packets: [&[u8]; 4] =
        [b"\x01", b"\x92\xa3nsp\xa1/", b"\x81\xc0\x01", b"\x82\xa3nsp\xa1/\x90\x01"];
    for packet in packets {
        let mut reader = reader();
        let entry = numbered(packet, b"00000000000000000011");
        let Received::Entry { position, message } = reader.read_pattern("socket.io#/#", &entry)
        else {
            panic!("{packet:x?}")
        };
        assert_eq!(position, Offset::pair(11, 0), "{packet:x?}");
        assert_eq!(message, Err(MessageError::Malformed), "{packet:x?}");
    }
}

#[test]
fn a_number_is_digits_and_nothing_else() {
    let packet = b"\x82\xa4type\x02\xa4data\x91\xa1m";
    let position = |number: &[u8]| {
        let mut reader = reader();
        reader.read_pattern("socket.io#/#", &numbered(packet, number));
        reader.position()
    };
    for number in [&b"11"[..], b"00000000000000000011", b"0000000000000000000000000000011"] {
        assert_eq!(position(number), Some(Offset::pair(11, 0)), "{}", number.escape_ascii());
    }
    // Without a number it is counted behind the latest one.
    for other in [&b""[..], b"+11", b"-11", b"11 ", b"1\xff", b"18446744073709551627"] {
        assert_eq!(position(other), Some(Offset::pair(10, 1)), "{}", other.escape_ascii());
    }
}

#[test]
fn large_messages_are_neither_read_nor_written() {
    let small = RedisPubSubOptions::new().max_message_bytes(100_usize);
    let small = RedisPubSub::new(small).unwrap();
    let event = Event::new("a", &("x".repeat(100),)).unwrap();
    let body = Body::Broadcast(ClusterBroadcast::new(BroadcastOptions::all(), event));
    let message = Message::new(node(), NamespaceName::ROOT, body);
    let too_large = MessageError::TooLarge { limit: 100 };
    assert_eq!(small.append(&message).unwrap_err(), too_large);
    assert_eq!(small.publish(&message, None).unwrap_err(), too_large);

    let mut reader = PubSubReader::new(small.clone(), node(), 1);
    let (channel, payload) = marker(&small.mark(&node(), 1), 0, 10);
    reader.read_pattern(&channel, &payload);
    let written = redis().publish(&message, None).unwrap();
    let received = reader.read_pattern("socket.io#/#", &written.to_args()[2]);
    let position = Offset::pair(10, 1);
    assert_eq!(received, Received::Entry { position, message: Err(too_large) });
}
