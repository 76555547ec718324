//! Entries of a stream, as an official node writes them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use socketio_proto::cluster::{
    engines::redis_streams::{RedisReply, RedisStreams, RedisStreamsOptions},
    message::{Body, ClusterBroadcast},
};

/// Reads an entry up to what it says of its addressees.
pub struct Reader {
    redis: RedisStreams,
    page: RedisReply,
}

impl Reader {
    fn new(data: &str) -> Self {
        let redis = RedisStreams::new(RedisStreamsOptions::new()).expect("the defaults");
        let bulk = |text: &str| RedisReply::Bulk(Bytes::copy_from_slice(text.as_bytes()));
        let fields = ["uid", "c81a1630046574db", "nsp", "/", "type", "3", "data", data].map(bulk);
        let entry = vec![bulk("1795788713383-0"), RedisReply::Array(fields.into())];
        Self { redis, page: RedisReply::Array(vec![RedisReply::Array(entry)]) }
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

    pub fn read(&self) -> ClusterBroadcast {
        let mut entries = self.redis.page(&self.page).expect("a page");
        match entries.pop().expect("an entry").message.expect("a message").body {
            Body::Broadcast(broadcast) => broadcast,
            other => unreachable!("{other:?}"),
        }
    }
}
