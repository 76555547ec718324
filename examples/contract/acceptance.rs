//! The profile of black-box checks of recovery.

use std::{convert::Infallible, error::Error};

use serde_json::{Value, json};
use socketio_proto::{
    SocketKey,
    hub::{AckToken, Audience},
    server::{Event, Server},
    socket,
};

use crate::{
    reply,
    settings::Settings,
    tokio_driver::{App, Context, Hosted, entropy},
};

#[derive(Default)]
pub struct Acceptance;

pub const NAMESPACES: [&str; 3] = ["/", "/custom", "/quiet"];

/// What is kept of a socket, and given back when its client recovers.
#[derive(Clone, Default)]
pub struct Data {
    object: Option<Value>,
    recovered: bool,
}

pub fn machine(settings: &Settings) -> Result<Hosted<Acceptance>, Box<dyn Error>> {
    let mut server = Server::new(settings.server(), entropy)?;
    for namespace in NAMESPACES {
        server.add_namespace(namespace)?;
    }
    Ok(Hosted::new(server, Acceptance))
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
                let recovered = recovery.is_recovered();
                update(cx, socket, |data| data.recovered = recovered);
                if namespace.as_str() != "/quiet" {
                    reply::emit(cx, socket, "auth", &(reply::raw(&auth),));
                }
            }
            Event::Received { socket, event, ack } => handle_received(cx, socket, &event, ack),
            _ => {}
        }
    }

    fn handle_message(&mut self, _: &mut Context<'_, Data>, message: Infallible) {
        match message {}
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
        "get-state" => {
            let state = state(cx, socket);
            reply::ack(cx, ack, &(state,));
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

fn state(cx: &Context<'_, Data>, socket: SocketKey) -> Value {
    let data = cx.server.data(socket).cloned().unwrap_or_default();
    let rooms: Vec<&str> = cx.server.rooms(socket).collect();
    json!({
        "id": cx.server.socket_id(socket),
        "rooms": rooms,
        "data": data.object.unwrap_or_else(|| json!({})),
        "recovered": data.recovered,
    })
}
