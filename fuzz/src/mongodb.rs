//! What a node reads from MongoDB.

use bytes::Bytes;
use core::time::Duration;
use socketio_proto::cluster::{
    engines::mongodb::{
        Mongodb, MongodbChange, MongodbDocument, MongodbOptions, MongodbPosition, MongodbValue,
    },
    message::{Message, MessageError, NodeId},
};

use super::{
    meaning::{check, said, same_session},
    source::Source,
};

/// Milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

/// The codecs of MongoDB: a document of any shape, or one whose data are any bytes; and positions.
pub fn mongodb_codec(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(4) {
        0 => {
            let (kind, flags) = (source.byte(), source.byte());
            let document = exact(kind, flags, source.rest());
            change(&document);
            session(&document);
        }
        1 => positions(&mut source),
        _ => {
            let document = document(&mut source, 0);
            change(&document);
            session(&document);
        }
    }
}

fn node() -> NodeId {
    NodeId::new("node").expect("a name")
}

/// A document as nodes of this crate write it, with these bytes as its data.
fn exact(kind: u8, flags: u8, data: &[u8]) -> MongodbDocument {
    let text = |text: &'static str| MongodbValue::Text(text.into());
    let mut document = MongodbDocument::new()
        .with("type", MongodbValue::Int32(kind.into()))
        .with("exact", MongodbValue::Binary(Bytes::copy_from_slice(data)))
        .with("uid", text("node"))
        .with("nsp", text("/chat"));
    if flags & 1 != 0 {
        let stamp = [("seq", 7), ("nonce", -1)];
        for (name, number) in stamp {
            document = document.with(name, MongodbValue::Int64(number));
        }
    }
    if flags & 2 != 0 {
        document = document.with("published", MongodbValue::Bool(true)).with("to", text("other"));
    }
    document
}

/// A document is refused or skipped, or what it says means the same after it was written again.
fn change(document: &MongodbDocument) {
    let mongodb = Mongodb::new(MongodbOptions::default()).expect("the defaults");
    let read = |document: &MongodbDocument| mongodb.change(document, 100);
    assert_eq!(read(document), read(document));
    match read(document) {
        MongodbChange::Entry(Ok(message)) => {
            drop(said(&message));
            check_publish(&mongodb, &message, None);
            let Ok(document) = Mongodb::append(&message, NOW) else { return };
            let MongodbChange::Entry(again) = read(&stored(document)) else { panic!("no entry") };
            check(&message, again);
        }
        MongodbChange::Published { message, .. } => {
            drop(said(&message));
            check_publish(&mongodb, &message, None);
            check_publish(&mongodb, &message, Some(&node()));
        }
        _ => {}
    }
}

fn check_publish(mongodb: &Mongodb, message: &Message, to: Option<&NodeId>) {
    let Ok(document) = Mongodb::publish(message, to, NOW) else { return };
    let MongodbChange::Published { to: read_to, message: read } =
        mongodb.change(&stored(document), 100)
    else {
        panic!("it was published")
    };
    assert_eq!(read_to.as_deref(), to.map(NodeId::as_str));
    assert_eq!(read.after, message.after);
    check(message, Ok::<_, MessageError>(read));
}

/// A session is refused, or it is the same after it was stored again.
fn session(document: &MongodbDocument) {
    let Some(found) = Mongodb::session(document, NOW) else { return };
    assert!(found.expires_in.is_none_or(|left| !left.is_zero()), "it has not expired");
    let Ok(session) = found.session else { return };
    let store = || Mongodb::store(&node(), &session, Duration::from_secs(7), NOW);
    let Ok(document) = store() else { return };
    let document = stored(document);
    let again = Mongodb::session(&document, NOW).expect("it is kept for seconds");
    assert_eq!(again.expires_in, Some(Duration::from_secs(7)));
    let again = again.session.expect("it was written before");
    assert_eq!(again.version, session.version);
    same_session(&session, again);
    let late = Mongodb::session(&document, NOW + 7_000);
    assert!(late.is_none(), "it has expired");
    let mongodb = Mongodb::new(MongodbOptions::default()).expect("the defaults");
    assert_eq!(mongodb.change(&document, 100), MongodbChange::Other);
}

/// What comes back from MongoDB. JavaScript never writes two fields with the same name, and of those
/// that others write, MongoDB keeps the last one: that is read as well, but need not be the same text.
fn stored(document: MongodbDocument) -> MongodbDocument {
    let mongodb = Mongodb::new(MongodbOptions::default()).expect("the defaults");
    let kept = last_of_each(document.clone());
    drop(Mongodb::session(&kept, NOW));
    let is_other = |document| matches!(mongodb.change(document, 100), MongodbChange::Other);
    assert_eq!(is_other(&kept), is_other(&document));
    document
}

fn last_of_each(document: MongodbDocument) -> MongodbDocument {
    let mut fields: Vec<(_, MongodbValue)> = Vec::new();
    for (name, value) in document.into_fields() {
        assert!(!name.contains('\0'), "BSON has no such names");
        let value = last_of_each_in(value);
        match fields.iter_mut().find(|(found, _)| *found == name) {
            Some((_, found)) => *found = value,
            None => fields.push((name, value)),
        }
    }
    fields.into_iter().collect()
}

fn last_of_each_in(value: MongodbValue) -> MongodbValue {
    match value {
        MongodbValue::Array(values) => {
            MongodbValue::Array(values.into_iter().map(last_of_each_in).collect())
        }
        MongodbValue::Document(document) => MongodbValue::Document(last_of_each(document)),
        value => value,
    }
}

/// Positions ascend, and so do their offsets.
fn positions(source: &mut Source<'_>) {
    let mut position = MongodbPosition::new(source.any(), source.any());
    for _ in 0..source.below(8) {
        let (seconds, increment) = match source.below(3) {
            0 => (position.seconds, position.increment),
            1 => (position.seconds, position.increment.saturating_add(1)),
            _ => (position.seconds.saturating_add(1), source.any()),
        };
        let next = position.next(seconds, increment);
        assert!(
            next > position || (seconds, increment) == (u32::MAX, u32::MAX) || seconds == u32::MAX
        );
        if next > position {
            assert!(next.offset().to_string() > position.offset().to_string());
        }
        position = next;
    }
}

/// The names that a document of a message or a session has, and others.
const NAMES: [&str; 24] = [
    "type",
    "data",
    "uid",
    "nsp",
    "packet",
    "opts",
    "rooms",
    "except",
    "flags",
    "sid",
    "pid",
    "requestId",
    "seq",
    "nonce",
    "published",
    "to",
    "after",
    "exact",
    "expiresAt",
    "version",
    "volatile",
    "id",
    "x",
    "packets",
];

fn document(source: &mut Source<'_>, depth: u8) -> MongodbDocument {
    let len = source.below(9);
    (0..len)
        .map(|_| {
            let name = match source.below(25) {
                24 => source.text().into(),
                index => NAMES[usize::from(index)].into(),
            };
            (name, value(source, depth))
        })
        .collect()
}

fn value(source: &mut Source<'_>, depth: u8) -> MongodbValue {
    const WORDS: [&str; 7] = ["node", "/", "room", "6774d5c00000000300000001", "-1", "event", ""];
    match source.below(if depth < 6 { 14 } else { 12 }) {
        0 => MongodbValue::Null,
        1 => MongodbValue::Bool(source.flag()),
        2 => MongodbValue::Int32(source.byte().into()),
        3 => MongodbValue::Int32(source.any()),
        4 => MongodbValue::Int64(source.any()),
        5 => MongodbValue::Double(source.any()),
        6 => MongodbValue::Text(source.text().into()),
        7 => MongodbValue::Text(source.pick(&WORDS).copied().unwrap_or_default().into()),
        8 => MongodbValue::Binary(Bytes::copy_from_slice(source.bytes())),
        9 => MongodbValue::DateTime(source.any()),
        10 => MongodbValue::ObjectId([source.byte(); 12]),
        11 => MongodbValue::DateTime(1_700_000_000_000 + i64::from(source.byte())),
        12 => {
            let len = source.below(5);
            MongodbValue::Array((0..len).map(|_| value(source, depth + 1)).collect())
        }
        _ => MongodbValue::Document(document(source, depth + 1)),
    }
}
