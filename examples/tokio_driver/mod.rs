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
//! does not take frames is paused, and everything else flows. A peer that fails ends its own task
//! and is reported as a lost wire. What a peer can make the driver hold is bounded by the size of a
//! request's head, by `max_payload` and by what was to be written to it when it stopped reading.
//!
//! The actor takes in what has arrived, carries out what that causes, and writes by itself: however
//! many frames there are for a WebSocket, one call writes them, and no task is woken for them.

mod actor;
mod clock;
mod endpoint;
mod exchange;
mod hosted;
mod http;
mod listen;
mod machine;
mod patience;
mod peer;
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
    patience::Patience,
    signal::{Shutdown, shutdown_on_signal},
    site::{Route, Site, plain},
};

/// Fills `dest` from the operating system's random source, as session ids ask for.
///
/// # Panics
///
/// If there is none: nothing that is guessable can take its place.
#[expect(clippy::expect_used, reason = "nothing guessable can take its place")]
pub fn entropy(dest: &mut [u8]) {
    getrandom::fill(dest).expect("the operating system's random source");
}
