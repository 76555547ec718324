//! What official nodes and an official emitter have sent, as `MONITOR` of Redis has shown it: two nodes
//! of `@socket.io/redis-adapter` 8.3.0 and `@socket.io/redis-emitter` 5.1.0, and two nodes that answer
//! in channels of their own.
//!
//! All of it is understood, and written again byte for byte.

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_pubsub::{
            PubSubReader, Received, RedisCommand, RedisPubSub, RedisPubSubOptions,
        },
        message::{Body, Message, NodeId, SocketDetails, Value},
    },
    recovery::Offset,
    socket::NamespaceName,
};

use crate::monitor::{commands, text};

const CLASSIC: &str = include_str!("traces/classic.txt");
const SPECIFIC: &str = include_str!("traces/specific.txt");

pub(crate) fn redis() -> RedisPubSub {
    RedisPubSub::new(RedisPubSubOptions::new()).unwrap()
}

pub(crate) fn node() -> NodeId {
    NodeId::new("43mKdG").unwrap()
}

/// What Redis publishes for a command.
pub(crate) fn published(command: &RedisCommand, number: u64) -> (String, Bytes) {
    let args = command.to_args();
    let digits = format!("{number:020}");
    let (channel, payload) = match (&args[0][..], args.len()) {
        (b"PUBLISH", 3) => (&args[1], args[2].to_vec()),
        // Where a marker ends is the number.
        (b"EVAL", 7) => (&args[4], [&args[5][..], digits.as_bytes(), &args[6][..]].concat()),
        _ => panic!("{command}"),
    };
    (text(channel).into(), payload.into())
}

/// What Redis publishes for a marker.
pub(crate) fn marker(command: &RedisCommand, before: u64, number: u64) -> (String, Bytes) {
    let args = command.to_args();
    let (before, number) = (format!("{before:020}"), format!("{number:020}"));
    let parts = [&args[5][..], before.as_bytes(), &args[6][..], number.as_bytes()];
    (text(&args[4]).into(), parts.concat().into())
}

/// A reader that has come to number 10.
pub(crate) fn reader() -> PubSubReader {
    let mut reader = PubSubReader::new(redis(), node(), 7);
    let (channel, payload) = marker(&redis().mark(&node(), 7), 3, 10);
    let position = Offset::pair(10, 0);
    assert_eq!(reader.read_pattern(&channel, &payload), Received::Marker { marker: 7, position });
    reader
}

fn message(received: Received) -> Message {
    match received {
        Received::Entry { message, .. } => message.unwrap(),
        Received::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn is_answer(traced: &[Bytes]) -> bool {
    text(&traced[0]).contains("-response#")
}

fn read(reader: &mut PubSubReader, traced: &[Bytes]) -> Message {
    let (channel, payload) = (text(&traced[0]), &traced[1]);
    message(if is_answer(traced) {
        reader.read_channel(channel, payload)
    } else {
        reader.read_pattern(channel, payload)
    })
}

fn is_emitter(message: &Message) -> bool {
    message.sender == NodeId::EMITTER
}

#[test]
fn everything_is_written_as_it_was_read() {
    let (mut reader, mut written) = (reader(), 0);
    for traced in commands(CLASSIC, "PUBLISH") {
        let message = read(&mut reader, &traced);
        let body = &message.body;
        // A time is a text here. An emitter writes its fields in another order, or leaves them out.
        // Answers about rooms have no body of their own.
        let has_time = traced[1].windows(2).any(|bytes| bytes == b"\xd6\xff");
        let is_of_rooms = matches!(body, Body::Unknown { .. })
            || matches!(body, Body::FetchSockets { request, .. } if request.as_str().len() > 6);
        if has_time || is_emitter(&message) || is_of_rooms {
            continue;
        }
        written += 1;
        let again = redis().publish(&message, None).unwrap();
        assert_eq!(again.to_args()[0], &b"PUBLISH"[..]);
        assert_eq!(again.to_args()[1..], *traced, "{again}");
    }
    assert_eq!(written, 18);
}

#[test]
fn messages_say_what_the_program_did() {
    let mut reader = reader();
    let said: Vec<String> = commands(CLASSIC, "PUBLISH")
        .iter()
        .map(|traced| said(&read(&mut reader, traced)))
        .collect();
    assert_eq!(said.join("\n") + "\n", include_str!("traces/said.txt"));
}

fn said(message: &Message) -> String {
    let details = match &message.body {
        Body::Broadcast(broadcast) => {
            let packet = broadcast.packet().unwrap();
            let bytes: usize = packet.event.attachments().iter().map(Bytes::len).sum();
            let options = &broadcast.options;
            format!(
                "{} + {bytes} ack {:?} to {:?} except {:?} volatile {:?} timeout {:?} request {}",
                packet.event.json(),
                packet.ack,
                options.rooms(),
                options.excepted(),
                options.flags.volatile,
                options.flags.timeout,
                broadcast.request.is_some()
            )
        }
        Body::FetchSockets { options, request } => format!("{:?} {request}", options.rooms()),
        Body::FetchSocketsResponse { sockets, .. } => {
            let [socket] = &sockets[..] else { panic!("one socket") };
            format!("{} {:?} {}", socket.id, socket.rooms, socket.data.json())
        }
        Body::ServerSideEmit { packet, request } => {
            format!("{} request {}", packet.json(), request.is_some())
        }
        Body::ServerSideEmitResponse { answer, .. } | Body::BroadcastAck { answer, .. } => {
            answer.json().into()
        }
        Body::SocketsJoin { options, rooms } | Body::SocketsLeave { options, rooms } => {
            format!("{:?} of {:?}", rooms, options.rooms())
        }
        Body::DisconnectSockets { options, close } => format!("{:?} {close}", options.rooms()),
        Body::BroadcastClientCount { client_count, .. } => client_count.to_string(),
        _ => String::new(),
    };
    format!("{} {} {details}", message.sender, message.body.kind()).trim_end().into()
}

#[test]
fn a_node_subscribes_to_what_official_nodes_subscribe_to() {
    let (redis, root) = (redis(), NamespaceName::ROOT);
    let traced = commands(CLASSIC, "subscribe").remove(0);
    let subscribe = redis.subscribe(&root, &node());
    assert_eq!(subscribe.to_args()[0], &b"SUBSCRIBE"[..]);
    for channel in &traced {
        assert!(subscribe.to_args().contains(channel), "{subscribe}");
    }
    // Those of all namespaces.
    assert_eq!(
        redis.subscribe_to_entries().to_string(),
        "PSUBSCRIBE socket.io#* socket.io-request#*"
    );
    let traced = commands(CLASSIC, "PUBSUB").remove(0);
    assert_eq!(redis.server_count(&root).to_args()[1..], *traced);
}

#[test]
fn patterns_mean_the_key_and_nothing_else() {
    let options = RedisPubSubOptions::new().key("a*b?[c]^\\");
    let redis = RedisPubSub::new(options).unwrap();
    assert_eq!(
        redis.subscribe_to_entries().to_args()[1],
        &br"a\*b\?\[c\]\^\\#*"[..],
        "{}",
        redis.subscribe_to_entries()
    );
}

#[test]
fn answers_go_to_the_channel_of_the_node_that_has_asked() {
    let options = RedisPubSubOptions::new().key("k");
    let redis = RedisPubSub::new(options).unwrap();
    let asked = NodeId::new("UX0lby").unwrap();
    let mut reader = PubSubReader::new(redis.clone(), asked.clone(), 1);
    let traced = commands(SPECIFIC, "publish");
    for traced in &traced {
        let message = message(reader.read_channel(text(&traced[0]), &traced[1]));
        if matches!(message.body, Body::Unknown { .. }) {
            continue;
        }
        let again = redis.publish(&message, Some(&asked)).unwrap();
        // Official nodes answer this one to everybody; the one that has asked reads both.
        let channel = if matches!(message.body, Body::ServerSideEmitResponse { .. }) {
            &b"k-response#/#UX0lby#"[..]
        } else {
            &traced[0]
        };
        assert_eq!(again.to_args()[1], channel);
        assert_eq!(again.to_args()[2], traced[1]);
    }
    assert_eq!(traced.len(), 4);
}

#[test]
fn a_request_for_all_rooms_is_answered_with_rooms() {
    let mut reader = reader();
    let request = Bytes::from_static(br#"{"uid":"wu13BY","requestId":"v3_dIV","type":1}"#);
    let message = message(reader.read_pattern("socket.io-request#/#", &request));
    let Body::FetchSockets { options, request } = message.body else { panic!() };
    assert!(options.is_for_all());
    let socket = |rooms: &[&'static str]| {
        let rooms = rooms.iter().map(|room| (*room).into()).collect();
        SocketDetails::new("x".into(), Value::null(), rooms, Value::null())
    };
    let sockets = vec![socket(&["b", "r1"]), socket(&["a", "r1"])];
    let body = Body::FetchSocketsResponse { request, sockets };
    let answer = Message::new(node(), NamespaceName::ROOT, body);
    assert_eq!(
        redis().publish(&answer, Some(&message.sender)).unwrap().to_string(),
        r#"PUBLISH socket.io-response#/#wu13BY# {"requestId":"v3_dIV","rooms":["a","b","r1"]}"#
    );
}
