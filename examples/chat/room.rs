//! The chat itself: one room, names, messages.

use std::{sync::mpsc::Sender, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;
use socketio_proto::{
    SocketId, SocketKey,
    hub::{AckToken, Audience, Once},
    recovery::RecoveryOutcome,
    server::ServerEvent,
    socket::{self, Args, Json},
};
use socketio_proto_tokio::{App, Context};

use crate::store::{Answer, Draft, Job, Missed};

/// The room of the sockets that have caught up. They get each new message.
const LISTENERS: &str = "listeners";
/// Messages that wait for the database. Further ones are not taken, so their clients try again.
const BACKLOG: usize = 1024;
/// As the page has it.
const NAME_CHARS: usize = 40;
/// As the page has it.
const TEXT_CHARS: usize = 1000;
const CLIENT_OFFSET_BYTES: usize = 64;
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The application behind the server.
pub struct Room {
    /// `None` when the program is to end.
    jobs: Option<Sender<Job>>,
    /// Messages handed to the database and not answered yet.
    waiting: usize,
}

/// What is kept of a socket, and given back when its client recovers.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Visitor {
    pub name: String,
}

/// What the page says about itself when it connects. What is missing or wrong is taken as unsaid.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Auth {
    server_offset: serde_json::Value,
    name: serde_json::Value,
}

impl Room {
    pub fn new(jobs: Sender<Job>) -> Self {
        Self { jobs: Some(jobs), waiting: 0 }
    }
}

impl App for Room {
    type Data = Visitor;

    fn handle_event(&mut self, cx: &mut Context<'_, Visitor>, event: ServerEvent<Visitor>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Connected { socket, auth, recovery, .. } => {
                match recovery {
                    RecoveryOutcome::Recovered { replayed }
                    | RecoveryOutcome::BestEffort { replayed } => {
                        welcome_back(cx, socket, replayed);
                    }
                    RecoveryOutcome::New | RecoveryOutcome::Refused(_) => {
                        self.welcome(cx, socket, &auth);
                    }
                }
                tell_online(cx);
            }
            ServerEvent::Disconnected { .. } => tell_online(cx),
            ServerEvent::Received { socket, event, ack, .. } => match event.name() {
                "chat message" => self.handle_chat_message(cx, socket, &event, ack),
                "name" => handle_name(cx, socket, &event, ack),
                _ => {}
            },
            _ => {}
        }
    }

    fn handle_shutdown(&mut self, _: &mut Context<'_, Visitor>) {
        self.jobs = None;
    }
}

impl Room {
    /// The database has done a job.
    pub fn handle_answer(&mut self, cx: &mut Context<'_, Visitor>, answer: Answer) {
        match answer {
            Answer::Stored { message, token } => {
                self.waiting = self.waiting.saturating_sub(1);
                broadcast(cx, &Audience::room(LISTENERS), "chat message", &(&message,));
                acknowledge(cx, token, &json!({ "id": message.id }));
            }
            Answer::Known { message, token } => {
                self.waiting = self.waiting.saturating_sub(1);
                // The process that has stored it may have been killed before anyone heard of it.
                broadcast(cx, &Audience::room(LISTENERS), "chat message", &(&message,));
                acknowledge(cx, token, &json!({ "id": message.id }));
            }
            Answer::NotStored { token } => {
                self.waiting = self.waiting.saturating_sub(1);
                withdraw(cx, token);
            }
            Answer::CaughtUp { socket, missed } => catch_up(cx, socket, &missed),
        }
    }

    /// A new session: what its page has missed is in the database.
    fn welcome(&self, cx: &mut Context<'_, Visitor>, socket: SocketKey, auth: &Json) {
        let Auth { server_offset, name } = auth.parse().unwrap_or_default();
        let name = shortened(name.as_str().unwrap_or_default());
        cx.at().set_data(socket, Visitor { name });
        let after = server_offset.as_i64().unwrap_or(0);
        // One job per session, so there are no more of them than sessions.
        self.give(Job::CatchUp { socket, after });
    }

    fn handle_chat_message(
        &mut self,
        cx: &mut Context<'_, Visitor>,
        socket: SocketKey,
        event: &socket::Event,
        token: Option<AckToken>,
    ) {
        let Ok((text, client_offset)) = event.parse::<(String, String)>() else {
            return refuse(cx, token, "not a message");
        };
        let text = text.trim().to_owned();
        let is_text = (1..=TEXT_CHARS).contains(&text.chars().count());
        let is_offset = (1..=CLIENT_OFFSET_BYTES).contains(&client_offset.len());
        if !is_text || !is_offset {
            return refuse(cx, token, "too short or too long");
        }
        if self.waiting >= BACKLOG || self.jobs.is_none() {
            return withdraw(cx, token);
        }
        // One that was accepted before is answered like the first. In a new session it is taken for
        // new, and the database knows it.
        let accepted = cx.at().accept_once(socket, &client_offset, token);
        let Ok(Once::Fresh(token)) = accepted else {
            return;
        };
        let visitor = cx.server.data(socket);
        let author = visitor.map(|visitor| visitor.name.clone()).unwrap_or_default();
        let sender = cx.server.socket_id(socket).as_ref().map(SocketId::to_string);
        let draft = Draft {
            client_offset,
            text,
            author,
            sender: sender.unwrap_or_default(),
            at: i64::try_from(cx.now.as_micros() / 1000).unwrap_or(i64::MAX),
        };
        self.waiting += 1;
        self.give(Job::Store { draft, token });
    }

    fn give(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            jobs.send(job).ok();
        }
    }
}

/// A recovered session: what it has missed is on its way already; the page wants to mark it.
fn welcome_back(cx: &mut Context<'_, Visitor>, socket: SocketKey, replayed: usize) {
    if let Ok(event) = socket::Event::new("recovered", &(replayed,)) {
        // An event that asks for an acknowledgement is not replayed itself.
        cx.at().emit_with_ack(socket, &event, ACK_TIMEOUT).ok();
    }
}

/// Delivers what was missed. From now on the session gets what is new; also if it is parked by now.
fn catch_up(cx: &mut Context<'_, Visitor>, socket: SocketKey, missed: &Missed) {
    if cx.at().join(socket, LISTENERS).is_err() {
        return;
    }
    if missed.skipped > 0 {
        emit(cx, socket, "skipped", &(missed.skipped,));
    }
    for message in &missed.messages {
        emit(cx, socket, "chat message", &(message,));
    }
}

fn handle_name(
    cx: &mut Context<'_, Visitor>,
    socket: SocketKey,
    event: &socket::Event,
    token: Option<AckToken>,
) {
    let Ok(name) = event.get::<String>(0) else {
        return refuse(cx, token, "not a name");
    };
    let name = shortened(&name);
    acknowledge(cx, token, &json!({ "name": name }));
    cx.at().set_data(socket, Visitor { name });
}

fn shortened(name: &str) -> String {
    name.trim().chars().take(NAME_CHARS).collect()
}

/// The number of people online is useless later, so a client that cannot take it now does not get
/// it.
fn tell_online(cx: &mut Context<'_, Visitor>) {
    let count = cx.server.stats().sockets;
    // Another server counts its own.
    broadcast(cx, &Audience::all().volatile().local(), "online", &(count,));
}

fn refuse(cx: &mut Context<'_, Visitor>, token: Option<AckToken>, error: &str) {
    acknowledge(cx, token, &json!({ "error": error }));
}

fn acknowledge(cx: &mut Context<'_, Visitor>, token: Option<AckToken>, answer: &serde_json::Value) {
    if let Some(token) = token
        && let Ok(args) = Args::new(&(answer,))
    {
        cx.at().ack(token, &args);
    }
}

/// Without an answer the client sends the message again. Then it has to be accepted.
fn withdraw(cx: &mut Context<'_, Visitor>, token: Option<AckToken>) {
    if let Some(token) = token {
        cx.at().withdraw(token);
    }
}

fn emit(cx: &mut Context<'_, Visitor>, socket: SocketKey, name: &str, args: &impl Serialize) {
    if let Ok(event) = socket::Event::new(name, args) {
        cx.at().emit(socket, &event).ok();
    }
}

fn broadcast(
    cx: &mut Context<'_, Visitor>,
    audience: &Audience,
    name: &str,
    args: &impl Serialize,
) {
    if let Ok(event) = socket::Event::new(name, args) {
        cx.at().broadcast("/", audience, &event).ok();
    }
}
