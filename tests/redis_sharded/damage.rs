//! What is damaged is skipped.

use bytes::Bytes;
use socketio_proto::{
    ConfigError,
    cluster::{
        engines::redis_sharded::{Received, RedisSharded, RedisShardedOptions, ShardedReader},
        message::{Body, MessageError, NodeId, RequestId},
    },
};

use crate::redis::{Redis, chat, event, sharded};

const MAIN: &[u8] = b"socket.io#/chat#";
const LOG: &[u8] = b"socket.io#socketio-proto#";

#[test]
fn what_nobody_can_read_has_a_place_and_stops_nothing() {
    let mut redis = Redis::default();
    let (a, b) = (redis.join("a"), redis.join("b"));
    redis.subscribe(a, 1);
    redis.subscribe(b, 2);
    let whole = sharded().append(&event("official", 1, true)).unwrap().to_args()[6].clone();
    for len in 0..whole.len() {
        redis.publish(&Bytes::from_static(MAIN), &whole.slice(..len));
    }
    redis.official(&event("official", 2, true));
    redis.settle();
    let shown = redis.nodes[a].shown();
    assert_eq!(shown.len(), whole.len() + 2);
    assert!(shown[1..=whole.len()].iter().all(|(_, text)| text == "unreadable"));
    assert_eq!(redis.nodes[b].shown(), shown);
}

#[test]
fn a_damaged_log_is_skipped_or_a_gap() {
    let mut redis = Redis::default();
    let a = redis.join("a");
    redis.settle();
    let log = Bytes::from_static(LOG);
    // Without a number it is not of the log.
    for garbage in ["", "x", "0000000000000000100", "-0000000000000001001E{}", "+000"] {
        redis.publish(&log, &Bytes::from_static(garbage.as_bytes()));
    }
    let lines = [
        "00000000000000001001E{",
        "00000000000000001002F",
        "00000000000000001003F0000000000000000000100000000000000000001",
        "00000000000000001004F000000000000000000010000000000000000000118446744073709551615x",
        "00000000000000001005X",
        "00000000000000001006M",
        "00000000000000001007S\u{1}",
        "00000000000000001008Schat",
    ];
    for line in lines {
        redis.publish(&log, &Bytes::from_static(line.as_bytes()));
    }
    redis.settle();
    assert_eq!((redis.nodes[a].entries.len(), redis.nodes[a].gaps), (lines.len(), 0));
    assert!(redis.nodes[a].entries.iter().all(|(_, message)| message.is_none()));
    redis.publish(&log, &Bytes::from_static(b"18446744073709551615E{"));
    redis.settle();
    assert_eq!(redis.nodes[a].gaps, 1);
}

#[test]
fn forged_marks_change_nothing_that_is_told() {
    let mut redis = Redis::default();
    let a = redis.join("a");
    redis.subscribe(a, 1);
    let forged = [
        r#"{"seq":"#,
        r#"{"seq":,"type":65,}"#,
        r#"{"seq":7,"type":65,"#,
        r#"{"seq":7,"type":3}"#,
        r#"{"seq":99999999999999999999,"type":65,"uid":"x","nsp":"/chat"}"#,
    ];
    for payload in forged {
        redis.publish(&Bytes::from_static(MAIN), &Bytes::from_static(payload.as_bytes()));
    }
    redis.publish(&Bytes::from_static(MAIN), &Bytes::from_static(b"\x81\xa3seq"));
    redis.official(&event("official", 2, true));
    redis.settle();
    assert_eq!(redis.nodes[a].shown().len(), 2, "the first is that nobody was there");
}

#[test]
fn large_messages_are_neither_read_nor_written() {
    let options = RedisShardedOptions::new().max_message_bytes(120_usize);
    let small = RedisSharded::new(options).unwrap();
    let message = event("official", 1, true);
    let too_large = MessageError::TooLarge { limit: 120 };
    assert_eq!(small.append(&message).unwrap_err(), too_large);
    assert_eq!(small.publish(&message, None).unwrap_err(), too_large);

    let mut reader = ShardedReader::new(small, NodeId::new("a").unwrap(), 3);
    reader.read("socket.io#socketio-proto#", &Bytes::from(format!("{:020}M{:020}{:020}", 9, 0, 3)));
    for command in reader.subscribe(&chat(), 4) {
        if command.to_args()[0] == b"EVAL"[..] {
            reader.read("socket.io#/chat#", &command.to_args()[6]);
        }
    }
    reader.read("socket.io#/chat#", &sharded().append(&message).unwrap().to_args()[6]);
    let received: Vec<Received> = std::iter::from_fn(|| reader.poll()).collect();
    let [.., Received::Adopt(command)] = &received[..] else { panic!("{received:?}") };
    assert!(command.to_args()[8].len() < 120, "it has a place without its contents: {command}");
}

#[test]
fn requests_are_not_for_the_log_and_options_are_checked() {
    let request = RequestId::new("r").unwrap();
    let mut message = event("a", 1, false);
    message.body = Body::FetchSocketsResponse { request, sockets: vec![] };
    assert_eq!(sharded().append(&message).unwrap_err(), MessageError::NotForLog { kind: 8 });
    let refused =
        |options| matches!(RedisSharded::new(options), Err(ConfigError::OutOfRange { .. }));
    assert!(refused(RedisShardedOptions::new().channel_prefix("")));
    assert!(refused(RedisShardedOptions::new().max_message_bytes(0_usize)));
}
