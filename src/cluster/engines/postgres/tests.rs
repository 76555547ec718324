use alloc::{format, string::String, vec};

use bytes::Bytes;

use super::*;
use crate::{
    cluster::message::{
        Body, BroadcastOptions, ClusterBroadcast, Message, MessageError, NodeId, Stamp,
    },
    socket::{Event, NamespaceName},
};

fn node(name: &'static str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn postgres() -> Postgres {
    Postgres::new(PostgresOptions::new()).unwrap()
}

fn broadcast(event: Event) -> Message {
    let body = Body::Broadcast(ClusterBroadcast::new(BroadcastOptions::all().to("r1"), event));
    Message::new(node("f0aebfa2cd17e8df"), NamespaceName::ROOT, body)
}

fn read(channel: &str, payload: &str) -> Result<PostgresNotification, MessageError> {
    postgres().notification(&node("86fb0b6e930312ad"), channel, &String::from(payload).into())
}

/// The lists of a statement: their values by place, as text.
fn texts(statement: &PostgresStatement, place: usize) -> vec::Vec<Option<String>> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    match &statement.parameters()[place] {
        PostgresValue::TextArray(list) => {
            list.iter().map(|text| text.as_ref().map(|text| String::from(&**text))).collect()
        }
        PostgresValue::ByteaArray(list) => list.iter().map(|it| it.as_ref().map(text)).collect(),
        other => panic!("{other:?}"),
    }
}

/// As the official adapter and the emitter have sent them (`@socket.io/postgres-adapter` 0.5.0).
#[test]
fn what_official_nodes_send_is_understood() {
    let foreign = [
        r#"{"type":3,"data":{"packet":{"type":2,"data":["plain",1,{"a":"x"}]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        r#"{"type":4,"data":{"opts":{"rooms":["UNBF7c16j_ZDRw-4AAAA"],"except":[],"flags":{}},"rooms":["r1"]},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        r#"{"type":6,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"close":true},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        r#"{"type":3,"data":{"packet":{"type":2,"data":["em",1],"nsp":"/"},"opts":{"rooms":[],"flags":{},"except":[]}},"uid":"emitter"}"#,
        r#"{"type":4,"data":{"opts":{"rooms":["r1"],"except":[]},"rooms":["r2"]},"uid":"emitter"}"#,
    ];
    for payload in foreign {
        let read = read("socket.io#/", payload).unwrap();
        let PostgresNotification::Foreign(message) = read else { panic!("{payload}: {read:?}") };
        assert_eq!(message.namespace, NamespaceName::ROOT);
    }
    let live = [
        (1, r#"{"type":1,"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#),
        (2, r#"{"type":2,"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#),
        (13, r#"{"type":13,"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#),
        (
            3,
            r#"{"type":3,"data":{"packet":{"type":2,"data":["vol","s"]},"opts":{"rooms":["r1"],"except":["r2"],"flags":{"volatile":true}}},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        ),
        (
            3,
            r#"{"type":3,"data":{"packet":{"type":2,"data":["q",5]},"requestId":"c9562a823fa06ea1","opts":{"rooms":[],"except":[],"flags":{"timeout":500}}},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        ),
        (
            7,
            r#"{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"4f8f246e13f44b0f"},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        ),
        (
            9,
            r#"{"type":9,"data":{"requestId":"15d8a673090eeb66","packet":["serverside","x"]},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        ),
        (9, r#"{"type":9,"data":{"packet":["serverside",1]},"uid":"emitter"}"#),
        (
            11,
            r#"{"type":11,"data":{"requestId":"c9562a823fa06ea1","clientCount":1},"uid":"44c2b5e96ed1a7e4","nsp":"/"}"#,
        ),
    ];
    for (kind, payload) in live {
        let read = read("socket.io#/", payload).unwrap();
        let PostgresNotification::Message(message) = read else { panic!("{payload}: {read:?}") };
        assert_eq!(message.body.kind(), kind);
    }
    for payload in [
        r#"{"uid":"44c2b5e96ed1a7e4","type":3,"attachmentId":"1"}"#,
        r#"{"uid":"emitter","type":3,"attachmentId":"1"}"#,
    ] {
        assert_eq!(read("socket.io#/", payload), Ok(PostgresNotification::Attached { id: 1 }));
    }
}

#[test]
fn what_is_attached_is_understood() {
    let hex = "83a47479706503a46461746182a67061636b657483a47479706502a46461746192a2656dc40102a36e7370a12f\
        a46f70747383a5726f6f6d7390a5666c61677380a665786365707490a3756964a7656d6974746572";
    let payload: vec::Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let row = [PostgresValue::Bytea(payload.into())];
    let read = postgres().attached(&node("86fb0b6e930312ad"), "socket.io#/", &row).unwrap();
    let PostgresNotification::Foreign(message) = read else { panic!("{read:?}") };
    assert_eq!((message.sender, message.namespace), (NodeId::EMITTER, NamespaceName::ROOT));
    let Body::Broadcast(broadcast) = message.body else { panic!() };
    assert_eq!(broadcast.packet().unwrap().event.attachments(), [Bytes::from_static(&[2])]);
}

#[test]
fn what_is_not_for_here_is_left_alone() {
    for payload in [
        // Of this node.
        r#"{"type":2,"uid":"86fb0b6e930312ad","nsp":"/"}"#,
        r#"{"uid":"86fb0b6e930312ad","type":3,"attachmentId":"1"}"#,
        // The copy of an entry.
        r#"{"seq":7,"type":3,"data":{},"uid":"44c2b5e96ed1a7e4","nsp":"/","nonce":1}"#,
        r#"{"seq":7,"uid":"44c2b5e96ed1a7e4","type":3,"attachmentId":"1"}"#,
        // For another node.
        r#"{"type":2,"uid":"44c2b5e96ed1a7e4","nsp":"/","to":"0000000000000000"}"#,
    ] {
        assert_eq!(read("socket.io#/", payload), Ok(PostgresNotification::NotForHere), "{payload}");
    }
    let for_here = r#"{"type":2,"uid":"44c2b5e96ed1a7e4","nsp":"/","to":"86fb0b6e930312ad"}"#;
    assert!(matches!(read("socket.io#/", for_here), Ok(PostgresNotification::Message(_))));
}

#[test]
fn damaged_notifications_are_refused() {
    for payload in ["", "x", "{", "[]", "{}", r#"{"type":3}"#, r#"{"attachmentId":"x"}"#, "\u{0}"] {
        assert!(read("socket.io#/", payload).is_err(), "{payload}");
        assert!(read("socket.io#", payload).is_err(), "{payload}");
    }
    for payload in ["1", "1:", ":1", "1:2:3", "-1:2", "1:99999999999999999999"] {
        assert!(read("socket.io#", payload).is_err(), "{payload}");
    }
    let woken = PostgresNotification::Woken { epoch: 7, anchor: 12 };
    assert_eq!(read("socket.io#", "7:12"), Ok(woken));
}

#[test]
fn an_entry_is_its_own_copy_for_official_nodes_as_long_as_it_fits() {
    let message = broadcast(Event::new("news", &("x",)).unwrap()).stamped(Stamp::new(5, u64::MAX));
    let append = postgres().append(7, &[postgres().to_append(&message).unwrap()]);
    let json = r#"{"seq":5,"type":3,"data":{"packet":{"type":2,"data":["news","x"]},"opts":{"rooms":["r1"],"except":[],"flags":{}}},"uid":"f0aebfa2cd17e8df","nsp":"/","nonce":18446744073709551615}"#;
    assert_eq!(texts(&append, 1), [Some(String::from(json))]);
    assert_eq!(texts(&append, 2), [Some(String::from("socket.io#/"))]);
    assert_eq!((texts(&append, 3), texts(&append, 4)), (vec![None], vec![None]));
    let null = PostgresValue::Null;
    let row = [PostgresValue::Int8(1), PostgresValue::Bytea(json.into()), null.clone(), null];
    let entry = postgres().row(&row).unwrap();
    let read = entry.message.unwrap();
    assert_eq!((read.stamp, &read.sender), (message.stamp, &message.sender));
    assert_eq!(entry.origin, None);
}

#[test]
fn what_a_notification_cannot_carry_is_attached() {
    let len = |text: &str| {
        let message = broadcast(Event::new("n", &(text,)).unwrap()).stamped(Stamp::new(1, 2));
        message.to_json_for(None, true).unwrap().unwrap().len()
    };
    let fits = "z".repeat(7_999 - len(""));
    let event = |text: &str| Event::new("n", &(text,)).unwrap();
    let binary = Event::new("n", &(Bytes::from_static(b"\x01"),)).unwrap();
    let events = [event(&fits), event(&format!("{fits}z")), binary];
    let append = events.map(|event| {
        let message = broadcast(event).stamped(Stamp::new(1, 2));
        let statement = postgres().append(7, &[postgres().to_append(&message).unwrap()]);
        (texts(&statement, 3).remove(0), texts(&statement, 4).remove(0).is_some())
    });
    let header = r#"{"seq":1,"uid":"f0aebfa2cd17e8df","type":3,"attachmentId":""#;
    let attached = (Some(String::from(header)), true);
    assert_eq!(append, [(None, false), attached.clone(), attached]);

    let message = broadcast(Event::new("n", &("z".repeat(9_000),)).unwrap());
    let notify = postgres().notify(&[postgres().to_notify(&message, None).unwrap()]);
    let header = r#"{"uid":"f0aebfa2cd17e8df","type":3,"attachmentId":""#;
    assert_eq!(texts(&notify, 1), [Some(String::from(header))]);
    assert!(texts(&notify, 2)[0].is_some());
}

#[test]
fn without_node_js_there_are_no_copies() {
    let postgres = Postgres::new(PostgresOptions::new().with_node_js(false)).unwrap();
    let message = broadcast(Event::new("n", &(Bytes::from_static(b"\x01"),)).unwrap());
    let append = postgres.append(7, &[postgres.to_append(&message).unwrap()]);
    assert_eq!((texts(&append, 2), texts(&append, 4)), (vec![None], vec![None]));
}

#[test]
fn long_namespaces_are_not_shared_with_official_nodes() {
    let longest = format!("/{}", "é".repeat(26));
    assert_eq!(longest.len() + "socket.io#".len(), 63);
    let longer = format!("{longest}é");
    let channel = |name: &str| postgres().channel(&NamespaceName::new(name).unwrap());
    assert_eq!(channel(&longest), format!("socket.io#{longest}"));
    assert!(channel(&longer).len() <= 63 && channel(&longer) != channel(&longest));
    assert_eq!(postgres().namespace_of(&channel(&longest)), Some(&*longest));
    assert_ne!(postgres().namespace_of(&channel(&longer)), Some(&*longer));
    let mut message = broadcast(Event::new("n", &(1,)).unwrap());
    message.namespace = NamespaceName::new(&longer).unwrap();
    let append = postgres().append(7, &[postgres().to_append(&message).unwrap()]);
    assert_eq!(texts(&append, 2), [None]);
}

#[test]
fn an_import_keeps_its_place() {
    let place = PostgresPlace::new(12, 3, "socket.io#/a/b".into());
    let message = broadcast(Event::new("n", &(1,)).unwrap());
    let import = postgres().to_import(place.clone(), &message).unwrap();
    let import = postgres().import(7, &node("86fb0b6e930312ad"), &[import]);
    let PostgresValue::ByteaArray(messages) = &import.parameters()[1] else { panic!() };
    let text = |text: &str| PostgresValue::Text(text.into());
    let bytes = PostgresValue::Bytea(messages[0].clone().unwrap());
    let row =
        [PostgresValue::Int8(9), bytes, text("12/3/socket.io#/a/b"), text("86fb0b6e930312ad")];
    let entry = postgres().row(&row).unwrap();
    assert_eq!(entry.origin, Some((place, "86fb0b6e930312ad".into())));
    assert_eq!(entry.message.unwrap().stamp, None);
}

#[test]
fn options_that_cannot_work_are_refused() {
    let refused = |options: PostgresOptions| Postgres::new(options).is_err();
    let options = PostgresOptions::new;
    assert!(!refused(options()));
    for name in ["", "a b", "a\"b", "A", "1a", "a;b", &"a".repeat(64)] {
        assert!(refused(options().table_prefix(name)), "{name}");
        assert!(refused(options().attachments_table(name)), "{name}");
    }
    for prefix in ["", "a\0b", &"a".repeat(33)] {
        assert!(refused(options().channel_prefix(prefix)), "{prefix}");
    }
    assert!(refused(options().max_len(0_u64)) && refused(options().max_bytes(0_u64)));
    assert!(refused(options().max_message_bytes(0_usize)));
    assert!(refused(options().max_age(core::time::Duration::ZERO)));
}

#[test]
fn tables_become_those_of_this_version() {
    let schema = postgres().schema();
    let version = |version| [PostgresValue::Int8(version)];
    let made = schema.migrate(None).unwrap();
    assert_eq!(made.len(), 2);
    assert!(made[0].contains("CREATE TABLE socket_io_entries"));
    assert!(made[0].contains("CREATE TABLE IF NOT EXISTS socket_io_attachments"));
    assert!(made[1].contains("INSERT INTO socket_io_schema (version) VALUES (1)"));
    assert_eq!(schema.migrate(Some(&version(1))), Ok(vec![]));
    assert_eq!(schema.migrate(Some(&version(2))), Err(PostgresSchemaError { version: 2 }));
}
