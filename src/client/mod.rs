//! The client.

mod config;

pub use self::config::{ClientConfig, ClientLimits};
