//! What nodes of a cluster say to each other.

use bytes::Bytes;
use socketio_proto::cluster::{
    engines::{
        redis_pubsub::{PubSubReader, Received, RedisPubSub, RedisPubSubOptions},
        redis_streams::{RedisReply, RedisStreams, RedisStreamsOptions},
    },
    message::{Message, MessageError, NodeId, StoredSession},
};

use super::{
    meaning::{check, said, same_session},
    sharded::sharded,
    source::Source,
};

/// The codecs of Redis: an entry, a message of a channel, a session, or any reply.
pub fn cluster_codec(data: &[u8]) {
    let mut source = Source::new(data);
    match source.below(4) {
        0 => {
            let is_ours = source.flag();
            let kind = source.byte();
            entry(kind, is_ours, source.rest());
        }
        1 => {
            let payload = source.rest();
            channel(payload);
            classic(payload);
            sharded(payload);
        }
        2 => session(source.rest()),
        _ => replies(&mut source),
    }
}

fn redis() -> RedisStreams {
    RedisStreams::new(RedisStreamsOptions::new()).expect("the defaults")
}

fn bulk(bytes: &[u8]) -> RedisReply {
    RedisReply::Bulk(Bytes::copy_from_slice(bytes))
}

/// An entry is refused, or it means the same after it was appended again. Reading it twice gives the
/// same.
fn entry(kind: u8, is_ours: bool, data: &[u8]) {
    let kind = kind.to_string();
    let fields = ["uid", "a1", "nsp", "/", "type", &kind, "data"];
    let mut fields: Vec<_> = fields.map(|text| bulk(text.as_bytes())).into();
    fields.push(bulk(data));
    if is_ours {
        fields.extend(["seq", "7", "nonce", "9"].map(|text| bulk(text.as_bytes())));
    }
    let read = |fields: &[RedisReply]| {
        let entry = RedisReply::Array(vec![bulk(b"5-1"), RedisReply::Array(fields.into())]);
        let mut page = redis().page(&RedisReply::Array(vec![entry])).expect("a page");
        let entry = page.pop().expect("one entry");
        assert_eq!(entry.position.to_string(), "5-1");
        entry.message
    };
    let message = read(&fields);
    assert_eq!(message, read(&fields));
    let Ok(message) = message else { return };
    drop(said(&message));
    if let Ok(command) = redis().append(&message) {
        let fields: Vec<_> = command.to_args()[6..].iter().map(|arg| bulk(arg)).collect();
        check(&message, read(&fields));
    }
    if let Ok(payload) = message.to_msgpack() {
        check(&message, redis().message(&payload));
    }
}

fn channel(payload: &[u8]) {
    let payload = Bytes::copy_from_slice(payload);
    let message = redis().message(&payload);
    assert_eq!(message, Message::from_msgpack(&payload));
    let Ok(message) = message else { return };
    drop(said(&message));
    if let Ok(payload) = message.to_msgpack() {
        check(&message, redis().message(&payload));
    }
}

/// What the classic adapter publishes is read or refused, and has a place in any case. What was read means
/// the same after it was published again.
fn classic(payload: &[u8]) {
    let payload = Bytes::copy_from_slice(payload);
    let redis = RedisPubSub::new(RedisPubSubOptions::new()).expect("the defaults");
    let node = NodeId::new("a1").expect("a name");
    let mark = redis.mark(&node, 7);
    let [.., channel, first, second] = &mark.to_args()[..] else { panic!("a marker") };
    let marker = [first, &b"00000000000000000003"[..], second, b"00000000000000000005"].concat();
    let channel = core::str::from_utf8(channel).expect("a name");
    let mut reader = PubSubReader::new(redis.clone(), node, 7);
    reader.read_pattern(channel, &marker.into());
    for (channel, is_pattern) in [
        ("socket.io#/#", true),
        ("socket.io-request#/#", true),
        ("socket.io-response#/#a1#", false),
        ("socket.io-node#/#", false),
    ] {
        let mut read = |payload: &Bytes| {
            let before = reader.position();
            let received = if is_pattern {
                reader.read_pattern(channel, payload)
            } else {
                reader.read_channel(channel, payload)
            };
            let is_counted = reader.position() > before || received == Received::Gap;
            assert!(is_counted == is_pattern || before.is_none(), "{received:?}");
            match received {
                Received::Entry { message, .. } => message.ok(),
                Received::Message(message) => Some(message),
                _ => None,
            }
        };
        let Some(message) = read(&payload) else { continue };
        drop(said(&message));
        let Ok(command) = redis.publish(&message, None) else { continue };
        let [_, to, payload] = &command.to_args()[..] else { panic!("{command}") };
        if to == channel && message.body.answers().is_none() {
            check(&message, read(payload).ok_or(MessageError::Malformed));
        }
    }
}

/// A session is refused, or it is the same after it was stored again.
fn session(value: &[u8]) {
    let Ok(session) = StoredSession::from_base64(value) else { return };
    if let Ok(value) = session.to_base64() {
        let again = StoredSession::from_base64(value.as_bytes()).expect("it was read before");
        same_session(&session, again);
    }
}

/// No reply, of whatever shape, does any harm.
fn replies(source: &mut Source<'_>) {
    let reply = reply(source, 0);
    let redis = redis();
    drop(redis.entries(&reply));
    drop(redis.page(&reply));
    drop(redis.proven_page(&reply));
    drop(redis.fetched(&reply));
    drop(RedisStreams::appended(&reply));
    drop(RedisStreams::counted(&reply));
    if let Ok(info) = RedisStreams::stream_info(&reply) {
        assert!(info.complete_after() <= info.last || info.first.is_some());
    }
}

fn reply(source: &mut Source<'_>, depth: u8) -> RedisReply {
    const WORDS: [&str; 8] =
        ["1-1", "uid", "nsp", "type", "data", "length", "last-generated-id", "first-entry"];
    let len = usize::from(source.below(5));
    match source.below(if depth < 6 { 8 } else { 6 }) {
        0 => RedisReply::Nil,
        1 => RedisReply::Int(source.any()),
        2 => RedisReply::Error(source.text().into()),
        3 => RedisReply::Status(source.text().into()),
        4 => bulk(source.bytes()),
        5 => bulk(source.pick(&WORDS).copied().unwrap_or_default().as_bytes()),
        6 => RedisReply::Array((0..len).map(|_| reply(source, depth + 1)).collect()),
        _ => RedisReply::Map(
            (0..len).map(|_| (reply(source, depth + 1), reply(source, depth + 1))).collect(),
        ),
    }
}
