//! The client in virtual time, against the server of this crate or a scripted one.

mod acks;
mod buffers;
mod client_support;
mod connection;
mod engine;
mod exactly_once;
mod outdated;
mod pauses;
mod poison;
mod random;
mod reconnect;
mod recovery;
mod refusals;
mod repeated_connect;
mod retry;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;
mod timers;
mod withdraw;
