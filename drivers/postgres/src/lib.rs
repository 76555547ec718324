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
mod connection;
mod engine;
mod error;
mod housekeeping;
mod imports;
mod listener;
mod migration;
mod patience;
mod reader;
#[cfg(feature = "tls")]
mod tls;
mod value;
mod writer;

pub use self::{engine::PostgresEngine, error::PostgresEngineError};
pub use socketio_proto::cluster::engines::postgres::PostgresOptions;
pub use tokio_postgres;
