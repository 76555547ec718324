#![no_std]
#![doc = include_str!("../README.md")]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod engine;
pub mod socket;

mod config;
mod entropy;
mod id;
mod time;

pub use bytestring::ByteString;
pub use config::{ConfigError, Limits, RecoveryConfig, ReplayOrder, ServerConfig, Transports};
pub use entropy::Entropy;
pub use id::{AckId, Address, EngineId, RecoveryKey, SocketId, SocketKey, WireId};
pub use time::Timestamp;
