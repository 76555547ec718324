//! Documents of official nodes, and ours.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    RecoveryKey, SocketId,
    cluster::message::{
        Body, BroadcastOptions, ClusterBroadcast, Message, MessageError, NodeId, OwnKind, Stamp,
        StoredSession, Value,
    },
    recovery::Offset,
    socket::{Binary, Event, NamespaceName},
};

const NOW: u64 = 1_700_000_000_000;

fn mongodb() -> Mongodb {
    Mongodb::new(MongodbOptions::new()).unwrap()
}

fn node() -> NodeId {
    NodeId::new("f0aebfa2cd17e8df").unwrap()
}

fn message(body: Body) -> Message {
    Message::new(node(), NamespaceName::ROOT, body).stamped(Stamp::new(7, u64::MAX - 1))
}

fn broadcast(event: Event) -> Message {
    message(Body::Broadcast(ClusterBroadcast::new(BroadcastOptions::all().to("r1"), event)))
}

fn text(text: &str) -> MongodbValue {
    MongodbValue::Text(text.into())
}

fn object<const N: usize>(fields: [(&str, MongodbValue); N]) -> MongodbValue {
    MongodbValue::Document(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn document<const N: usize>(fields: [(&str, MongodbValue); N]) -> MongodbDocument {
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

/// What an official node inserts for a broadcast of these arguments.
fn official(args: Vec<MongodbValue>, flags: MongodbValue) -> MongodbDocument {
    let packet = object([("type", MongodbValue::Int32(2)), ("data", MongodbValue::Array(args))]);
    let none = || MongodbValue::Array(vec![]);
    let opts = object([("rooms", none()), ("except", none()), ("flags", flags)]);
    document([
        ("type", MongodbValue::Int32(3)),
        ("data", object([("packet", packet), ("opts", opts)])),
        ("uid", text("94bd866eaccbe0d0")),
        ("nsp", text("/")),
        ("createdAt", MongodbValue::DateTime(1_795_788_974_591)),
    ])
}

fn event_of(change: MongodbChange) -> Event {
    let MongodbChange::Entry(Ok(message)) = change else { panic!("no entry: {change:?}") };
    let Body::Broadcast(broadcast) = message.body else { panic!("no broadcast") };
    broadcast.packet().unwrap().event
}

#[test]
fn the_event_of_an_official_node_keeps_its_bytes_numbers_and_times() {
    let args = vec![
        text("bin"),
        MongodbValue::Binary(Bytes::from_static(b"\x01\x02\x03")),
        MongodbValue::Double(1.5),
        MongodbValue::DateTime(0),
        MongodbValue::DateTime(-1),
        MongodbValue::Int64(1_795_788_973_988),
        MongodbValue::ObjectId([0xab; 12]),
    ];
    let event = event_of(mongodb().change(&official(args, object([])), 100));
    assert_eq!(event.name(), "bin");
    let binary: Binary = event.get(0).unwrap();
    assert_eq!(binary.resolve(&event), Some(&Bytes::from_static(b"\x01\x02\x03")));
    assert!(event.json().ends_with(concat!(
        r#",1.5,"1970-01-01T00:00:00.000Z","1969-12-31T23:59:59.999Z",1795788973988,"#,
        r#""abababababababababababab"]"#
    )));
}

#[test]
fn our_event_is_an_official_document_and_comes_back() {
    let event = Event::new("x", &(Bytes::from_static(b"\0\xff"), 1, -2, 1.5, 1_u64 << 40)).unwrap();
    let document = Mongodb::append(&broadcast(event.clone()), NOW).unwrap();
    let args = vec![
        text("x"),
        MongodbValue::Binary(Bytes::from_static(b"\0\xff")),
        MongodbValue::Int32(1),
        MongodbValue::Int32(-2),
        MongodbValue::Double(1.5),
        MongodbValue::Int64(1 << 40),
    ];
    let packet = object([("type", MongodbValue::Int32(2)), ("data", MongodbValue::Array(args))]);
    let opts = object([
        ("rooms", MongodbValue::Array(vec![text("r1")])),
        ("except", MongodbValue::Array(vec![])),
        ("flags", object([])),
    ]);
    assert_eq!(document.get("data"), Some(&object([("packet", packet), ("opts", opts)])));
    assert_eq!(document.get("createdAt"), Some(&MongodbValue::DateTime(1_700_000_000_000)));
    let change = mongodb().change(&document, 100);
    let MongodbChange::Entry(Ok(read)) = &change else { panic!("{change:?}") };
    assert_eq!(read.stamp, Some(Stamp::new(7, u64::MAX - 1)));
    assert_eq!(event_of(change), event);
}

#[test]
fn a_number_that_bson_does_not_have_comes_back_exactly() {
    let event = Event::new("x", &(u64::MAX,)).unwrap();
    let document = Mongodb::append(&broadcast(event.clone()), NOW).unwrap();
    assert_eq!(event_of(mongodb().change(&document, 100)), event);
    let plain = Event::new("x", &(i64::MAX, i64::MIN)).unwrap();
    let document = Mongodb::append(&broadcast(plain.clone()), NOW).unwrap();
    assert_eq!(document.get("exact"), None);
    assert_eq!(event_of(mongodb().change(&document, 100)), plain);
}

#[test]
fn what_is_published_is_no_entry() {
    let to = NodeId::new("a").unwrap();
    let own = Body::Own { kind: OwnKind::ClientGone, data: Value::new(&1).unwrap() };
    let position = Offset::object_id([7; 12]);
    let sent = message(own).after(Some(position));
    let document = Mongodb::publish(&sent, Some(&to), NOW).unwrap();
    let expected = MongodbChange::Published { to: Some("a".into()), message: sent };
    assert_eq!(mongodb().change(&document, 100), expected);

    // An official node does not say so.
    for (kind, body) in [(1, Body::InitialHeartbeat), (2, Body::Heartbeat)] {
        let official = document_of(kind);
        let MongodbChange::Published { to: None, message } = mongodb().change(&official, 100)
        else {
            panic!("{kind} is not published")
        };
        assert_eq!(message.body, body);
    }
}

fn document_of(kind: i32) -> MongodbDocument {
    document([("type", MongodbValue::Int32(kind)), ("uid", text("a")), ("nsp", text("/"))])
}

#[test]
fn a_goodbye_is_told_from_a_session() {
    let sent = message(Body::AdapterClose);
    let document = Mongodb::publish(&sent, None, NOW).unwrap();
    let expected = MongodbChange::Published { to: None, message: sent };
    assert_eq!(mongodb().change(&document, 100), expected);
    assert_eq!(mongodb().change(&document_of(13), 100), MongodbChange::Other);
}

#[test]
fn a_marker_is_an_entry_that_says_nothing() {
    let MongodbChange::Entry(Ok(message)) = mongodb().change(&Mongodb::marker(&node(), NOW), 100)
    else {
        panic!("no entry")
    };
    assert_eq!(message.body, Body::Unknown { kind: 65 });
}

#[test]
fn what_nobody_can_read_is_skipped_at_its_place() {
    let table = [
        document([]),
        document([("type", text("3"))]),
        document([("type", MongodbValue::Double(1.5))]),
        document([("type", MongodbValue::Double(-1.0))]),
        document([("type", MongodbValue::Int32(3)), ("uid", text("a#")), ("nsp", text("/"))]),
        document([("type", MongodbValue::Int32(3)), ("uid", text("a")), ("nsp", text("x"))]),
        document_of(3),
        document_of(4),
    ];
    for document in table {
        let change = mongodb().change(&document, 100);
        assert!(matches!(change, MongodbChange::Entry(Err(_))), "{document:?} {change:?}");
    }
    let large = mongodb().change(&official(vec![text("x")], object([])), (15 << 20) + 1);
    assert_eq!(large, MongodbChange::Entry(Err(MessageError::TooLarge { limit: 15 << 20 })));
}

#[test]
fn what_is_nested_too_deep_is_neither_written_nor_read() {
    let mut deep = MongodbValue::Int32(1);
    for _ in 0..200 {
        deep = MongodbValue::Array(vec![deep]);
    }
    let change = mongodb().change(&official(vec![text("x"), deep], object([])), 100);
    assert_eq!(change, MongodbChange::Entry(Err(MessageError::TooDeep { limit: 90 })));

    let nested = |levels: usize| {
        let json = ["[".repeat(levels), "]".repeat(levels)].concat();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        Mongodb::append(&broadcast(Event::new("x", &(value,)).unwrap()), NOW).map(|_| ())
    };
    // The levels of `packet`, `data` and the list of arguments are around it.
    assert_eq!(nested(87), Ok(()));
    assert_eq!(nested(89), Err(MessageError::TooDeep { limit: 90 }));
}

#[test]
fn a_name_that_bson_cannot_write_is_refused() {
    let event = Event::new("x", &(serde_json::json!({"a\0b": 1}),)).unwrap();
    assert_eq!(Mongodb::append(&broadcast(event), NOW), Err(MessageError::Malformed));
}

#[test]
fn requests_do_not_go_into_the_channel() {
    let refused = Mongodb::append(&message(Body::Heartbeat), NOW);
    assert_eq!(refused, Err(MessageError::NotForLog { kind: 2 }));
}

#[test]
fn a_session_is_an_official_document_that_ends() {
    let sid = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
    let pid = RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap();
    let rooms = vec!["bhZwQSdakf0anWUIAAAA".into(), "r1".into()];
    let data = Value::new(&serde_json::json!({"user": "u1"})).unwrap();
    let mut session = StoredSession::new(sid, pid, rooms, data);
    session.extension = Some(Value::new("ours").unwrap());
    session.version = Some(u64::MAX);
    let stored = Mongodb::store(&node(), &session, Duration::from_secs(10), NOW).unwrap();
    let found = Mongodb::session(&stored, NOW + 4_000).unwrap();
    assert_eq!(found.session.as_ref(), Ok(&session));
    assert_eq!(found.expires_in, Some(Duration::from_secs(6)));
    assert_eq!(Mongodb::session(&stored, NOW + 10_000), None);
    // Nobody reads it from the change stream.
    assert_eq!(mongodb().change(&stored, 100), MongodbChange::Other);

    let to_replace = Mongodb::to_replace(&session.pid, Some(u64::MAX));
    assert_eq!(to_replace.get("version"), stored.get("version"));
    assert_eq!(to_replace.get("_id"), Some(&text("MHb4Fpcq3jbRzad2AAAB")));
    let of_session = Mongodb::of_session(&session.pid);
    assert_eq!(of_session.get("data.pid"), Some(&text("MHb4Fpcq3jbRzad2AAAB")));

    // What an official node stores.
    let official = document([
        ("type", MongodbValue::Int32(13)),
        (
            "data",
            object([
                ("sid", text("bhZwQSdakf0anWUIAAAA")),
                ("pid", text("MHb4Fpcq3jbRzad2AAAB")),
                ("rooms", MongodbValue::Array(vec![text("r1")])),
                ("data", object([("user", text("u1"))])),
            ]),
        ),
    ]);
    let found = Mongodb::session(&official, NOW).unwrap();
    assert_eq!(found.expires_in, None);
    assert_eq!(found.session.unwrap().extension, None);
    let tombstone = document([("data", object([("tombstone", MongodbValue::Bool(true))]))]);
    assert!(Mongodb::session(&tombstone, NOW).unwrap().session.is_err());
}

#[test]
fn positions_ascend_as_the_changes_do() {
    let first = MongodbPosition::new(5, 1);
    let all = [first, first.next(5, 1), first.next(5, 1).next(5, 1), first.next(5, 2)];
    let later = [first.next(6, 1), first.next(u32::MAX, u32::MAX)];
    let offsets: Vec<Offset> = all.iter().chain(&later).map(|position| position.offset()).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    assert!(all.is_sorted_by(|a, b| a < b));
}

#[test]
fn options_have_limits() {
    let refused = [
        MongodbOptions::new().max_message_bytes(0_usize),
        MongodbOptions::new().max_message_bytes((15_usize << 20) + 1),
        MongodbOptions::new().expire_after(Duration::ZERO),
    ];
    for options in refused {
        assert!(Mongodb::new(options.clone()).is_err(), "{options:?}");
    }
}
