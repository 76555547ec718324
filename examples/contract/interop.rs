//! The profile of this crate's own interop tests: all of `acceptance`, and what that has no event
//! for. Short times, so that the tests meet them.

use std::{collections::BTreeMap, convert::Infallible, error::Error, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use socketio_proto::{
    AckId, SocketKey,
    hub::{Audience, Rejection},
    server::{Event, Server},
    socket::{self, Json},
};

use crate::{
    acceptance::{Acceptance, Data, NAMESPACES},
    reply,
    settings::Settings,
    tokio_driver::{App, Context, Hosted, entropy},
};

pub struct Interop {
    acceptance: Acceptance,
    /// Whom to tell what became of an acknowledgement.
    asked: BTreeMap<AckId, SocketKey>,
}

/// Joined by those who know the secret.
const MEMBERS: &str = "/members";

pub fn machine(settings: &Settings, node: String) -> Result<Hosted<Interop>, Box<dyn Error>> {
    let mut server = Server::new(settings.server(), entropy)?;
    for namespace in NAMESPACES {
        server.add_namespace(namespace)?;
    }
    server.add_namespace(MEMBERS)?;
    server.add_namespaces_matching(|name| {
        let number = name.strip_prefix("/dynamic-");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let acceptance = Acceptance { node };
    Ok(Hosted::new(server, Interop { acceptance, asked: BTreeMap::new() }))
}

impl App for Interop {
    type Data = Data;
    type Message = Infallible;

    fn handle_event(&mut self, cx: &mut Context<'_, Data>, event: Event<Data>) {
        match event {
            Event::ConnectRequested { request, namespace, auth, .. }
                if namespace.as_str() == MEMBERS && !is_member(&auth) =>
            {
                let data = json!({ "code": 42, "retry": [true, null] });
                if let Ok(rejection) = Rejection::new("not a member").data(&data) {
                    cx.server.reject(cx.now, request, &rejection);
                }
            }
            Event::Received { socket, event, ack } => match event.name() {
                "ask" => self.ask(cx, socket, &event),
                "attach" => attach(cx, socket, &event),
                "burst" => burst(cx, socket, &event),
                "large" => {
                    reply::emit(cx, socket, "large-back", &(text(&event),));
                }
                "large-to-everyone" => large_to_everyone(cx, socket, &event),
                "ask-everyone" => self.ask_everyone(cx, socket, &event),
                "disconnect-me" => {
                    let close = event.get(0).unwrap_or_default();
                    cx.server.disconnect(cx.now, socket, close);
                }
                "close-connection" => {
                    if let Some(connection) = cx.server.connection(socket) {
                        cx.server.close_connection(cx.now, connection);
                    }
                }
                _ => self.pass_on(cx, Event::Received { socket, event, ack }),
            },
            Event::Acked { ack, args, .. } => {
                let args: Vec<Value> = args.parse().unwrap_or_default();
                self.tell(cx, ack, "answered", &(args,));
            }
            Event::AckFailed { ack, .. } => self.tell(cx, ack, "unanswered", &()),
            Event::BroadcastAcked { ack, responses, missing, timed_out } => {
                let answers: Vec<Vec<Value>> =
                    responses.iter().map(|(_, args)| args.parse().unwrap_or_default()).collect();
                self.tell(cx, ack, "answers", &(answers, missing, timed_out));
            }
            other => self.pass_on(cx, other),
        }
    }

    fn handle_message(&mut self, _: &mut Context<'_, Data>, message: Infallible) {
        match message {}
    }
}

impl Interop {
    fn pass_on(&mut self, cx: &mut Context<'_, Data>, event: Event<Data>) {
        self.acceptance.handle_event(cx, event);
    }

    /// `(milliseconds, …args)`: emits `question` with the arguments and asks for an answer.
    fn ask(&mut self, cx: &mut Context<'_, Data>, socket: SocketKey, event: &socket::Event) {
        if let Ok(question) = socket::Event::with_args("question", &event.args().skip(1)) {
            let asked = cx.server.emit_with_ack(cx.now, socket, &question, timeout(event));
            self.asked.extend(asked.map(|ack| (ack, socket)));
        }
    }

    /// `(milliseconds)`: likewise, to everybody in the namespace.
    fn ask_everyone(
        &mut self,
        cx: &mut Context<'_, Data>,
        socket: SocketKey,
        event: &socket::Event,
    ) {
        let Some(namespace) = cx.server.namespace(socket).cloned() else {
            return;
        };
        if let Ok(question) = socket::Event::new("question", &()) {
            let (now, name, everyone) = (cx.now, namespace.as_str(), Audience::all());
            let time = timeout(event);
            let asked = cx.server.broadcast_with_ack(now, name, &everyone, &question, time);
            self.asked.extend(asked.map(|ack| (ack, socket)));
        }
    }

    fn tell(
        &mut self,
        cx: &mut Context<'_, Data>,
        ack: AckId,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) {
        if let Some(socket) = self.asked.remove(&ack) {
            reply::emit(cx, socket, event, args);
        }
    }
}

/// `(count)`: emits `attached` with that many attachments, which may be more than the client takes.
fn attach(cx: &mut Context<'_, Data>, socket: SocketKey, event: &socket::Event) {
    let bytes = Bytes::from_static(&[7]);
    reply::emit(cx, socket, "attached", &vec![bytes; event.get(0).unwrap_or_default()]);
}

/// `(count)`: emits `tick` with each number below it, all at once.
fn burst(cx: &mut Context<'_, Data>, socket: SocketKey, event: &socket::Event) {
    for number in 0..event.get::<u32>(0).unwrap_or_default() {
        reply::emit(cx, socket, "tick", &(number,));
    }
}

/// `(length)`: emits `large-back` with a text of that length to everybody in the namespace.
fn large_to_everyone(cx: &mut Context<'_, Data>, socket: SocketKey, event: &socket::Event) {
    let Some(namespace) = cx.server.namespace(socket).cloned() else {
        return;
    };
    if let Ok(large) = socket::Event::new("large-back", &(text(event),)) {
        let (now, everyone) = (cx.now, Audience::all());
        cx.server.broadcast(now, namespace.as_str(), &everyone, &large).ok();
    }
}

fn text(event: &socket::Event) -> String {
    "x".repeat(event.get(0).unwrap_or_default())
}

fn is_member(auth: &Json) -> bool {
    let auth: Value = auth.parse().unwrap_or_default();
    auth.get("token").and_then(Value::as_str) == Some("secret")
}

fn timeout(event: &socket::Event) -> Duration {
    Duration::from_millis(event.get(0).unwrap_or(1_000))
}
