//! The engine for PUB/SUB without a stream.

mod engine;
mod subscription;

pub use engine::RedisPubSubEngine;
