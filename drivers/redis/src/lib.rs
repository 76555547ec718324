#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod batch;
mod bounds;
mod connection;
mod engine;
mod error;
mod page;
mod plain;
mod position;
mod pubsub;
mod pushes;
mod reader;
mod reply;
mod resp;
mod subscriptions;
#[cfg(feature = "tls")]
mod tls;
mod writer;

pub use self::{
    engine::RedisEngine,
    error::RedisEngineError,
    pubsub::{RedisPubSubEngine, RedisShardedEngine},
};
pub use redis;
pub use socketio_proto::cluster::engines::{
    redis_pubsub::RedisPubSubOptions,
    redis_sharded::{RedisShardedOptions, SubscriptionMode},
    redis_streams::RedisStreamsOptions,
};
