//! The profile of black-box checks of recovery.

use std::{convert::Infallible, error::Error};

use serde_json::{Value, json};
use socketio_proto::{
    SocketKey,
    hub::{AckToken, Audience},
    recovery::{RecoveryOutcome, Refusal},
    server::{Event, Server},
    socket,
};

use crate::{
    reply,
    settings::Settings,
    tokio_driver::{App, Context, Hosted, entropy},
};

pub struct Acceptance {
    /// The name of this server.
    pub node: String,
}

pub const NAMESPACES: [&str; 3] = ["/", "/custom", "/quiet"];

/// What is kept of a socket, and given back when its client recovers.
#[derive(Clone, Default)]
pub struct Data {
    object: Option<Value>,
    recovered: bool,
    /// How the socket has come to its session.
    outcome: &'static str,
}

pub fn machine(settings: &Settings, node: String) -> Result<Hosted<Acceptance>, Box<dyn Error>> {
    let mut server = Server::new(settings.server(), entropy)?;
    for namespace in NAMESPACES {
        server.add_namespace(namespace)?;
    }
    Ok(Hosted::new(server, Acceptance { node }))
}

impl App for Acceptance {
    type Data = Data;
    type Message = Infallible;

    fn handle_event(&mut self, cx: &mut Context<'_, Data>, event: Event<Data>) {
        match event {
            Event::ConnectRequested { request, .. } => {
                cx.server.accept(cx.now, request);
            }
            Event::Connected { socket, namespace, auth, recovery, .. } => {
                update(cx, socket, |data| {
                    (data.recovered, data.outcome) = (recovery.is_recovered(), word(recovery));
                });
                if namespace.as_str() != "/quiet" {
                    reply::emit(cx, socket, "auth", &(reply::raw(&auth),));
                }
            }
            Event::Received { socket, event, ack } if event.name() == "get-state" => {
                let state = self.state(cx, socket);
                reply::ack(cx, ack, &(state,));
            }
            Event::Received { socket, event, ack } => handle_received(cx, socket, &event, ack),
            _ => {}
        }
    }

    fn handle_message(&mut self, _: &mut Context<'_, Data>, message: Infallible) {
        match message {}
    }
}

impl Acceptance {
    fn state(&self, cx: &Context<'_, Data>, socket: SocketKey) -> Value {
        let data = cx.server.data(socket).cloned().unwrap_or_default();
        let rooms: Vec<&str> = cx.server.rooms(socket).collect();
        json!({
            "id": cx.server.socket_id(socket),
            "rooms": rooms,
            "data": data.object.unwrap_or_else(|| json!({})),
            "recovered": data.recovered,
            "outcome": data.outcome,
            "node": self.node,
        })
    }
}

fn handle_received(
    cx: &mut Context<'_, Data>,
    socket: SocketKey,
    event: &socket::Event,
    mut ack: Option<AckToken>,
) {
    if reply::echo(cx, socket, event, &mut ack) {
        return;
    }
    match event.name() {
        "join" => {
            if let Ok(room) = event.get::<String>(0) {
                cx.server.join(socket, &room).ok();
            }
            reply::ack(cx, ack, &());
        }
        "leave" => {
            if let Ok(room) = event.get::<String>(0) {
                cx.server.leave(socket, &room);
            }
            reply::ack(cx, ack, &());
        }
        "broadcast" => broadcast(cx, socket, event, Audience::all()),
        "broadcast-volatile" => broadcast(cx, socket, event, Audience::all().volatile()),
        "emit-to-self" => {
            if let Ok(name) = event.get::<String>(0) {
                reply::pass_on(cx, socket, &name, &event.args().skip(1));
            }
        }
        "set-data" => {
            if let Ok(object) = event.get(0) {
                update(cx, socket, |data| data.object = Some(object));
            }
            reply::ack(cx, ack, &());
        }
        "kick" => {
            cx.server.disconnect(cx.now, socket, false);
        }
        _ => {}
    }
}

/// `(room or null, event, …args)`.
fn broadcast(
    cx: &mut Context<'_, Data>,
    socket: SocketKey,
    event: &socket::Event,
    everyone: Audience,
) {
    let Some(namespace) = cx.server.namespace(socket).cloned() else {
        return;
    };
    let (Ok(room), Ok(name)) = (event.get::<Option<String>>(0), event.get::<String>(1)) else {
        return;
    };
    let audience = match room {
        Some(room) => everyone.to(room),
        None => everyone,
    };
    if let Ok(event) = socket::Event::with_args(&name, &event.args().skip(2)) {
        cx.server.broadcast(cx.now, namespace.as_str(), &audience, &event).ok();
    }
}

fn update(cx: &mut Context<'_, Data>, socket: SocketKey, f: impl FnOnce(&mut Data)) {
    let mut data = cx.server.data(socket).cloned().unwrap_or_default();
    f(&mut data);
    cx.server.set_data(socket, data);
}

/// How a socket has come to its session: `new`, `recovered`, or why it was not recovered.
fn word(outcome: RecoveryOutcome) -> &'static str {
    match outcome {
        RecoveryOutcome::New => "new",
        RecoveryOutcome::Recovered { .. } => "recovered",
        RecoveryOutcome::Refused(refusal) => match refusal {
            Refusal::Unknown => "unknown",
            Refusal::OtherNamespace => "namespace",
            Refusal::Expired => "expired",
            Refusal::Gap => "gap",
            Refusal::InvalidOffset => "offset",
            Refusal::Limit => "limit",
            Refusal::PoisonEvent => "poison",
            _ => "other",
        },
    }
}
