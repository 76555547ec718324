//! Drives the sans-IO server with tokio: sockets, HTTP, WebSocket frames, the clock and randomness.
//!
//! ```text
//!   TCP ── hyper ──┬─ one task per HTTP connection ──┐  Command (bounded)   ┌───────────────┐
//!                  │                                 ├────────────────────► │     actor     │
//!   tungstenite ───┴─ one task per WebSocket, reads ─┘ ◄──────────────────  │  one machine, │
//!                                                    answers (oneshot)      │   one timer   │
//!   TCP ◄──────────────────────────────────────────── frames, written ────  │               │
//!   the application's own tasks ────────────────────── Message (bounded) ─► └───────────────┘
//! ```
//!
//! One task, the [actor](actor), owns a [`Machine`] and never waits for a peer: a WebSocket that
//! does not take frames is paused, and everything else continues. A peer that fails ends its own
//! task and is reported as a lost wire. What a peer can make the driver hold is bounded by the size
//! of a request head, by `max_payload`, and by what had to be written to it when it stopped
//! reading.
//!
//! The actor handles what has arrived, carries out the outputs, and writes itself. One system call
//! writes all frames for a WebSocket, and no task has to be woken for them.

mod actor;
mod clock;
mod endpoint;
mod exchange;
mod hosted;
mod http;
mod listen;
mod machine;
mod peer;
mod peer_limits;
mod signal;
mod site;
mod websocket;
#[path = "../websocket/mod.rs"]
mod wire_format;

pub use self::{
    actor::spawn,
    endpoint::Endpoint,
    hosted::{App, Context, Hosted},
    listen::{Listeners, serve},
    machine::{Machine, Outgoing},
    peer_limits::PeerLimits,
    signal::{Shutdown, shutdown_on_signal},
    site::{Route, Site, plain},
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
