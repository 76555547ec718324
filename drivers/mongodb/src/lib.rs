#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod clock;
mod document;
mod engine;
mod error;
mod reader;
mod sessions;
mod setup;
mod writer;

pub use self::{engine::MongodbEngine, error::MongodbEngineError};
pub use mongodb;
pub use socketio_proto::cluster::engines::mongodb::MongodbOptions;
