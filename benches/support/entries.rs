//! Entries of a stream, as an official node writes them.

use std::{fmt::Write as _, ops::Range};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use socketio_proto::cluster::{
    engines::redis_streams::{RedisStreams, RedisStreamsOptions},
    message::{Body, ClusterBroadcast, MessageNames},
};

/// Reads an entry up to what it says of its addressees, as the driver does.
pub struct Reader {
    redis: RedisStreams,
    entry: Bytes,
    id: Range<usize>,
    fields: [(Range<usize>, Range<usize>); 4],
    names: MessageNames,
}

impl Reader {
    fn new(data: &str) -> Self {
        let redis = RedisStreams::new(RedisStreamsOptions::new()).expect("the defaults");
        let mut entry = String::new();
        let mut part = |text: &str| {
            let start = entry.len();
            entry.push_str(text);
            start..entry.len()
        };
        let id = part("1795788713383-0");
        let fields = [("uid", "c81a1630046574db"), ("nsp", "/"), ("type", "3"), ("data", data)];
        let fields = fields.map(|(name, value)| (part(name), part(value)));
        Self { redis, entry: entry.into(), id, fields, names: MessageNames::default() }
    }

    /// An event with so many bytes of arguments.
    pub fn plain(bytes: usize) -> Self {
        let mut args = String::new();
        while args.len() < bytes {
            write!(args, ",{{\"id\":123,\"room\":\"lobby\"}}").expect("to memory");
        }
        Self::new(&format!(
            r#"{{"packet":{{"type":2,"data":["chat message"{args}]}},"opts":{{"rooms":["elsewhere"],"except":[],"flags":{{}}}}}}"#
        ))
    }

    /// An event with so many bytes as an attachment.
    pub fn binary(bytes: u8) -> Self {
        let packet = b"\x82\xa6packet\x82\xa4type\x02\xa4data\x92\xa4file\xc4";
        let opts = b"\xa4opts\x83\xa5rooms\x91\xa9elsewhere\xa6except\x90\xa5flags\x80";
        let data = [&packet[..], &[bytes], &vec![7; bytes.into()], opts].concat();
        Self::new(&STANDARD.encode(data))
    }

    pub fn read(&mut self) -> ClusterBroadcast {
        let Self { redis, entry, id, fields, names } = self;
        let read = redis.entry(entry, id.clone(), fields.iter().cloned(), names);
        match read.expect("an entry").message.expect("a message").body {
            Body::Broadcast(broadcast) => broadcast,
            other => unreachable!("{other:?}"),
        }
    }
}
