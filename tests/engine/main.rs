//! One Engine.IO session of the server: requests, frames and timers in, answers out.

extern crate alloc;

mod closing;
mod cross_origin;
mod handshake;
mod heartbeat;
mod limits;
mod packets;
mod polling;
mod random;
mod support;
mod upgrade;
mod websocket;
mod websocket_handshake;
