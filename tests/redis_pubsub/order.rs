//! Positions: what has a number, what is counted, and what is a gap.

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_pubsub::{PubSubReader, Received, RedisCommand},
        message::{
            Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, NodeId, OwnKind,
            RequestId, Stamp, Value,
        },
    },
    recovery::Offset,
    socket::{Event, NamespaceName},
};

use crate::traces::{marker, node, published, reader, redis};

fn own(body: Body) -> Message {
    let chat = NamespaceName::new("/chat").unwrap();
    Message::new(node(), chat, body).stamped(Stamp::new(u64::MAX - 1, u64::MAX))
}

fn event(flags: BroadcastFlags) -> Body {
    let event = Event::new("a", &(Bytes::from_static(b"\0"), 1.5, "é")).unwrap();
    let options = BroadcastOptions::all().to("r").except("x").flags(flags);
    Body::Broadcast(ClusterBroadcast::new(options, event))
}

fn volatile() -> Body {
    let mut flags = BroadcastFlags::default();
    flags.volatile = Some(true);
    event(flags)
}

/// What all have in common that are equal: a received broadcast is not equal to one that was made.
fn shown(message: &Message) -> String {
    match &message.body {
        Body::Broadcast(broadcast) => {
            let packet = broadcast.packet().unwrap();
            let (options, request) = (&broadcast.options, &broadcast.request);
            let who = (&message.sender, &message.namespace, message.stamp, message.after);
            format!("{who:?} {options:?} {request:?} {packet:?}")
        }
        _ => format!("{message:?}"),
    }
}

fn give(reader: &mut PubSubReader, command: &RedisCommand, number: u64) -> Received {
    let (channel, payload) = published(command, number);
    reader.read_pattern(&channel, &payload)
}

fn entries() -> Vec<Body> {
    let lobby = BroadcastOptions::all().to("lobby");
    let value = Value::new(&("x", Bytes::from_static(b"\xff"))).unwrap();
    vec![
        event(BroadcastFlags::default()),
        Body::SocketsJoin { options: lobby.clone(), rooms: vec!["a".into(), "b\"\n".into()] },
        Body::SocketsLeave { options: lobby.clone(), rooms: vec![] },
        Body::DisconnectSockets { options: lobby, close: true },
        Body::Own { kind: OwnKind::Claim, data: value },
        Body::Own { kind: OwnKind::Marker, data: Value::null() },
    ]
}

#[test]
fn every_entry_comes_back_as_it_was_with_its_number() {
    let mut reader = reader();
    for (number, body) in (11..).zip(entries()) {
        let message = own(body);
        let command = redis().append(&message).unwrap();
        let Received::Entry { position, message: Ok(read) } = give(&mut reader, &command, number)
        else {
            panic!("{command}")
        };
        assert_eq!(position, Offset::pair(number, 0));
        assert_eq!(shown(&read), shown(&message));
    }
}

#[test]
fn every_message_comes_back_as_it_was() {
    let request = || RequestId::new("r1").unwrap();
    let answer = || Value::new("x").unwrap();
    let mut reader = reader();
    let to_all = [
        Body::FetchSockets { options: BroadcastOptions::all().to("r"), request: request() },
        Body::InitialHeartbeat,
        Body::Heartbeat,
        Body::AdapterClose,
        volatile(),
    ];
    let to_one = [
        Body::FetchSocketsResponse { request: request(), sockets: vec![] },
        Body::ServerSideEmitResponse { request: request(), answer: answer() },
        Body::BroadcastClientCount { request: request(), client_count: 3 },
        Body::BroadcastAck { request: request(), answer: answer() },
        Body::Own { kind: OwnKind::RecordAbsent, data: answer() },
    ];
    let to = node();
    let all = to_all.map(|body| (body, None)).into_iter();
    for (body, to) in all.chain(to_one.map(|body| (body, Some(&to)))) {
        let message = own(body).after(Some(Offset::pair(1_795_788_761_092_000, u64::MAX)));
        let (channel, payload) = published(&redis().publish(&message, to).unwrap(), 0);
        // Requests are received twice, and read once.
        let received =
            [reader.read_pattern(&channel, &payload), reader.read_channel(&channel, &payload)];
        let mut read: Vec<_> = received.into_iter().filter(|it| *it != Received::Nothing).collect();
        let Some(Received::Message(mut read)) = read.pop().filter(|_| read.is_empty()) else {
            panic!("{channel}")
        };
        if message.body.answers().is_some() {
            read.after = read.after.or(message.after);
        }
        assert_eq!(shown(&read), shown(&message));
    }
}

#[test]
fn what_has_no_number_is_counted_whatever_it_is() {
    let mut reader = reader();
    let mut at = |command: &RedisCommand, number| match give(&mut reader, command, number) {
        Received::Entry { position, .. } => Some(position),
        Received::Message(_) => reader.position(),
        _ => None,
    };
    let official = |body| {
        let mut message = own(body);
        message.stamp = None;
        redis().publish(&message, None).unwrap()
    };
    let ours = redis().append(&own(event(BroadcastFlags::default()))).unwrap();
    assert_eq!(at(&official(event(BroadcastFlags::default())), 0), Some(Offset::pair(10, 1)));
    assert_eq!(at(&official(volatile()), 0), Some(Offset::pair(10, 2)));
    assert_eq!(at(&ours, 11), Some(Offset::pair(11, 0)));
    let request = RequestId::new("r").unwrap();
    let options = BroadcastOptions::all();
    let fetch = official(Body::FetchSockets { options, request });
    assert_eq!(at(&fetch, 0), Some(Offset::pair(11, 1)));
    let garbage = "socket.io#/#";
    let received = reader.read_pattern(garbage, &Bytes::from_static(b"\xc1"));
    assert!(matches!(received, Received::Entry { position, message: Err(_) }
        if position == Offset::pair(11, 2)));
}

#[test]
fn a_number_that_is_missing_is_a_gap() {
    let command = redis().append(&own(event(BroadcastFlags::default()))).unwrap();
    for number in [0, 9, 10, 12, u64::MAX] {
        let mut reader = reader();
        assert_eq!(give(&mut reader, &command, number), Received::Gap, "{number}");
        // It does not go on by itself.
        assert_eq!(reader.position(), None);
        assert_eq!(give(&mut reader, &command, 11), Received::Nothing);
    }
}

#[test]
fn a_marker_says_whether_anything_is_missing() {
    let other = NodeId::new("other").unwrap();
    let mark = redis().mark(&other, 8);
    let after = |before, number| {
        let mut reader = reader();
        let (channel, payload) = marker(&mark, before, number);
        let received = reader.read_pattern(&channel, &payload);
        (received, reader.position())
    };
    let position = Offset::pair(500, 0);
    let next = Received::Marker { marker: 8, position };
    assert_eq!(after(10, 500), (next, Some(position)));
    assert_eq!(after(11, 500), (Received::Gap, None), "one was published that nobody has read");
    assert_eq!(after(9, 500), (Received::Gap, None));
    assert_eq!(after(10, 10), (Received::Gap, None), "Redis has forgotten the latest numbers");
}

#[test]
fn nothing_has_a_position_before_the_marker_of_the_reader() {
    let mut reader = PubSubReader::new(redis(), node(), 7);
    let command = redis().append(&own(event(BroadcastFlags::default()))).unwrap();
    assert_eq!(give(&mut reader, &command, 3), Received::Nothing);
    let (channel, payload) = marker(&redis().mark(&node(), 6), 3, 4);
    assert_eq!(reader.read_pattern(&channel, &payload), Received::Nothing);
    assert_eq!(reader.position(), None);
}

#[test]
fn answers_without_a_name_are_told_apart() {
    let mut reader = reader();
    let mut sender = |text: &'static str| {
        let payload = Bytes::from_static(text.as_bytes());
        match reader.read_channel("socket.io-response#/#43mKdG#", &payload) {
            Received::Message(message) => message.sender,
            other => panic!("{other:?}"),
        }
    };
    let sockets = r#"{"requestId":"a","sockets":[]}"#;
    assert_ne!(sender(sockets), sender(sockets));
    let first = sender(r#"{"type":8,"requestId":"b","clientCount":2}"#);
    let second = sender(r#"{"type":8,"requestId":"b","clientCount":1}"#);
    let none = sender(r#"{"type":8,"requestId":"b","clientCount":0}"#);
    assert!(first != second && second != none && first != none);
    let mut answers: Vec<NodeId> =
        (0..3).map(|_| sender(r#"{"type":9,"requestId":"b","packet":1}"#)).collect();
    answers.sort();
    let mut expected = vec![first.clone(), first, second];
    expected.sort();
    assert_eq!(answers, expected, "each node has as many answers as clients");
    // One too many is nobody's.
    assert!(!expected.contains(&sender(r#"{"type":9,"requestId":"b","packet":1}"#)));
}
