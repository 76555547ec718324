//! What comes from the channels of the sharded Redis adapter.

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_sharded::{Received, RedisSharded, RedisShardedOptions, ShardedReader},
        message::{Message, MessageError, NodeId},
    },
    recovery::Offset,
    socket::NamespaceName,
};

use super::meaning::{check, said};

const LOG: &str = "socket.io#socketio-proto#";
const MAIN: &str = "socket.io#/#";

fn reader() -> ShardedReader {
    let redis = RedisSharded::new(RedisShardedOptions::new()).expect("the defaults");
    let mut reader = ShardedReader::new(redis, NodeId::new("a1").expect("a name"), 7);
    reader.read(LOG, &Bytes::from(format!("{:020}M{:020}{:020}", 5, 3, 7)));
    for command in reader.subscribe(&NamespaceName::ROOT, 9) {
        if let [_, _, _, _, _, _, marker, ..] = &command.to_args()[..] {
            reader.read(MAIN, marker);
        }
    }
    reader.subscribed(&NamespaceName::ROOT);
    let ready: Vec<Received> = std::iter::from_fn(|| reader.poll()).collect();
    assert!(matches!(ready[..], [Received::Marker { .. }, Received::Subscribed(_)]), "{ready:?}");
    reader
}

/// What is published is read, refused, or asked to be written into the log, where it is read. What was read
/// means the same after it was published again.
pub(super) fn sharded(payload: &[u8]) {
    let redis = RedisSharded::new(RedisShardedOptions::new()).expect("the defaults");
    let payload = Bytes::copy_from_slice(payload);
    for channel in [MAIN, "socket.io#socketio-proto#/#", "socket.io#/#a1#", "another"] {
        let mut reader = reader();
        reader.read(channel, &payload);
        let received = reader.poll();
        assert_eq!(reader.poll(), None, "one thing at a time");
        match received {
            Some(Received::Message(message)) => {
                drop(said(&message));
                let Ok(command) = redis.publish(&message, None) else { continue };
                let again = command.args().last().expect("a payload");
                let mut reader = self::reader();
                reader.read(LOG, &line(b'E', again));
                check(&message, entry(&mut reader));
            }
            Some(Received::Adopt(command)) => {
                assert_eq!(channel, MAIN);
                let line = command.args().last().expect("a line");
                reader.read(LOG, &[&b"00000000000000000006"[..], line].concat().into());
                if let Ok(message) = entry(&mut reader) {
                    drop(said(&message));
                }
                assert_eq!(reader.poll(), None, "nothing waits any longer");
            }
            None => {}
            other => panic!("{other:?}"),
        }
    }
    for kind in *b"EFSM" {
        let mut reader = reader();
        reader.read(LOG, &line(kind, &payload));
        while let Some(received) = reader.poll() {
            if let Received::Entry { message: Ok(message), .. } = received {
                drop(said(&message));
            }
        }
    }
    let mut reader = reader();
    reader.read(LOG, &payload);
    let is_next = reader.position() > Some(Offset::pair(5, 0));
    assert!(is_next || reader.position().is_none() || reader.poll().is_none());
}

fn line(kind: u8, rest: &[u8]) -> Bytes {
    [&b"00000000000000000006"[..], &[kind], rest].concat().into()
}

fn entry(reader: &mut ShardedReader) -> Result<Message, MessageError> {
    match reader.poll() {
        Some(Received::Entry { position, message }) => {
            assert_eq!(position, Offset::pair(6, 0));
            message
        }
        other => panic!("{other:?}"),
    }
}
