//! The profile of the official Socket.IO v5 protocol suite.

use std::{convert::Infallible, error::Error};

use socketio_proto::{
    server::{Event, Server},
    socket::NamespaceName,
};

use crate::{
    reply,
    settings::Settings,
    tokio_driver::{App, Context, Hosted, entropy},
};

pub struct Protocol;

pub fn machine(settings: &Settings) -> Result<Hosted<Protocol>, Box<dyn Error>> {
    let mut server = Server::new(settings.server(), entropy)?;
    for namespace in ["/", "/custom"] {
        server.add_namespace(namespace)?;
    }
    Ok(Hosted::new(server, Protocol))
}

impl App for Protocol {
    type Data = ();
    type Message = Infallible;

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: Event<()>) {
        match event {
            Event::ConnectRequested { request, .. } => {
                cx.server.accept(cx.now, request);
            }
            Event::Connected { socket, auth, .. } => {
                reply::emit(cx, socket, "auth", &(reply::raw(&auth),));
            }
            Event::Received { socket, event, mut ack } => {
                let is_root = cx.server.namespace(socket).is_some_and(NamespaceName::is_root);
                if is_root {
                    reply::echo(cx, socket, &event, &mut ack);
                }
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, _: &mut Context<'_, ()>, message: Infallible) {
        match message {}
    }
}
