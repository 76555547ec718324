#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod acks;
mod actor;
mod app;
mod body;
mod calls;
mod clock;
pub mod cluster;
mod ending;
mod endpoint;
mod error;
mod exchange;
mod handle;
mod http;
mod listen;
mod lock;
mod machine;
mod mount;
mod peer;
mod peer_limits;
mod peers;
pub mod router;
mod run;
mod serve;
mod service;
mod signal;
mod stats;
mod stream;
mod to;
mod to_socket;
#[cfg(feature = "tracing")]
mod trace;
mod websocket;

pub use self::{
    acks::{BroadcastAnswers, FetchedSockets, ServerAnswers},
    actor::spawn,
    app::{App, Context},
    body::{Aborted, Body},
    calls::{Calls, WeakCalls},
    error::HandleError,
    handle::{Handle, WeakHandle, start, start_clustered},
    listen::{Listener, Listeners},
    machine::{Machine, Outgoing},
    mount::{Mount, MountLayer, NotFound},
    peer_limits::PeerLimits,
    peers::{PeerStats, Peers},
    run::{run, run_clustered},
    serve::serve,
    service::{ResponseFuture, SocketIoService},
    signal::shutdown_signal,
    stats::DriverStats,
    to::To,
    to_socket::ToSocket,
};

/// Fills `dest` from the random source of the operating system. Session ids need that.
///
/// # Panics
///
/// If that source fails: nothing guessable may take its place.
#[expect(clippy::expect_used, reason = "nothing guessable can take its place")]
pub fn entropy(dest: &mut [u8]) {
    getrandom::fill(dest).expect("the operating system's random source");
}
