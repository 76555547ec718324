//! The drivers of the example servers.

#![allow(dead_code, unused_imports, reason = "shared with the examples")]

#[path = "../../../examples/tokio_driver/mod.rs"]
mod tokio_driver;

pub(crate) use tokio_driver::{
    App, Context, Hosted, Listeners, PeerLimits, Route, Site, entropy, plain, serve, spawn,
};
