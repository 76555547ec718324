#![no_std]
#![forbid(unsafe_code)]
// Rules for the library alone: tests and examples have a standard library and may panic.
#![deny(
    unreachable_pub,
    clippy::alloc_instead_of_core,
    clippy::exhaustive_enums,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]
#![doc = include_str!("../README.md")]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[doc = include_str!("docs/guide.md")]
pub mod guide {}
#[doc = include_str!("docs/cluster.md")]
pub mod cluster_guide {}
#[doc = include_str!("docs/engine.md")]
pub mod engine_guide {}
#[doc = include_str!("docs/migration.md")]
pub mod migration {}
#[doc = include_str!("docs/protocol.md")]
pub mod protocol {}
#[doc = include_str!("../SECURITY.md")]
pub mod security {}

pub mod client;
pub mod cluster;
pub mod engine;
pub mod hub;
pub mod link;
pub mod pool;
pub mod recovery;
pub mod server;
pub mod socket;

mod bucket;
mod config;
mod engine_id_map;
mod entropy;
mod grace;
mod id;
mod number;
mod redacted;
mod secret_index;
mod shrink;
mod stats;
mod time;
mod timers;
mod transport;

pub use bytestring::ByteString;
pub use config::{
    ConfigError, Limits, Origins, RecoveryConfig, ReplayOrder, ServerConfig, Subprotocols,
    Transports,
};
pub use engine_id_map::EngineIdMap;
pub use entropy::Entropy;
pub use id::{AckId, ConnectionId, EngineId, RecoveryKey, SocketId, SocketKey, WireId};
pub use time::Timestamp;
