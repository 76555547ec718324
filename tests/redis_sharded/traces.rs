//! What official nodes have sent, as `MONITOR` of Redis has shown it: two nodes with
//! `createShardedAdapter` of `@socket.io/redis-adapter` 8.3.0, with the default options.
//!
//! All of it is understood, and written again byte for byte.

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_sharded::{
            Received, RedisSharded, RedisShardedOptions, ShardedReader, SubscriptionMode,
        },
        message::{Body, Message, NodeId},
    },
    socket::NamespaceName,
};

use crate::{
    monitor::{commands, text},
    redis::sharded,
};

const DYNAMIC: &str = include_str!("traces/dynamic.txt");
/// The nodes of the trace.
const A: &str = "f130c3637d210f07";
const B: &str = "eb9597b419ee2a9d";

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// What is published in a channel, as a node reads it. What is for the log comes with its place there.
fn read(traced: &[Bytes]) -> Message {
    let mut reader = ShardedReader::new(sharded(), node(A), 1);
    let log = "socket.io#socketio-proto#";
    let line = |rest: &[u8]| Bytes::from([b"00000000000000000011", rest].concat());
    reader.read(log, &Bytes::from(format!("{:020}M{:020}{:020}", 10, 0, 1)));
    reader.read(log, &line(&[b"E", &traced[1][..]].concat()));
    reader.poll();
    match reader.poll() {
        Some(Received::Entry { message, .. }) => message.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_written_as_it_was_read() {
    let mut written = 0;
    for traced in commands(DYNAMIC, "SPUBLISH") {
        let message = read(&traced);
        // A time is a text here.
        if traced[1].windows(2).any(|bytes| bytes == b"\xd6\xff") {
            continue;
        }
        written += 1;
        let (channel, payload) = if let Ok(append) = sharded().append(&message) {
            (append.to_args()[5].clone(), append.to_args()[6].clone())
        } else {
            let to = message.body.answers().map(|_| node(B));
            let publish = sharded().publish(&message, to.as_ref()).unwrap();
            assert_eq!(publish.to_args()[0], b"SPUBLISH"[..]);
            (publish.to_args()[1].clone(), publish.to_args()[2].clone())
        };
        assert_eq!((text(&channel), &payload), (text(&traced[0]), &traced[1]));
    }
    assert_eq!(written, 18);
}

#[test]
fn nodes_subscribe_to_what_official_nodes_subscribe_to() {
    let traced: Vec<_> =
        commands(DYNAMIC, "ssubscribe").into_iter().map(|args| args[0].clone()).collect();
    let mut reader = ShardedReader::new(sharded(), node(A), 1);
    let ours = reader.subscribe(&NamespaceName::ROOT, 2);
    let ours: Vec<_> = ours.iter().map(|command| command.to_args()[1].clone()).collect();
    for official in &traced[..2] {
        assert!(ours.contains(official), "{official:?}");
    }
    assert_eq!(ours.len(), 4);
    let count = commands(DYNAMIC, "PUBSUB").remove(0);
    assert_eq!(sharded().server_count(&NamespaceName::ROOT).to_args()[1..], count);
}

#[test]
fn modes_say_which_rooms_have_channels() {
    let room = |mode, name: &str| {
        let redis = RedisSharded::new(RedisShardedOptions::new().subscription_mode(mode)).unwrap();
        let traced = commands(DYNAMIC, "SPUBLISH");
        let to_room = traced.iter().find(|traced| text(&traced[0]) == "socket.io#/#r1#").unwrap();
        let mut message = read(to_room);
        let Body::Broadcast(broadcast) = &mut message.body else { panic!() };
        broadcast.options = socketio_proto::cluster::message::BroadcastOptions::all().to(name);
        broadcast.options.flags.volatile = None;
        text(&redis.append(&message).unwrap().to_args()[5]).to_owned()
    };
    let id = "Su27VXArsQz2bfMxAAAA";
    assert_eq!(room(SubscriptionMode::Static, "r1"), "socket.io#/#");
    assert_eq!(room(SubscriptionMode::Dynamic, "r1"), "socket.io#/#r1#");
    assert_eq!(room(SubscriptionMode::Dynamic, id), "socket.io#/#");
    assert_eq!(
        room(SubscriptionMode::Dynamic, &"😀".repeat(10)),
        "socket.io#/#",
        "as in JavaScript"
    );
    assert_eq!(room(SubscriptionMode::DynamicPrivate, id), format!("socket.io#/#{id}#"));
}
