//! Official clients, and a client by others, against the examples of this crate.

mod browser;
mod chat_cluster;
#[cfg(unix)]
mod chat_restart;
mod cluster;
mod example;
mod follower;
mod javascript;
mod node;
mod npm;
mod output;
#[path = "../fixtures/ports.rs"]
mod ports;
#[cfg(unix)]
mod processes;
mod python;
mod python_client;
mod skip;
mod turn;
