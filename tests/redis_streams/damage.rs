//! Damaged, hostile and unknown input: skipped with a reason, and nothing else happens.

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use socketio_proto::{
    cluster::{
        engines::redis_streams::RedisReply,
        message::{
            Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, MessageError,
            NodeId, RequestId, SocketDetails, StoredSession, Value,
        },
    },
    socket::{Args, Event, NamespaceName},
};

use super::{
    shapes::read,
    traces::{default, entry, traced_entries, traced_messages},
};

/// Reads all that a message says.
fn read_all(message: Result<Message, MessageError>) -> Result<Message, MessageError> {
    let message = message?;
    if let Body::Broadcast(broadcast) = &message.body {
        broadcast.packet()?;
    }
    Ok(message)
}

fn read_entry(fields: &[Bytes]) -> Result<Message, MessageError> {
    let page = default().page(&entry("1-1", fields)).unwrap();
    read_all(page.into_iter().next().unwrap().message)
}

#[test]
fn an_entry_that_is_cut_off_is_refused_as_a_whole() {
    for fields in traced_entries() {
        read_entry(&fields).unwrap();
        let data = fields.len() - 1;
        for len in 0..fields[data].len() {
            let mut fields = fields.clone();
            fields[data].truncate(len);
            // Node.js does not mind missing padding.
            let is_padding = len > 0 && fields[data][0] != b'{' && len % 4 >= 2;
            let read = read_entry(&fields);
            assert!(read.is_err() || is_padding && read.is_ok(), "{len} of {fields:?}");
        }
        for missing in 0..fields.len() / 2 {
            let mut fields = fields.clone();
            fields.drain(2 * missing..2 * missing + 2);
            assert!(read_entry(&fields).is_err(), "{fields:?}");
        }
    }
}

#[test]
fn a_message_that_is_cut_off_or_too_long_is_refused_as_a_whole() {
    for payload in traced_messages() {
        read_all(default().message(&payload)).unwrap();
        for len in 0..payload.len() {
            let part = payload.slice(..len);
            assert_eq!(default().message(&part), Err(MessageError::Malformed), "{len}");
        }
        let longer = Bytes::from([&payload[..], b"\xc0"].concat());
        assert_eq!(default().message(&longer), Err(MessageError::Malformed));
    }
}

#[test]
fn every_changed_byte_is_survived() {
    for fields in traced_entries() {
        let data = fields.len() - 1;
        for at in 0..fields[data].len() {
            for byte in [0, b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'1', 0x80, 0xff] {
                let mut changed = fields[data].to_vec();
                changed[at] = byte;
                let mut fields = fields.clone();
                fields[data] = changed.into();
                drop(read_entry(&fields));
            }
        }
    }
    for payload in traced_messages() {
        for at in 0..payload.len() {
            for byte in [0, 0x8f, 0x9f, 0xbf, 0xc1, 0xc6, 0xc9, 0xdb, 0xdd, 0xdf, 0xff] {
                let mut changed = payload.to_vec();
                changed[at] = byte;
                drop(read_all(default().message(&changed.into())));
            }
        }
    }
}

#[test]
fn wrong_types_are_refused_by_name() {
    let field = |field| Err(MessageError::Field { field });
    let opts = r#""opts":{"rooms":[],"except":[],"flags":{}}"#;
    for (kind, data, error) in [
        ("", "{}", Err(MessageError::Kind)),
        ("-3", "{}", Err(MessageError::Kind)),
        ("+3", "{}", Err(MessageError::Kind)),
        ("3x", "{}", Err(MessageError::Kind)),
        ("99999999999999999999", "{}", Err(MessageError::Kind)),
        ("3", "", Err(MessageError::Malformed)),
        ("3", "{}", field("opts")),
        ("3", "{\"opts\":{}}", field("packet")),
        ("3", "{\"packet\":{},\"opts\":1}", field("opts")),
        ("3", "{\"packet\":{},\"opts\":{\"rooms\":\"a\"}}", field("opts")),
        ("3", "{\"packet\":{},\"opts\":{\"flags\":[]}}", field("opts")),
        ("3", "{\"packet\":{},\"opts\":{}}", Err(MessageError::NotAnEvent)),
        ("3", "{\"packet\":{\"type\":3},\"opts\":{}}", Err(MessageError::NotAnEvent)),
        ("3", "{\"packet\":{\"type\":2},\"opts\":{}}", field("data")),
        ("3", "{\"packet\":{\"type\":2,\"data\":[]},\"opts\":{}}", Err(MessageError::NotAnEvent)),
        ("3", "{\"packet\":{\"type\":2,\"data\":[1,]},\"opts\":{}}", Err(MessageError::NotAnEvent)),
        (
            "3",
            "{\"packet\":{\"type\":2,\"data\":[\"connect\"]},\"opts\":{}}",
            Err(MessageError::NotAnEvent),
        ),
        ("3", "{\"packet\":{\"type\":2,\"data\":[\"e\"],\"id\":-1},\"opts\":{}}", field("id")),
        ("3", "{\"packet\":{},\"requestId\":7,\"opts\":{}}", field("requestId")),
        ("4", &format!("{{{opts}}}"), field("rooms")),
        ("5", "{\"rooms\":[]}", field("opts")),
        ("7", &format!("{{{opts}}}"), field("requestId")),
        ("8", "{\"requestId\":\"r\",\"sockets\":[{}]}", field("id")),
        ("8", "{\"requestId\":\"r\",\"sockets\":[1]}", field("sockets")),
        ("8", "{\"requestId\":\"r\",\"sockets\":[{\"id\":\"a\"}]}", field("rooms")),
        ("9", "{\"packet\":{}}", Err(MessageError::Malformed)),
        ("10", "{\"packet\":1}", field("requestId")),
        ("10", "{\"packet\":[1,,],\"requestId\":\"r\"}", Err(MessageError::Malformed)),
        ("11", "{\"requestId\":\"r\",\"clientCount\":0.5}", field("clientCount")),
        ("11", "{\"requestId\":\"r#\",\"clientCount\":1}", field("requestId")),
    ] {
        assert_eq!(read_all(read(kind, data)).map(drop), error, "{kind} {data}");
    }
}

#[test]
fn envelopes_of_no_node_are_refused() {
    let read = |uid: &'static str, nsp: &'static str| {
        let fields = ["uid", uid, "nsp", nsp, "type", "2"];
        read_entry(&fields.map(|field| Bytes::from_static(field.as_bytes()))).map(drop)
    };
    assert_eq!(read("a", "/"), Ok(()));
    assert_eq!(read("", "/"), Err(MessageError::Sender));
    assert_eq!(read("a#b", "/"), Err(MessageError::Sender));
    assert_eq!(read("a", ""), Err(MessageError::Namespace));
    assert_eq!(read("a", "chat"), Err(MessageError::Namespace));
    assert_eq!(read("a", "/a,b"), Err(MessageError::Namespace));
    for fields in [RedisReply::Nil, RedisReply::Int(1), RedisReply::Array(vec![RedisReply::Nil; 3])]
    {
        let id = RedisReply::Bulk(Bytes::from_static(b"1-1"));
        let page = RedisReply::Array(vec![RedisReply::Array(vec![id, fields])]);
        assert!(default().page(&page).unwrap()[0].message.is_err());
    }
}

/// A placeholder that is data would take the place of bytes at every recipient.
#[test]
fn a_foreign_placeholder_beside_bytes_is_refused() {
    let map = b"\x82\xac_placeholder\xc3\xa3num\x00";
    let packet = [&b"\x82\xa4type\x02\xa4data\x93\xa1e\xc4\x01x"[..], map].concat();
    let data = [&b"\x82\xa6packet"[..], &packet, b"\xa4opts\x80"].concat();
    let payload =
        [&b"\x84\xa4type\x03\xa4data"[..], &data, b"\xa3uid\xa1a\xa3nsp\xa1/"].concat().into();
    let message = default().message(&payload);
    assert_eq!(read_all(message), Err(MessageError::Placeholder));
}

#[test]
fn depth_and_lengths_that_lie_cost_no_more_than_their_bytes() {
    let deep = 1 << 20;
    for bracket in ["[", "{\"a\":", "[{\"opts\":"] {
        let data = format!(r#"{{"packet":{},"opts":{{}}}}"#, bracket.repeat(deep));
        assert!(read_all(read("3", &data)).is_err());
    }
    let nested = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let data = format!(r#"{{"packet":{{"type":2,"data":["e",{nested}]}},"opts":{{}}}}"#);
    assert!(read_all(read("3", &data)).is_ok(), "JSON.parse reads it, too");

    let envelope = |data: &[u8]| {
        let head = b"\x84\xa3uid\xa1a\xa3nsp\xa1/\xa4type\x09\xa4data";
        read_all(default().message(&[head, data].concat().into()))
    };
    let packet = b"\x81\xa6packet\x91";
    assert!(envelope(&[&packet[..], b"\x01"].concat()).is_ok());
    let levels = |levels: usize| {
        let nested = [vec![0x91; levels], vec![0xc0]].concat();
        envelope(&[&packet[..], &nested].concat())
    };
    assert!(levels(127).is_ok());
    assert_eq!(levels(128), Err(MessageError::TooDeep { limit: 128 }));
    assert_eq!(levels(deep), Err(MessageError::TooDeep { limit: 128 }));
    for head in [&b"\xdd\xff\xff\xff\xff"[..], b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"] {
        assert_eq!(envelope(&[&packet[..], head].concat()), Err(MessageError::Malformed));
        assert_eq!(envelope(head), Err(MessageError::Malformed));
    }
}

/// Any value of JavaScript.
#[derive(Clone, Debug)]
enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(list) => list.serialize(serializer),
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::Int),
        (-300..300_i64).prop_map(Tree::Int),
        any::<u64>().prop_map(Tree::Uint),
        // Without many digits, which `serde_json` does not read exactly.
        any::<i32>().prop_map(|number| Tree::Float(f64::from(number) / 64.0)),
        Just(Tree::Float(f64::NAN)),
        any::<String>().prop_map(Tree::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Tree::List),
            proptest::collection::vec(("\\PC{0,9}", inner), 0..20).prop_map(Tree::Map),
        ]
    })
}

/// What JSON means to JavaScript, where all numbers are floating point.
fn meaning(json: &str) -> serde_json::Value {
    fn normal(value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::Number(number) => *value = number.as_f64().unwrap().into(),
            Value::Array(list) => list.iter_mut().for_each(normal),
            Value::Object(fields) => fields.values_mut().for_each(normal),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    normal(&mut value);
    value
}

fn texts() -> impl Strategy<Value = Vec<bytestring::ByteString>> {
    proptest::collection::vec(any::<String>().prop_map(Into::into), 0..4)
}

fn options() -> impl Strategy<Value = BroadcastOptions> {
    let bool = || proptest::option::of(any::<bool>());
    let flags = (bool(), bool(), proptest::option::of(0..1_u64 << 53));
    (texts(), texts(), any::<bool>(), flags).prop_map(|(rooms, except, nobody, flags)| {
        let options = rooms.into_iter().fold(BroadcastOptions::all(), BroadcastOptions::to);
        let options = except.into_iter().fold(options, BroadcastOptions::except);
        let (volatile, compress, timeout) = flags;
        let mut set = BroadcastFlags::default();
        (set.volatile, set.compress, set.timeout) = (volatile, compress, timeout);
        let options = options.flags(set);
        if nobody { options.or_nobody() } else { options }
    })
}

fn message(body: Body) -> Message {
    Message::new(NodeId::new("f0aebfa2cd17e8df").unwrap(), NamespaceName::ROOT, body)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_emitted_arrives(args in proptest::collection::vec(tree(), 0..4), options in options()) {
        let event = Event::new("e", &args).unwrap();
        let body = Body::Broadcast(ClusterBroadcast::new(options.clone(), event.clone()));
        let command = default().append(&message(body.clone())).unwrap();
        let page = default().page(&entry("1-1", &command.to_args()[6..])).unwrap();
        let appended = page.into_iter().next().unwrap().message.unwrap();
        let command = default().publish(&message(body), None).unwrap();
        let published = default().message(&command.to_args()[2]).unwrap();
        for received in [appended, published] {
            let Body::Broadcast(broadcast) = received.body else { panic!("a broadcast") };
            prop_assert_eq!(&broadcast.options, &options);
            let packet = broadcast.packet().unwrap();
            prop_assert_eq!(meaning(packet.event.json()), meaning(event.json()));
            prop_assert_eq!(packet.event.attachments(), event.attachments());
        }
    }

    #[test]
    fn answers_and_sessions_arrive(data in tree(), more in tree(), rooms in texts()) {
        let (data, more) = (Value::new(&data).unwrap(), Value::new(&more).unwrap());
        let request = RequestId::new("r").unwrap();
        let same = |left: &Value, right: &Value| {
            meaning(left.json()) == meaning(right.json()) && left.attachments() == right.attachments()
        };
        let socket = SocketDetails::new("id".into(), data.clone(), rooms.clone(), more.clone());
        let body = Body::FetchSocketsResponse { request, sockets: vec![socket.clone(), socket] };
        let command = default().publish(&message(body), None).unwrap();
        let received = default().message(&command.to_args()[2]).unwrap();
        let Body::FetchSocketsResponse { sockets, .. } = received.body else { panic!("an answer") };
        prop_assert_eq!(sockets.len(), 2);
        for socket in sockets {
            prop_assert!(same(&socket.handshake, &data) && same(&socket.data, &more));
            prop_assert_eq!(&socket.rooms, &rooms);
        }

        let sid = socketio_proto::SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
        let pid = socketio_proto::RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap();
        let mut session = StoredSession::new(sid, pid, rooms, more);
        session.extension = Some(data);
        let stored = session.to_base64().unwrap();
        let read = StoredSession::from_base64(stored.as_bytes()).unwrap();
        prop_assert!(same(read.extension.as_ref().unwrap(), session.extension.as_ref().unwrap()));
        prop_assert!(same(&read.data, &session.data) || session.data.json() == "null");
        prop_assert_eq!(read.rooms, session.rooms);
    }

    #[test]
    fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let payload = Bytes::from(payload);
        drop(read_all(default().message(&payload)));
        drop(StoredSession::from_base64(&payload));
        for kind in ["3", "4", "8", "9", "12", "64"] {
            let kind = Bytes::from_static(kind.as_bytes());
            let [uid, a, nsp, root, named, data] =
                ["uid", "a", "nsp", "/", "type", "data"].map(|text| Bytes::from_static(text.as_bytes()));
            drop(read_entry(&[uid, a, nsp, root, named, kind, data, payload.clone()]));
        }
    }
}

#[test]
fn answers_of_nothing_are_null() {
    for data in [r#"{"requestId":"r"}"#, r#"{"requestId":"r","packet":null}"#] {
        let body = read("12", data).unwrap().body;
        let request = RequestId::new("r").unwrap();
        assert_eq!(body, Body::BroadcastAck { request, answer: Value::null() });
    }
    let Body::ServerSideEmit { packet, .. } = read("9", r#"{"packet":[]}"#).unwrap().body else {
        panic!("an event")
    };
    assert_eq!(packet, Args::empty());
}
