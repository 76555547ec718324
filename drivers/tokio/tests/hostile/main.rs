//! Hostile HTTP and WebSocket peers, on real sockets.
//!
//! Each attack runs beside two clients that must not notice it: see [`site`]. Attacks that the state
//! machine can see are in `tests/hostile` of the core.

mod bodies;
mod bystander;
mod endings;
mod fragments;
mod frames;
mod heads;
#[path = "../driver/tls.rs"]
mod listener;
mod pipelining;
mod raw;
mod site;
mod tls;
mod unread;
mod upgrades;
