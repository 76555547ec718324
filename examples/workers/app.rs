//! The application: the events of the benchmarks, as in `bench_server`, for a hub and for a server.

use std::{error::Error, sync::Arc};

use serde_json::value::RawValue;
use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig, SocketKey,
    engine::{Query, QuerySid, RequestHead},
    hub::{At, Audience},
    server::ServerEvent,
    socket::{self, Args},
};

/// Largest body of a POST and largest WebSocket message, in bytes.
pub const MAX_PAYLOAD: usize = 1_000_000;
/// As many as a character of an id tells apart.
pub const MOST_THREADS: usize = ALPHABET.len();
/// That of ids.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The configuration, with recovery. One connection may ask for as much as it likes.
pub fn config() -> Arc<ServerConfig> {
    let mut limits = Limits::default();
    limits.packet_burst = u32::MAX;
    limits.packets_per_second = u32::MAX;
    let config = ServerConfig::new().max_payload(MAX_PAYLOAD).limits(limits);
    Arc::new(config.recovery(RecoveryConfig::default()))
}

/// Randomness whose ids begin with the character of a thread, so that a thread that gets a request knows
/// whose session it is for. 114 random bits are left.
pub fn entropy(thread: usize) -> impl Fn(&mut [u8]) + Send + 'static {
    move |dest| {
        getrandom::fill(dest).expect("the system gives random bytes");
        if let (Some(first), Ok(thread)) = (dest.first_mut(), u8::try_from(thread)) {
            *first = (thread << 2) | (*first & 0b11);
        }
    }
}

/// The thread of a request's session, if it has one.
pub fn thread_of(head: &RequestHead<'_>) -> Option<usize> {
    let Some(QuerySid::Id(sid)) = Query::parse(head.query).sid else { return None };
    let first = *sid.as_str().as_bytes().first()?;
    ALPHABET.iter().position(|character| *character == first)
}

/// A broadcast for those that do not share the hub.
#[derive(Clone)]
pub struct Relay {
    pub audience: Audience,
    pub event: socket::Event,
    pub times: u32,
}

/// Handles one event. Returns what the other servers have to broadcast as well.
pub fn handle_event(at: &mut At<'_, ()>, event: ServerEvent<()>) -> Option<Relay> {
    match event {
        ServerEvent::ConnectRequested { request, .. } => {
            at.accept(request);
        }
        ServerEvent::Received { socket, event, ack, .. } => {
            match handle_message(at, socket, &event) {
                Ok((answer, relay)) => {
                    if let Some(token) = ack {
                        at.ack(token, &answer);
                    }
                    return relay;
                }
                Err(error) => eprintln!("ignored {}: {error}", event.name()),
            }
        }
        _ => {}
    }
    None
}

/// Broadcasts what one of the others has broadcast.
pub fn handle_relay(at: &mut At<'_, ()>, relay: &Relay) {
    for _ in 0..relay.times {
        // The only namespace is there.
        at.broadcast("/", &relay.audience, &relay.event).ok();
    }
}

fn handle_message(
    at: &mut At<'_, ()>,
    socket: SocketKey,
    event: &socket::Event,
) -> Result<(Args, Option<Relay>), Box<dyn Error>> {
    match event.name() {
        "join" => {
            at.join(socket, event.get(0)?)?;
        }
        "echo" => return Ok((event.args(), None)),
        "bcast" => {
            let (room, times, payload): (&str, u32, &RawValue) = event.parse()?;
            let event = socket::Event::new("msg", &(payload,))?;
            let relay = Relay { audience: Audience::room(room), event, times };
            handle_relay(at, &relay);
            return Ok((Args::empty(), Some(relay)));
        }
        "count" => {
            return Ok((Args::new(&(at.local_sockets("/", &Audience::all())?.len(),))?, None));
        }
        "gc" => {}
        name => return Err(format!("there is no {name}").into()),
    }
    Ok((Args::empty(), None))
}
