#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod check;
mod clock;
mod config;
#[cfg(test)]
mod costs;
mod database;
mod engine;
mod error;
mod event;
mod file;
mod housekeeping;
mod outage;
mod paths;
mod peers;
mod tail;
#[cfg(test)]
mod tests;
mod transaction;
mod wake;
mod worker;

pub use self::{
    config::{SqliteConfig, Survives},
    engine::SqliteEngine,
    error::SqliteError,
    event::{SetAsideReason, SqliteEvent},
};
