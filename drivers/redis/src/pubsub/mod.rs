//! The engines for PUB/SUB without a stream.

mod engine;
mod protocol;
mod sharded;
mod subscription;

pub use engine::RedisPubSubEngine;
pub use sharded::RedisShardedEngine;
