//! Socket.IO servers on tokio: sockets, HTTP, WebSocket frames, the clock and randomness around the
//! sans-IO [`Server`](socketio_proto::server::Server).
//!
//! ```no_run
//! use std::convert::Infallible;
//!
//! use socketio_proto::server::{Server, ServerEvent};
//! use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
//! use socketio_proto_tokio::{App, Context, entropy, run};
//!
//! struct Echo;
//!
//! impl App for Echo {
//!     type Data = ();
//!     type Message = Infallible;
//!
//!     fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
//!         match event {
//!             ServerEvent::ConnectRequested { request, .. } => {
//!                 cx.server.at(cx.now).accept(request);
//!             }
//!             ServerEvent::Received { event, ack: Some(token), .. } => {
//!                 cx.server.at(cx.now).ack(token, &event.args());
//!             }
//!             _ => {}
//!         }
//!     }
//!
//!     fn handle_message(&mut self, _: &mut Context<'_, ()>, message: Infallible) {
//!         match message {}
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ServerConfig::new().recovery(RecoveryConfig::new());
//! let mut server = Server::new(config, entropy)?;
//! server.at(Timestamp::ZERO).add_namespace("/")?;
//! run(3000, server, Echo).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
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
//! One task, the actor, owns a [`Machine`] and never waits for a peer: a WebSocket that
//! does not take frames is paused, and everything else continues. A peer that fails ends its own
//! task and is reported as a lost wire. What a peer can make the driver hold is bounded by the size
//! of a request head, by `max_payload`, and by what had to be written to it when it stopped
//! reading.
//!
//! The actor handles what has arrived, carries out the outputs, and writes itself. One system call
//! writes all frames for a WebSocket, and no task has to be woken for them.

#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

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
mod run;
mod signal;
mod site;
mod websocket;

pub use self::{
    actor::spawn,
    endpoint::Endpoint,
    hosted::{App, Context, Hosted},
    http::Body,
    listen::{Listeners, serve},
    machine::{Machine, Outgoing},
    peer_limits::PeerLimits,
    run::run,
    signal::{Shutdown, shutdown_on_signal},
    site::{Fallback, Route, Site, plain},
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
