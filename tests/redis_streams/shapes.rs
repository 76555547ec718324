//! Shapes that official nodes, earlier versions and other implementations write, and ours.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    RecoveryKey,
    cluster::{
        engines::redis_streams::{
            RedisReply, RedisReplyError, RedisStreams, RedisStreamsOptions, StreamInfo,
        },
        message::{
            Body, BroadcastOptions, ClusterBroadcast, Message, MessageError, MessageNames, NodeId,
            OwnKind, RequestId, Stamp, Value,
        },
    },
    recovery::Offset,
    socket::{Args, Event, NamespaceName},
};

use super::traces::{default, entry};

fn bulk(text: &str) -> RedisReply {
    RedisReply::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn read(kind: &str, data: &str) -> Result<Message, MessageError> {
    let fields = ["uid", "emitter", "nsp", "/", "type", kind, "data", data];
    let fields = fields.map(|field| Bytes::copy_from_slice(field.as_bytes()));
    let page = default().page(&entry("1-1", &fields)).unwrap();
    page.into_iter().next().unwrap().message
}

fn broadcast(data: &str) -> ClusterBroadcast {
    match read("3", data).unwrap().body {
        Body::Broadcast(broadcast) => broadcast,
        other => panic!("{other:?}"),
    }
}

/// The rooms, the excepted rooms, and the text of the event.
fn summary(data: &str) -> (Vec<String>, Vec<String>, Result<String, MessageError>) {
    let broadcast = broadcast(data);
    let texts = |rooms: &[bytestring::ByteString]| rooms.iter().map(ToString::to_string).collect();
    let event = broadcast.packet().map(|packet| packet.event.json().into());
    (texts(broadcast.options.rooms()), texts(broadcast.options.excepted()), event)
}

fn node() -> NodeId {
    NodeId::new("f0aebfa2cd17e8df").unwrap()
}

fn message(body: Body) -> Message {
    Message::new(node(), NamespaceName::ROOT, body)
}

#[test]
fn what_an_emitter_writes_is_read() {
    let data = r#"{"packet":{"type":2,"data":["e",1],"nsp":"/"},"opts":{"rooms":["a"],"flags":{},"except":["b"]}}"#;
    assert_eq!(summary(data), (vec!["a".into()], vec!["b".into()], Ok(r#"["e",1]"#.into())));
    let Body::ServerSideEmit { packet, request: None } =
        read("9", r#"{"packet":["disconnect",1]}"#).unwrap().body
    else {
        panic!("an event for servers")
    };
    assert_eq!(packet.json(), r#"["disconnect",1]"#);
}

#[test]
fn every_order_of_fields_means_the_same() {
    let packet = r#""packet":{"type":2,"data":["e",{"opts":{"rooms":["x"]}}]}"#;
    let opts = r#""opts":{"rooms":["a"],"except":["b"],"flags":{}}"#;
    let expected =
        (vec!["a".into()], vec!["b".into()], Ok(r#"["e",{"opts":{"rooms":["x"]}}]"#.to_owned()));
    for data in [
        format!("{{{packet},{opts}}}"),
        format!("{{{opts},{packet}}}"),
        format!("{{ {packet} , {opts} }}\n"),
        format!("{{{packet},\"later\":{{}},{opts}}}"),
        format!("{{\"later\":[],{packet},{opts}}}"),
        format!("{{{packet},{opts},\"later\":1}}"),
        // Of several fields with one name, the last one counts.
        format!("{{\"opts\":{{\"rooms\":[\"z\"]}},{packet},{opts}}}"),
        format!("{{{packet},\"opts\":{{\"rooms\":[\"z\"]}},{opts}}}"),
        format!("{{{opts},\"packet\":1,{packet}}}"),
        // Names may be written with escapes.
        format!("{{{packet},{opts}}}").replace("\"packet\":", r#""p\u0061cket":"#),
    ] {
        assert_eq!(summary(&data), expected, "{data}");
    }
}

#[test]
fn arguments_cannot_pass_for_options() {
    // The packet stands last and ends with what could be options.
    let data = r#"{"opts":{"rooms":["a"],"except":[],"flags":{}},"packet":{"type":2,"data":["e",{"x":{},"opts":{"rooms":["b"]}}]}}"#;
    assert_eq!(summary(data).0, ["a"]);
    let data = r#"{"opts":{"rooms":["a"],"except":[],"flags":{}},"packet":{"type":2,"data":["e"],"x":{},"opts":{"rooms":["b"]}}}"#;
    assert_eq!(summary(data).0, ["a"]);
    // In a text.
    let data = r#"{"packet":{"type":2,"data":["e","},\"opts\":{\"rooms\":[\"b\"]}}"]},"opts":{"rooms":["a"],"except":[],"flags":{}}}"#;
    assert_eq!(summary(data).0, ["a"]);
    // Behind the options, in the same object.
    let data = r#"{"packet":{"type":2,"data":["e"]},"opts":{"rooms":["a"],"flags":{"x":{},"opts":{"rooms":["b"]}}}}"#;
    assert_eq!(summary(data).0, ["a"]);
}

#[test]
fn a_request_is_never_overlooked() {
    let data = r#"{"packet":{"type":2,"data":["e"]},"requestId":"r","opts":{"rooms":[],"except":[],"flags":{}}}"#;
    assert_eq!(broadcast(data).request, RequestId::new("r"));
    // Nobody writes this order, and the options are all that is read at first.
    let data = r#"{"packet":{"type":2,"data":["e"]},"requestId":"r","x":{},"opts":{"rooms":[],"except":[],"flags":{}}}"#;
    assert_eq!(broadcast(data).packet(), Err(MessageError::Malformed));
}

#[test]
fn rooms_of_javascript_have_names_or_nobody_is_in_them() {
    let options = |opts: &str| {
        broadcast(&format!(r#"{{"packet":{{"type":2,"data":["e"]}},"opts":{opts}}}"#)).options
    };
    let rooms = options(r#"{"rooms":[42,1.5,-0,1e21,"\u0061"],"except":[null,7],"flags":{}}"#);
    assert_eq!(rooms.rooms(), ["42", "1.5", "0", "1e+21", "a"]);
    assert_eq!(rooms.excepted(), ["7"]);
    // `io.to(undefined)` is for nobody, not for everyone.
    for rooms in ["[null]", "[{}]", "[[]]", "[true,null]"] {
        let options = options(&format!(r#"{{"rooms":{rooms},"except":[],"flags":{{}}}}"#));
        assert!(options.is_for_nobody() && !options.is_for_all(), "{rooms}");
    }
    assert!(options(r#"{"rooms":[],"except":[],"flags":{}}"#).is_for_all());
    assert!(options("{}").is_for_all(), "an emitter of another version");
    let some = options(r#"{"rooms":["a",null]}"#);
    assert!(!some.is_for_all() && !some.is_for_nobody());
}

#[test]
fn an_event_for_nobody_is_not_written_as_one_for_everyone() {
    let event = Event::new("e", &()).unwrap();
    let broadcast = ClusterBroadcast::new(BroadcastOptions::all().or_nobody(), event);
    let command = default().append(&message(Body::Broadcast(broadcast))).unwrap();
    assert!(command.to_string().ends_with(r#""rooms":[null],"except":[],"flags":{}}}"#));
}

#[test]
fn every_value_of_a_flag_makes_an_event_volatile() {
    for (flags, is_recoverable) in [
        ("{}", true),
        (r#"{"compress":false}"#, true),
        (r#"{"volatile":true}"#, false),
        (r#"{"volatile":false}"#, false),
        (r#"{"volatile":1}"#, false),
    ] {
        let opts = format!(r#"{{"rooms":[],"except":[],"flags":{flags}}}"#);
        let data = format!(r#"{{"packet":{{"type":2,"data":["e"]}},"opts":{opts}}}"#);
        let broadcast = broadcast(&data);
        let packet = broadcast.packet().unwrap();
        assert_eq!(broadcast.is_recoverable(&packet), is_recoverable, "{flags}");
    }
}

#[test]
fn our_own_messages_come_back_with_their_marks() {
    let stamp = Stamp::new(u64::MAX, 7);
    for data in [
        Value::new(&("pid", 7)).unwrap(),
        Value::new(&[1, 2]).unwrap(),
        Value::new(&Bytes::from_static(b"\0\xff")).unwrap(),
        Value::null(),
    ] {
        let body = Body::Own { kind: OwnKind::Claim, data };
        let ours = message(body).stamped(stamp);
        let command = default().append(&ours).unwrap();
        let page = default().page(&entry("1-1", &command.to_args()[6..])).unwrap();
        assert_eq!(page[0].message, Ok(ours.clone()));
        let command = default().publish(&ours, None).unwrap();
        assert_eq!(default().message(&command.to_args()[2]), Ok(ours));
    }
    // Without marks it is not ours.
    let unknown = |kind| message(Body::Unknown { kind }).body;
    assert_eq!(read("64", r#"{"value":1}"#).unwrap().body, unknown(64));
    assert_eq!(read("99", "%").map(|message| message.body), Err(MessageError::Malformed));
    assert_eq!(read("99", "{").unwrap().body, unknown(99));
    assert_eq!(read("14", "AAAA").unwrap().body, unknown(14));
}

#[test]
fn parts_of_an_entry_mean_what_its_values_mean() {
    let texts = ["5-1", "uid", "a", "nsp", "/", "type", "2", "other", "", "seq", "7", "nonce", "9"];
    let values = texts[1..].iter().map(|text| Bytes::from_static(text.as_bytes()));
    let expected = default().page(&entry("5-1", &values.collect::<Vec<_>>())).unwrap();
    let whole = Bytes::from(texts.concat());
    let parts = texts.iter().scan(0, |end, text| {
        let start = *end;
        *end += text.len();
        Some(start..*end)
    });
    let parts: Vec<_> = parts.collect();
    let fields = || parts[1..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    let read = default().entry(&whole, parts[0].clone(), fields(), &mut MessageNames::default());
    assert_eq!(read.as_ref(), expected.first());
    // Nothing is read out of bounds.
    let end = whole.len();
    for (id, field) in [
        (end..end + 1, (0..1, 0..1)),
        (0..3, (end..end + 1, 0..1)),
        (0..3, (3..6, end..end + 1)),
        (0..3, (3..6, usize::MAX - 1..usize::MAX)),
        (0..2, (3..6, 6..7)),
    ] {
        let (part, names) = ((id.clone(), field.clone()), &mut MessageNames::default());
        assert_eq!(default().entry(&whole, part.0, [part.1], names), None, "{id:?} {field:?}");
    }
}

/// An entry that a node of the reference cannot handle is read by it again and again, and nothing
/// behind it; one without its excepted rooms makes recoveries fail. Neither is written here.
#[test]
fn h72_h73_nothing_is_appended_that_harms_an_official_node() {
    let request = RequestId::new("r").unwrap();
    let options = BroadcastOptions::all();
    let event = |args: &str| {
        let args: serde_json::Value = serde_json::from_str(args).unwrap();
        Event::new("e", &(args,)).unwrap()
    };
    let plain = ClusterBroadcast::new(options.clone(), event("1"));
    for body in [
        Body::Heartbeat,
        Body::Broadcast(plain.clone().with_request(request.clone())),
        Body::FetchSockets { options: options.clone(), request: request.clone() },
        Body::FetchSocketsResponse { request: request.clone(), sockets: vec![] },
        Body::ServerSideEmit { packet: Args::empty(), request: None },
        Body::ServerSideEmitResponse { request: request.clone(), answer: Value::null() },
        Body::BroadcastClientCount { request: request.clone(), client_count: 1 },
        Body::BroadcastAck { request, answer: Value::null() },
        Body::Unknown { kind: 3 },
    ] {
        let kind = body.kind();
        assert_eq!(default().append(&message(body)), Err(MessageError::NotForLog { kind }));
    }

    // The official parser recurses: several thousand levels would overflow its stack.
    let deep = |levels: usize| {
        let json = format!("[\"e\",{}{}]", "[".repeat(levels), "]".repeat(levels));
        let data = format!(r#"{{"packet":{{"type":2,"data":{json}}},"opts":{{"rooms":[]}}}}"#);
        default().append(&message(Body::Broadcast(broadcast(&data))))
    };
    assert!(deep(511).is_ok());
    assert_eq!(deep(512), Err(MessageError::TooDeep { limit: 512 }));

    let join = message(Body::SocketsJoin { options, rooms: vec!["a".into()] });
    for written in [message(Body::Broadcast(plain)), join] {
        let command = default().append(&written).unwrap().to_string();
        assert!(command.contains(r#""opts":{"rooms":[],"except":[],"flags":{}}"#), "{command}");
    }
}

#[test]
fn what_nobody_would_read_is_not_written() {
    let redis = RedisStreams::new(RedisStreamsOptions::new().max_message_bytes(200)).unwrap();
    let body = |len: usize| {
        let event = Event::new("e", &("x".repeat(len),)).unwrap();
        Body::Broadcast(ClusterBroadcast::new(BroadcastOptions::all(), event))
    };
    assert!(redis.append(&message(body(100))).is_ok());
    let refused = Err(MessageError::TooLarge { limit: 200 });
    assert_eq!(redis.append(&message(body(200))), refused);
    assert_eq!(redis.publish(&message(body(200)), None), refused);
    // What others write is skipped.
    let large = default().append(&message(body(200))).unwrap();
    let page = redis.page(&entry("1-1", &large.to_args()[6..])).unwrap();
    assert_eq!(page[0].message, Err(MessageError::TooLarge { limit: 200 }));
    let large = default().publish(&message(body(200)), None).unwrap();
    assert_eq!(redis.message(&large.to_args()[2]), Err(MessageError::TooLarge { limit: 200 }));
}

#[test]
fn namespaces_are_in_the_streams_that_javascript_computes() {
    let redis =
        |count: u32| RedisStreams::new(RedisStreamsOptions::new().stream_count(count)).unwrap();
    // Computed with `hashCode` of the official adapter.
    for (name, of_3, of_7) in STREAMS {
        let name = NamespaceName::new(name).unwrap();
        assert_eq!(redis(1).stream_of(&name), "socket.io");
        assert_eq!(redis(3).stream_of(&name), format!("socket.io-{of_3}"), "{name}");
        assert_eq!(redis(7).stream_of(&name), format!("socket.io-{of_7}"), "{name}");
    }
    assert_eq!(redis(1).streams().collect::<Vec<_>>(), ["socket.io"]);
    let streams: Vec<_> = redis(2).streams().collect();
    assert_eq!(streams, ["socket.io--1", "socket.io-0", "socket.io-1"]);
}

/// A node of the reference writes to streams with negative numbers, but does not read them.
#[test]
fn h11_every_namespace_is_in_a_stream_that_is_read() {
    for (name, ..) in STREAMS {
        let name = NamespaceName::new(name).unwrap();
        for count in [1_u32, 2, 3, 7, 100] {
            let options = RedisStreamsOptions::new().stream_count(count);
            let redis = RedisStreams::new(options).unwrap();
            let (channels, streams) = (redis.channels(), redis.streams().collect::<Vec<_>>());
            assert_eq!(streams.len(), channels.count() as usize);
            let stream = &streams[channels.of(&name) as usize];
            assert_eq!(*stream, redis.stream_of(&name), "{name} of {count}");
        }
    }
}

const STREAMS: [(&str, i32, i32); 7] = [
    ("/", 2, 5),
    ("/adm", 2, 3),
    ("/chat", 1, 4),
    ("/é", 1, 3),
    ("/😀", 0, 5),
    ("/support", -1, 0),
    ("/tenant-a", -1, -1),
];

#[test]
fn options_that_cannot_work_are_refused() {
    let options = RedisStreamsOptions::new;
    for (options, field) in [
        (options().stream_name(""), "stream_name"),
        (options().stream_count(0), "stream_count"),
        (options().stream_count(u32::MAX), "stream_count"),
        (options().channel_prefix(""), "channel_prefix"),
        (options().max_len(0), "max_len"),
        (options().read_count(0), "read_count"),
        (options().block_time_in_ms(0), "block_time_in_ms"),
        (options().max_message_bytes(0), "max_message_bytes"),
    ] {
        let error = RedisStreams::new(options).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
    assert!(RedisStreams::new(options().session_key_prefix("")).is_ok());
}

#[test]
fn replies_of_both_versions_of_the_protocol_are_read() {
    let redis = default();
    let entries = entry(
        "5-1",
        &["uid", "emitter", "nsp", "/", "type", "2"]
            .map(|field| Bytes::from_static(field.as_bytes())),
    );
    let named = RedisReply::Array(vec![bulk("socket.io"), entries.clone()]);
    let resp2 = RedisReply::Array(vec![named]);
    let resp3 = RedisReply::Map(vec![(bulk("socket.io"), entries.clone())]);
    for reply in [&resp2, &resp3] {
        let read = redis.entries(reply).unwrap();
        assert_eq!(read[0].position, Offset::pair(5, 1));
        assert_eq!(read[0].message.as_ref().unwrap().body, Body::Heartbeat);
    }
    assert_eq!(redis.entries(&RedisReply::Nil), Ok(vec![]));
    assert_eq!(RedisStreams::appended(&bulk("7-0")), Ok(Offset::pair(7, 0)));

    let empty = RedisReply::Array(vec![]);
    let gone = RedisReply::Array(vec![empty.clone(), entries.clone()]);
    assert_eq!(redis.proven_page(&gone), Ok(None));
    let proven = RedisReply::Array(vec![entries, empty]);
    assert_eq!(redis.proven_page(&proven), Ok(Some(vec![])));

    let count = RedisReply::Array(vec![bulk("socket.io#/#"), RedisReply::Int(3)]);
    assert_eq!(RedisStreams::counted(&count), Ok(3));
}

#[test]
fn a_stream_says_behind_which_position_nothing_is_missing() {
    let info = |length: i64, added: Option<i64>, first: Option<&str>| {
        let mut pairs = vec![
            (bulk("length"), RedisReply::Int(length)),
            (bulk("last-generated-id"), bulk("9-3")),
            (bulk("first-entry"), RedisReply::Nil),
        ];
        pairs.extend(added.map(|added| (bulk("entries-added"), RedisReply::Int(added))));
        if let Some(first) = first {
            pairs[2].1 = RedisReply::Array(vec![bulk(first), RedisReply::Array(vec![])]);
        }
        let list = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
        let from_list = RedisStreams::stream_info(&RedisReply::Array(list)).unwrap();
        assert_eq!(RedisStreams::stream_info(&RedisReply::Map(pairs)), Ok(from_list));
        from_list
    };
    let complete_after = |info: StreamInfo| info.complete_after().to_string();
    assert_eq!(complete_after(info(2, Some(2), Some("5-1"))), "0-0");
    assert_eq!(complete_after(info(2, Some(3), Some("5-1"))), "5-0");
    assert_eq!(complete_after(info(2, Some(3), Some("5-0"))), "4-18446744073709551615");
    assert_eq!(complete_after(info(0, Some(3), None)), "9-3");
    assert_eq!(complete_after(info(2, None, Some("5-1"))), "5-0");
    let missing = RedisReply::Error("ERR no such key".into());
    assert_eq!(complete_after(RedisStreams::stream_info(&missing).unwrap()), "0-0");
}

#[test]
fn a_session_is_taken_with_what_is_left_of_its_time() {
    let redis = default();
    let value =
        "hKNzaWS0Ymhad1FTZGFrZjBhbldVSUFBQUGjcGlktE1IYjRGcGNxM2piUnphZDJBQUFCpXJvb21zkKRkYXRhgA==";
    let taken = RedisReply::Array(vec![bulk(value), RedisReply::Int(1500), RedisReply::Int(1)]);
    let taken = redis.fetched(&taken).unwrap().unwrap();
    assert_eq!(taken.expires_in, Some(Duration::from_millis(1500)));
    let session = taken.session.unwrap();
    let stored = redis.store(&session, Duration::from_millis(1500), None).unwrap();
    assert_eq!(stored.to_string(), format!("SET sio:session:MHb4Fpcq3jbRzad2AAAB {value} PX 1500"));
    assert_eq!(session.pid, RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap());
    let fetch: Vec<String> = redis.fetch(&session.pid).iter().map(ToString::to_string).collect();
    let key = "sio:session:MHb4Fpcq3jbRzad2AAAB";
    assert_eq!(fetch, ["MULTI", &format!("GET {key}"), &format!("PTTL {key}"), "EXEC"]);
    let found = |value: &str| RedisReply::Array(vec![bulk(value), RedisReply::Int(-1)]);
    let fetched = redis.fetched(&found(value)).unwrap().unwrap();
    assert_eq!((fetched.session, fetched.expires_in), (Ok(session), None));

    let none = RedisReply::Array(vec![RedisReply::Nil, RedisReply::Int(-2), RedisReply::Int(0)]);
    assert_eq!(redis.fetched(&none), Ok(None));
    let malformed = redis.fetched(&found("x")).unwrap().unwrap();
    assert_eq!(malformed.session, Err(MessageError::Malformed));
    assert_eq!(redis.fetched(&RedisReply::Nil), Err(RedisReplyError::Unexpected), "not executed");
    let error = RedisReply::Error("NOAUTH".into());
    assert_eq!(redis.fetched(&error), Err(RedisReplyError::Refused("NOAUTH".into())));
}
