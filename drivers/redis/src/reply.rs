//! Replies, from the types of the `redis` crate.

use redis::Value;
use socketio_proto::{ByteString, cluster::engines::redis_streams::RedisReply};

/// Translates a reply. The depth is bounded by the parser. Types that answer no command of ours become
/// nothing.
pub(crate) fn reply(value: Value) -> RedisReply {
    match value {
        Value::Int(number) => RedisReply::Int(number),
        Value::Boolean(is_true) => RedisReply::Int(is_true.into()),
        Value::BulkString(bytes) => RedisReply::Bulk(bytes.into()),
        Value::VerbatimString { text, .. } => RedisReply::Bulk(text.into()),
        Value::SimpleString(text) => RedisReply::Status(text.into()),
        Value::Okay => RedisReply::Status(ByteString::from_static("OK")),
        Value::Array(list) | Value::Set(list) | Value::Push { data: list, .. } => {
            RedisReply::Array(list.into_iter().map(reply).collect())
        }
        Value::Map(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| (reply(key), reply(value)));
            RedisReply::Map(pairs.collect())
        }
        Value::Attribute { data, .. } => reply(*data),
        Value::ServerError(error) => {
            let text = match error.details() {
                Some(details) => format!("{} {details}", error.code()),
                None => error.code().to_owned(),
            };
            RedisReply::Error(text.into())
        }
        _ => RedisReply::Nil,
    }
}
