//! What the benchmarks ask of every server. All events are acknowledged.
//!
//! | event | what it does |
//! | --- | --- |
//! | `join` (room) | the client joins a room |
//! | `echo` (value) | the acknowledgement carries the value |
//! | `bcast` (room, n, payload) | `msg` (payload) is emitted to the room, n times |
//! | `count` () | the acknowledgement carries the number of connected sockets |
//! | `gc` () | garbage is collected, where there is any |

use std::{error::Error, time::Duration};

use serde_json::value::RawValue;
use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    hub::Audience,
    server::{self, Event},
    socket::{self, Args},
};

use crate::tokio_driver::entropy;

/// The server; its sockets have no data.
pub type Server = server::Server<()>;

/// Largest body of a POST and largest WebSocket message, in bytes.
pub const MAX_PAYLOAD: usize = 1_000_000;

/// The configuration: recovery is on, as in the other servers that can recover. One connection may
/// ask for as much as it likes: that is what is measured.
pub fn config() -> ServerConfig {
    let mut limits = Limits::default();
    limits.packet_burst = u32::MAX;
    limits.packets_per_second = u32::MAX;
    let mut recovery = RecoveryConfig::default();
    recovery.max_disconnection = Duration::from_secs(120);
    ServerConfig::new().max_payload(MAX_PAYLOAD).limits(limits).recovery(recovery)
}

/// Makes the server.
///
/// # Errors
///
/// If the configuration cannot be used.
pub fn new_server() -> Result<Server, Box<dyn Error>> {
    let mut server = Server::new(config(), entropy)?;
    server.add_namespace("/")?;
    Ok(server)
}

/// Deals with one event. Errors are the fault of what the client has sent.
pub fn handle_event(server: &mut Server, now: Timestamp, event: Event<()>) {
    match event {
        Event::ConnectRequested { request, .. } => {
            server.accept(now, request);
        }
        Event::Received { socket, event, ack } => match handle_message(server, now, socket, &event)
        {
            Ok(answer) => {
                if let Some(token) = ack {
                    server.ack(now, token, &answer);
                }
            }
            Err(error) => eprintln!("ignored {}: {error}", event.name()),
        },
        _ => {}
    }
}

fn handle_message(
    server: &mut Server,
    now: Timestamp,
    socket: SocketKey,
    event: &socket::Event,
) -> Result<Args, Box<dyn Error>> {
    match event.name() {
        "join" => {
            server.join(socket, event.get(0)?)?;
        }
        "echo" => return Ok(event.args()),
        "bcast" => {
            let (room, times, payload): (&str, u32, &RawValue) = event.parse()?;
            let audience = Audience::room(room);
            let message = socket::Event::new("msg", &(payload,))?;
            for _ in 0..times {
                server.broadcast(now, "/", &audience, &message)?;
            }
        }
        "count" => {
            let count = server.fetch_sockets("/", &Audience::all())?.len();
            return Ok(Args::new(&(count,))?);
        }
        "gc" => {}
        name => return Err(format!("there is no {name}").into()),
    }
    Ok(Args::empty())
}
