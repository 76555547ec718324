//! The application: what the server does with the events of its clients. It knows nothing of the
//! loop, the sockets or HTTP.

use std::{error::Error, time::Duration};

use serde_json::{Map, Value, json, value::RawValue};
use socketio_proto::{
    Limits, Origins, RecoveryConfig, ServerConfig, SocketKey, Timestamp,
    hub::{AckToken, Audience},
    server::{self, ServerEvent},
    socket::{self, Args},
};

/// The server with this application's data.
pub type Server = server::Server<Data>;

/// What the application knows of a socket. It survives a recovery.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// What the client has stored with `set-data`.
    value: Map<String, Value>,
    recovered: bool,
}

/// Largest body of a POST and largest WebSocket message, in bytes.
pub const MAX_PAYLOAD: usize = 1_000_000;

/// What can be set from outside.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a session waits for its client.
    pub max_disconnection: Duration,
    /// See [`ServerConfig::ping_interval`].
    pub ping_interval: Duration,
    /// See [`ServerConfig::ping_timeout`].
    pub ping_timeout: Duration,
    /// See [`Limits::packets_per_second`]; five times as many at once.
    pub packets_per_second: Option<u32>,
    /// See [`ServerConfig::origins`].
    pub origins: Origins,
}

/// Makes the server, with recovery on.
///
/// # Errors
///
/// If the settings cannot be used.
pub fn new_server(settings: Settings) -> Result<Server, Box<dyn Error>> {
    let mut recovery = RecoveryConfig::default();
    recovery.max_disconnection = settings.max_disconnection;
    let mut limits = Limits::default();
    if let Some(rate) = settings.packets_per_second {
        (limits.packets_per_second, limits.packet_burst) = (rate, rate.saturating_mul(5));
    }
    let config = ServerConfig::new()
        .limits(limits)
        .ping_interval(settings.ping_interval)
        .ping_timeout(settings.ping_timeout)
        .max_payload(MAX_PAYLOAD)
        .origins(settings.origins)
        .recovery(recovery);
    // Ids and recovery keys are bearer tokens: without randomness there is no service.
    let entropy = |dest: &mut [u8]| getrandom::fill(dest).expect("the system gives random bytes");
    let mut server = Server::new(config, entropy)?;
    for namespace in ["/", "/custom", "/quiet"] {
        server.at(Timestamp::ZERO).add_namespace(namespace)?;
    }
    Ok(server)
}

/// Deals with one event. Errors are the fault of what the client has sent, or it has gone.
pub fn handle_event(server: &mut Server, now: Timestamp, event: ServerEvent<Data>) {
    let result = match event {
        ServerEvent::ConnectRequested { request, .. } => {
            server.at(now).accept(request);
            Ok(())
        }
        ServerEvent::Connected { socket, namespace, auth, recovery, .. } => {
            let data = server.data(socket).cloned().unwrap_or_default();
            server.at(now).set_data(socket, Data { recovered: recovery.is_recovered(), ..data });
            if namespace.as_str() == "/quiet" { Ok(()) } else { greet(server, now, socket, &auth) }
        }
        ServerEvent::Received { socket, event, ack, .. } => {
            handle_message(server, now, socket, &event, ack)
        }
        _ => Ok(()),
    };
    if let Err(error) = result {
        eprintln!("ignored an event: {error}");
    }
}

fn greet(
    server: &mut Server,
    now: Timestamp,
    socket: SocketKey,
    auth: &socket::Json,
) -> Result<(), Box<dyn Error>> {
    let event = socket::Event::new("auth", &(auth,))?;
    Ok(server.at(now).emit(socket, &event)?)
}

fn handle_message(
    server: &mut Server,
    now: Timestamp,
    socket: SocketKey,
    event: &socket::Event,
    ack: Option<AckToken>,
) -> Result<(), Box<dyn Error>> {
    let mut answer = Args::empty();
    match event.name() {
        "message" => {
            let back = socket::Event::with_args("message-back", &event.args())?;
            server.at(now).emit(socket, &back)?;
            return Ok(());
        }
        "message-with-ack" => answer = event.args(),
        "join" => {
            server.at(now).join(socket, event.get(0)?)?;
        }
        "leave" => {
            server.at(now).leave(socket, event.get(0)?);
        }
        "broadcast" => return broadcast(server, now, socket, event, false),
        "broadcast-volatile" => return broadcast(server, now, socket, event, true),
        "emit-to-self" => {
            let args: Vec<&RawValue> = event.parse()?;
            let copy = socket::Event::new(event.get(0)?, args.get(1..).unwrap_or_default())?;
            server.at(now).emit(socket, &copy)?;
            return Ok(());
        }
        "set-data" => {
            let data = server.data(socket).cloned().unwrap_or_default();
            server.at(now).set_data(socket, Data { value: event.get(0)?, ..data });
        }
        "get-state" => answer = state(server, socket)?,
        "kick" => {
            server.at(now).disconnect(socket, false);
            return Ok(());
        }
        _ => return Ok(()),
    }
    if let Some(token) = ack {
        server.at(now).ack(token, &answer);
    }
    Ok(())
}

/// `broadcast` (room or null, name, arguments without binary data...).
fn broadcast(
    server: &mut Server,
    now: Timestamp,
    socket: SocketKey,
    event: &socket::Event,
    is_volatile: bool,
) -> Result<(), Box<dyn Error>> {
    let room: Option<String> = event.get(0)?;
    let args: Vec<&RawValue> = event.parse()?;
    let copy = socket::Event::new(event.get(1)?, args.get(2..).unwrap_or_default())?;
    let audience = room.map_or_else(Audience::all, Audience::room);
    let audience = if is_volatile { audience.volatile() } else { audience };
    let Some(namespace) = server.namespace(socket).cloned() else { return Ok(()) };
    server.at(now).broadcast(namespace.as_str(), &audience, &copy)?;
    Ok(())
}

fn state(server: &Server, socket: SocketKey) -> Result<Args, Box<dyn Error>> {
    let data = server.data(socket).cloned().unwrap_or_default();
    let state = json!({
        "id": server.socket_id(socket),
        "rooms": server.rooms(socket).collect::<Vec<_>>(),
        "data": data.value,
        "recovered": data.recovered,
    });
    Ok(Args::new(&(state,))?)
}
