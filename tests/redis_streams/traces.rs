//! What official nodes have sent, as `MONITOR` of Redis has shown it: two nodes of
//! `@socket.io/redis-streams-adapter` 0.3.1, with `redis` 5.12.1 and the default options, and with
//! `ioredis` 5.11.1, three streams, sharded channels and other names.
//!
//! All of it is understood, and written again byte for byte.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_streams::{RedisCommand, RedisReply, RedisStreams, RedisStreamsOptions},
        message::{Message, NodeId, StoredSession},
    },
    recovery::Offset,
    socket::NamespaceName,
};

use crate::monitor::{commands, text};

const DEFAULT: &str = include_str!("traces/default.txt");
const SHARDED: &str = include_str!("traces/sharded.txt");

pub(crate) fn default() -> RedisStreams {
    RedisStreams::new(RedisStreamsOptions::new()).unwrap()
}

fn sharded() -> RedisStreams {
    let options = RedisStreamsOptions::new()
        .stream_count(3)
        .use_sharded_pub_sub(true)
        .channel_prefix("pre")
        .stream_name("st")
        .session_key_prefix("sk:");
    RedisStreams::new(options).unwrap()
}

pub(crate) fn entry(position: &str, fields: &[Bytes]) -> RedisReply {
    let bulk = |bytes: &Bytes| RedisReply::Bulk(bytes.clone());
    let id = RedisReply::Bulk(Bytes::copy_from_slice(position.as_bytes()));
    let fields = RedisReply::Array(fields.iter().map(bulk).collect());
    RedisReply::Array(vec![RedisReply::Array(vec![id, fields])])
}

fn written(command: &RedisCommand, name: &str, traced: &[Bytes]) {
    assert_eq!(command.to_args()[0], name.as_bytes());
    assert_eq!(command.to_args()[1..], *traced, "{command}");
}

#[test]
fn every_entry_is_written_as_it_was_read() {
    for (redis, trace) in [(default(), DEFAULT), (sharded(), SHARDED)] {
        for traced in commands(trace, "XADD") {
            let page = redis.page(&entry("1795788714062-3", &traced[5..])).unwrap();
            let [read] = &page[..] else { panic!("one entry") };
            assert_eq!(read.position, Offset::pair(1_795_788_714_062, 3));
            let message = read.message.clone().unwrap();
            written(&redis.append(&message).unwrap(), "XADD", &traced);
        }
    }
}

#[test]
fn every_message_is_written_as_it_was_read() {
    for (redis, trace, name) in [(default(), DEFAULT, "PUBLISH"), (sharded(), SHARDED, "SPUBLISH")]
    {
        for traced in commands(trace, name) {
            let message = redis.message(&traced[1]).unwrap();
            let channel = text(&traced[0]);
            let node = channel.split('#').nth(2).and_then(NodeId::new);
            written(&redis.publish(&message, node.as_ref()).unwrap(), name, &traced);
        }
    }
}

#[test]
fn messages_say_what_the_program_did() {
    let redis = default();
    let entries = commands(DEFAULT, "XADD").into_iter().map(|traced| {
        let mut page = redis.page(&entry("1-1", &traced[5..])).unwrap();
        page.remove(0).message.unwrap()
    });
    let messages = commands(DEFAULT, "PUBLISH").into_iter();
    let messages = messages.map(|traced| redis.message(&traced[1]).unwrap());
    let said: Vec<String> = entries.chain(messages).map(|message| said(&message)).collect();
    let expected = include_str!("traces/said.txt");
    assert_eq!(said.join("\n") + "\n", expected);
}

fn said(message: &Message) -> String {
    use socketio_proto::cluster::message::Body;
    let node = &message.sender.as_str()[..4];
    let kind = message.body.kind();
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
        Body::FetchSocketsResponse { sockets, .. } => {
            let [socket] = &sockets[..] else { panic!("one socket") };
            let time = &socket.handshake.json()[socket.handshake.json().find("time").unwrap()..];
            format!("{} {:?} {} {time}", socket.id, socket.rooms, socket.data.json())
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
    format!("{node} {kind} {details}").trim_end().into()
}

#[test]
fn sessions_are_stored_and_taken_as_they_were() {
    for (redis, trace) in [(default(), DEFAULT), (sharded(), SHARDED)] {
        for traced in commands(trace, "SET") {
            let session = StoredSession::from_base64(&traced[1]).unwrap();
            let stored = redis.store(&session, Duration::from_secs(120), None).unwrap();
            written(&stored, "SET", &traced);

            let [multi, get, ttl, exec] = &redis.fetch(&session.pid)[..] else {
                panic!("a transaction")
            };
            written(multi, "MULTI", &commands(trace, "MULTI")[0]);
            written(get, "GET", &commands(trace, "GET")[0]);
            assert_eq!(
                (ttl.to_args()[0].as_ref(), &ttl.to_args()[1]),
                (&b"PTTL"[..], &get.to_args()[1])
            );
            written(exec, "EXEC", &commands(trace, "EXEC")[0]);
            let take = redis.take(&session.pid, None);
            let taken = &commands(trace, "DEL")[0][0];
            assert_eq!(
                (&take.to_args()[0][..], &take.to_args()[3][..]),
                (&b"EVAL"[..], &taken[..])
            );
        }
    }
}

#[test]
fn readers_and_subscribers_send_the_same_commands() {
    let root = NamespaceName::ROOT;
    let traced = commands(DEFAULT, "XREAD").into_iter().find(|args| args[6] != "$").unwrap();
    let after = text(&traced[6]).parse().unwrap();
    let redis = default();
    written(&redis.read(&redis.stream_of(&root), after), "XREAD", &traced);

    let traced = &commands(DEFAULT, "XRANGE")[0];
    let after = text(&traced[1]).parse().unwrap();
    let proof = &redis.proven_range("socket.io", after, Offset::pair(u64::MAX, u64::MAX))[1];
    written(proof, "XRANGE", traced);

    let node = NodeId::new("f0aebfa2cd17e8df").unwrap();
    let [subscribe] = &redis.subscribe(&root, &node)[..] else { panic!("one command") };
    written(subscribe, "SUBSCRIBE", &commands(DEFAULT, "SUBSCRIBE")[0]);
    written(&redis.server_count(&root), "PUBSUB", &commands(DEFAULT, "PUBSUB")[0]);

    let redis = sharded();
    let node = NodeId::new("3f2b25ad9ebecb3c").unwrap();
    let traced = commands(SHARDED, "SSUBSCRIBE");
    let all = redis.subscribe(&root, &node);
    assert_eq!(all.len(), 2);
    for (command, traced) in all.iter().zip(&traced) {
        written(command, "SSUBSCRIBE", traced);
    }
    written(&redis.server_count(&root), "PUBSUB", &commands(SHARDED, "PUBSUB")[0]);
}

/// The fields of all entries.
pub(crate) fn traced_entries() -> Vec<Vec<Bytes>> {
    commands(DEFAULT, "XADD").into_iter().map(|traced| traced[5..].to_vec()).collect()
}

/// The payloads of all channels.
pub(crate) fn traced_messages() -> Vec<Bytes> {
    commands(DEFAULT, "PUBLISH").into_iter().map(|traced| traced[1].clone()).collect()
}
