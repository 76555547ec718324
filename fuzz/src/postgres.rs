//! What a node reads from PostgreSQL.

use bytes::Bytes;
use bytestring::ByteString;
use core::time::Duration;
use socketio_proto::{
    cluster::{
        engines::postgres::{
            Postgres, PostgresHead, PostgresNotification, PostgresOptions, PostgresPlace,
            PostgresValue,
        },
        message::{Body, Message, MessageError, NodeId, Stamp},
    },
    recovery::Offset,
    socket::NamespaceName,
};

use super::{
    meaning::{check, said, same_session},
    source::Source,
};

/// The most that `NOTIFY` takes.
const PAYLOAD_MAX: usize = 7_999;
/// The longest name of a channel.
const NAME_MAX: usize = 63;

/// The codecs of PostgreSQL: a notification, an entry, a session, or rows of any shape.
pub fn postgres_codec(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(4) {
        0 => {
            let channel = source.byte();
            notification(channel, source.rest());
        }
        1 => {
            let origin = source.text();
            entry(&origin, source.rest());
        }
        2 => session(source.rest()),
        _ => rows(&mut source),
    }
}

fn postgres() -> Postgres {
    Postgres::new(PostgresOptions::default()).expect("the defaults")
}

/// The node that reads, and one that has written what it reads.
fn nodes() -> [NodeId; 2] {
    ["reader", "writer"].map(|name| NodeId::new(name).expect("a name"))
}

/// A notification is refused or skipped, or what it says means the same after it was sent on in any of
/// the ways that there are.
fn notification(channel: u8, payload: &[u8]) {
    let (postgres, [node, _]) = (postgres(), nodes());
    let payload = Bytes::copy_from_slice(payload);
    let channel = match channel {
        0 => postgres.wake_channel(),
        1 => "socket.io#/chat".to_owned(),
        2 => "elsewhere".to_owned(),
        _ => "socket.io#/".to_owned(),
    };
    let read = || postgres.notification(&node, &channel, &payload);
    assert_eq!(read(), read());
    let attached = postgres.attached(&node, &channel, &[PostgresValue::Bytea(payload.clone())]);
    for found in [read(), attached] {
        let Ok(found) = found else { continue };
        match found {
            PostgresNotification::Foreign(message) => {
                assert!(message.stamp.is_none(), "ours are in the channel already");
                drop(said(&message));
                import(&message);
                append(&message);
                notify(&message);
            }
            PostgresNotification::Message(message) => {
                drop(said(&message));
                notify(&message);
            }
            _ => {}
        }
    }
}

/// An entry is refused, or means the same after it was written again.
fn entry(origin: &str, data: &[u8]) {
    let (postgres, [_, writer]) = (postgres(), nodes());
    let row = [
        PostgresValue::Int8(5),
        PostgresValue::Bytea(Bytes::copy_from_slice(data)),
        PostgresValue::Text(origin.into()),
        PostgresValue::Text(writer.as_str().into()),
    ];
    let read = postgres.row(&row).expect("it has the right shape");
    assert_eq!(postgres.row(&row).as_ref(), Ok(&read));
    assert_eq!((read.entry, read.len), (5, data.len()));
    if let Some((place, importer)) = &read.origin {
        assert_eq!(
            format!("{}/{}/{}", place.anchor, place.number, place.channel),
            canonical(origin)
        );
        assert_eq!(*importer, writer.as_str());
    }
    let Ok(message) = read.message else { return };
    drop(said(&message));
    append(&message);
    import(&message);
    notify(&message);
}

/// Numbers without the signs and zeros that may be in front of them.
fn canonical(origin: &str) -> String {
    let mut parts = origin.splitn(3, '/');
    let mut number = || parts.next().and_then(|it| it.parse::<u64>().ok()).expect("it was read");
    let (anchor, count) = (number(), number());
    format!("{anchor}/{count}/{}", parts.next().expect("it was read"))
}

fn read_back(message: &Bytes, origin: PostgresValue) -> Result<Message, MessageError> {
    let row = [
        PostgresValue::Int8(1),
        PostgresValue::Bytea(message.clone()),
        origin,
        PostgresValue::Null,
    ];
    postgres().row(&row).expect("it has the right shape").message
}

fn append(message: &Message) {
    let (postgres, nodes) = (postgres(), nodes());
    // Nodes of this crate stamp what they append, and append nothing that they do not know.
    if matches!(message.body, Body::Unknown { .. }) {
        return;
    }
    let stamp = message.stamp.unwrap_or(Stamp::new(3, 4));
    let message = &message.clone().stamped(stamp);
    let Ok(append) = postgres.to_append(message) else { return };
    let statement = postgres.append(1, &[append]);
    let [_, messages, channels, headers, attached, wake] = statement.parameters() else {
        panic!("{statement:?}")
    };
    let entry = one_bytes(messages).expect("it has a message");
    check(message, read_back(&entry, PostgresValue::Null));
    assert_eq!(wake, &PostgresValue::Text(postgres.wake_channel().into()));
    let Some(channel) = one_text(channels) else {
        assert_eq!((one_text(headers), one_bytes(attached)), (None, None));
        return;
    };
    assert_eq!(channel, postgres.channel(&message.namespace));
    let copy = match (one_text(headers), one_bytes(attached)) {
        (Some(header), Some(attached)) => {
            let row = [PostgresValue::Bytea(attached)];
            let read = postgres.attached(&nodes[0], &channel, &row);
            assert!(
                matches!(
                    read,
                    Ok(PostgresNotification::Message(_) | PostgresNotification::Foreign(_))
                ) || message.sender == nodes[0],
                "{read:?}"
            );
            Bytes::from(format!("{header}{}\"}}", i64::MAX))
        }
        _ => entry,
    };
    assert!(copy.len() <= PAYLOAD_MAX, "{} bytes", copy.len());
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&copy).is_ok();
    assert!(is_json || copy.len() > 1_000, "official nodes read JSON: {copy:?}");
    let read = postgres.notification(&nodes[0], &channel, &copy);
    assert_eq!(read, Ok(PostgresNotification::NotForHere), "nodes of this crate read the entry");
}

fn import(message: &Message) {
    let (postgres, [node, _]) = (postgres(), nodes());
    let place = PostgresPlace::new(3, 4, postgres.channel(&message.namespace));
    let Ok(import) = postgres.to_import(place.clone(), message) else { return };
    let statement = postgres.import(1, &node, &[import]);
    let [_, messages, ..] = statement.parameters() else { panic!("{statement:?}") };
    let origin = format!("{}/{}/{}", place.anchor, place.number, place.channel);
    let row = [
        PostgresValue::Int8(1),
        PostgresValue::Bytea(one_bytes(messages).expect("it has a message")),
        PostgresValue::Text(origin.into()),
        PostgresValue::Text(node.as_str().into()),
    ];
    let read = postgres.row(&row).expect("it has the right shape");
    assert_eq!(read.origin, Some((place, node.as_str().into())));
    check(message, read.message);
}

fn notify(message: &Message) {
    let (postgres, [node, _]) = (postgres(), nodes());
    for to in [None, Some(&node)] {
        let Ok(notify) = postgres.to_notify(message, to) else { continue };
        let statement = postgres.notify(&[notify]);
        let [channels, payloads, attached] = statement.parameters() else {
            panic!("{statement:?}")
        };
        let channel = one_text(channels).expect("it has a channel");
        let payload = one_text(payloads).expect("it has a payload");
        assert!(channel.len() <= NAME_MAX, "{channel}");
        let read = match one_bytes(attached) {
            None => {
                assert!(payload.len() <= PAYLOAD_MAX, "{} bytes", payload.len());
                postgres.notification(&node, &channel, &payload.into_bytes())
            }
            Some(attached) => {
                let payload = Bytes::from(format!("{payload}{}\"}}", i64::MAX));
                assert!(payload.len() <= PAYLOAD_MAX, "{} bytes", payload.len());
                let id = i64::MAX.unsigned_abs();
                let read = postgres.notification(&node, &channel, &payload);
                if message.sender == node {
                    assert_eq!(read, Ok(PostgresNotification::NotForHere));
                    continue;
                }
                assert_eq!(read, Ok(PostgresNotification::Attached { id }));
                postgres.attached(&node, &channel, &[PostgresValue::Bytea(attached)])
            }
        };
        match read.expect("what was written is read") {
            PostgresNotification::Message(read) | PostgresNotification::Foreign(read) => {
                check(message, Ok(read));
            }
            other => assert!(message.sender == node, "{other:?}"),
        }
    }
}

/// A session is refused, or it is the same after it was stored again.
fn session(value: &[u8]) {
    let postgres = postgres();
    let read = |pid: PostgresValue, value: PostgresValue| {
        let row = [pid, value, PostgresValue::Int8(1_500)];
        postgres.session(&row).expect("it has the right shape")
    };
    let found = read(
        PostgresValue::Text("pid".into()),
        PostgresValue::Bytea(Bytes::copy_from_slice(value)),
    );
    assert_eq!(found.expires_in, Some(Duration::from_millis(1_500)));
    let Ok(session) = found.session else { return };
    let Ok(stored) = postgres.to_store(&session, Duration::from_secs(7), None) else { return };
    let statement = postgres.store(&[stored]);
    let [pids, PostgresValue::Int8Array(ms), values, PostgresValue::Int8Array(versions)] =
        statement.parameters()
    else {
        panic!("{statement:?}")
    };
    let pid = one_text(pids).expect("it has a private id");
    assert_eq!((&*pid, &ms[..]), (session.pid.expose(), &[7_000][..]));
    assert_eq!(versions[0].cast_unsigned(), session.version.unwrap_or_default());
    let value = one_bytes(values).expect("it has a value");
    let again = read(PostgresValue::Text(pid), PostgresValue::Bytea(value)).session;
    same_session(&session, again.expect("it was written before"));
}

/// No row, of whatever shape, does any harm.
fn rows(source: &mut Source<'_>) {
    let postgres = postgres();
    let row: Vec<_> = (0..source.below(6)).map(|_| value(source)).collect();
    drop(postgres.row(&row));
    drop(postgres.session(&row));
    let (number, text) = (Postgres::number(&row), Postgres::text(&row));
    assert!(number.is_err() || text.is_err(), "it is one of both");
    drop(postgres.attached(&nodes()[0], "socket.io#/", &row));
    if let Ok(head) = PostgresHead::from_row(&row) {
        assert_eq!(
            head.entry_at(head.oldest()),
            (head.trimmed <= head.head).then_some(head.trimmed)
        );
        let other = Offset::pair(head.epoch.wrapping_add(1), head.head);
        assert_eq!(head.entry_at(other), None);
    }
    let name = source.text();
    if let Ok(namespace) = NamespaceName::new(&name) {
        let channel = postgres.channel(&namespace);
        assert!(channel.len() <= NAME_MAX && !channel.contains('\0'), "{channel}");
        assert_ne!(channel, postgres.wake_channel());
    }
}

fn value(source: &mut Source<'_>) -> PostgresValue {
    let text = |source: &mut Source<'_>| ByteString::from(source.text());
    match source.below(8) {
        0 => PostgresValue::Null,
        1 => PostgresValue::Int8(source.any()),
        2 => PostgresValue::Int8(source.byte().into()),
        3 => PostgresValue::Text(text(source)),
        4 => PostgresValue::Bytea(Bytes::copy_from_slice(source.bytes())),
        5 => PostgresValue::Int8Array((0..source.below(4)).map(|_| source.any()).collect()),
        6 => PostgresValue::TextArray((0..source.below(4)).map(|_| Some(text(source))).collect()),
        _ => PostgresValue::ByteaArray(vec![None]),
    }
}

/// The one text of a list.
fn one_text(value: &PostgresValue) -> Option<ByteString> {
    let PostgresValue::TextArray(list) = value else { panic!("{value:?}") };
    let [text] = &list[..] else { panic!("{value:?}") };
    text.clone()
}

/// The one item of a list.
fn one_bytes(value: &PostgresValue) -> Option<Bytes> {
    let PostgresValue::ByteaArray(list) = value else { panic!("{value:?}") };
    let [bytes] = &list[..] else { panic!("{value:?}") };
    bytes.clone()
}
