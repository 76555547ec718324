//! The chat: what is typed, what arrives, and what the connection does.

use std::{pin::pin, time::Duration};

use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::json;
use socketio_proto::{
    client::{Client, ClientAckToken, ClientEvent},
    socket::{self, Args, Json},
};
use socketio_proto_tokio_client::Driver;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::view;

/// How long the program waits at its end for messages to be acknowledged.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Chat {
    driver: Driver,
    namespace: String,
    name: String,
    /// The id of the last message. A server that stores messages can continue after it.
    last_id: i64,
    /// Makes the ids of messages unique, so that a server can store each message once. With
    /// `examples/chat`, the library delivers each message once in a session. With an official server,
    /// or if a message is sent again in a new session, the server needs this id.
    unique: u64,
    sent: u64,
    back_at: Option<Instant>,
    leave_by: Option<Instant>,
}

/// Why the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The user or the server ended it.
    Left,
    /// The server refused the connection.
    Refused,
}

/// A message of `examples/chat`. Other servers may send only a text.
#[derive(Deserialize)]
struct Message {
    id: i64,
    text: String,
    #[serde(default)]
    from: String,
}

impl Chat {
    pub fn new(driver: Driver, namespace: String, name: String) -> Self {
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).ok();
        let unique = u64::from_le_bytes(unique);
        Self { driver, namespace, name, last_id: 0, unique, sent: 0, back_at: None, leave_by: None }
    }

    /// Runs until the user or the server ends it.
    pub async fn run(mut self, mut lines: mpsc::Receiver<String>) -> End {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        let end = loop {
            let (back_at, leave_by) = (self.back_at, self.leave_by);
            if leave_by.is_some() && self.is_acknowledged() {
                break End::Left;
            }
            tokio::select! {
                event = self.driver.next() => if let Some(end) = self.handle_event(event) {
                    break end;
                },
                line = lines.recv(), if leave_by.is_none() => match line {
                    Some(line) => self.handle_line(line.trim()),
                    None => self.leave(),
                },
                () = at(back_at), if back_at.is_some() => self.come_back(),
                () = at(leave_by), if leave_by.is_some() => break End::Left,
                _ = &mut interrupted => break End::Left,
            }
        };
        self.driver.client(|client, now| client.disconnect(now, &self.namespace));
        self.driver.finish(|_| ()).await;
        end
    }

    fn handle_line(&mut self, line: &str) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "" => {}
            "/drop" => self.driver.cut(),
            "/offline" => match rest.trim().parse() {
                Ok(seconds) => self.go_offline(Duration::from_secs(seconds)),
                Err(_) => println!("* how many seconds?"),
            },
            "/name" => self.rename(rest.trim()),
            "/state" => self.show_state(),
            "/quit" => self.leave(),
            _ if command.starts_with('/') => println!("* no such command: {command}"),
            _ => self.send(line),
        }
    }

    /// Sends a message until it is acknowledged, on later connections too.
    fn send(&mut self, text: &str) {
        let client_offset = format!("{:x}-{}", self.unique, self.sent);
        self.sent = self.sent.wrapping_add(1);
        self.emit("chat message", &json!([text, client_offset]));
    }

    fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        self.emit("name", &json!([name]));
    }

    fn emit(&mut self, name: &str, args: &serde_json::Value) {
        let Ok(event) = socket::Event::new(name, args) else {
            return;
        };
        let emitted = self
            .driver
            .client(|client, now| client.emit_with_retries(now, &self.namespace, &event));
        if let Err(error) = emitted {
            println!("* not sent: {error}");
        }
    }

    fn go_offline(&mut self, time: Duration) {
        let Some(back_at) = Instant::now().checked_add(time) else {
            return println!("* that is too long");
        };
        println!("* offline for {} s", time.as_secs());
        self.back_at = Some(back_at);
        self.driver.set_online(false);
    }

    fn come_back(&mut self) {
        println!("* online again");
        self.back_at = None;
        self.driver.set_online(true);
    }

    /// Ends the program when everything is acknowledged.
    fn leave(&mut self) {
        self.leave_by = Instant::now().checked_add(LEAVE_TIMEOUT);
    }

    fn is_acknowledged(&mut self) -> bool {
        self.driver.client(|client, _| client.retrying(&self.namespace).next().is_none())
    }

    /// Shows and answers an event. Returns whether and why the program ends.
    fn handle_event(&mut self, event: ClientEvent) -> Option<End> {
        match event {
            ClientEvent::AuthRequested { request, .. } => {
                let auth = json!({ "serverOffset": self.last_id, "name": self.name });
                if let Ok(auth) = Json::new(&auth) {
                    let provide =
                        |client: &mut Client, now| client.provide_auth(now, request, &auth);
                    self.driver.client(provide).ok();
                }
            }
            ClientEvent::Connected { recovered, .. } => return self.handle_connected(recovered),
            ClientEvent::Received { event, ack, .. } => self.handle_received(&event, ack),
            ClientEvent::ConnectError { error, .. } => {
                println!("* {}", view::connect_error(&error));
                let is_active = self.driver.client(|client, _| client.is_active(&self.namespace));
                return (!is_active).then_some(End::Refused);
            }
            ClientEvent::Disconnected { reason, rejoins, .. } => {
                println!("* disconnected: {reason}");
                return (!rejoins).then_some(End::Left);
            }
            other => {
                if let Some(line) = view::describe(&other) {
                    println!("* {line}");
                }
            }
        }
        None
    }

    fn handle_connected(&mut self, recovered: bool) -> Option<End> {
        // An official server has sent the missed events before. A server of this crate sends them now.
        let mut events = Vec::new();
        while recovered && let Some(event) = self.driver.next().now_or_never() {
            events.push(event);
        }
        let missed = events.iter().filter(|event| is_replayable(event)).count();
        self.show_state();
        if recovered {
            println!("* missed events so far: {missed}");
        }
        // Handles all of them, even if one ends the program.
        let ends: Vec<End> =
            events.into_iter().filter_map(|event| self.handle_event(event)).collect();
        ends.first().copied()
    }

    fn show_state(&mut self) {
        let state = self.driver.client(|client, _| view::state(client, &self.namespace));
        println!("* {state}");
    }

    fn handle_received(&mut self, event: &socket::Event, token: Option<ClientAckToken>) {
        match event.name() {
            "chat message" => self.show_message(event),
            "recovered" => println!("* missed events in all: {}", event.get(0).unwrap_or(0)),
            _ => println!("[{}] {}", event.name(), event.json()),
        }
        if let Some(token) = token
            && let Ok(args) = Args::new(&())
        {
            self.driver.client(|client, now| client.ack(now, token, &args));
        }
    }

    fn show_message(&mut self, event: &socket::Event) {
        let Ok(Message { id, text, from }) = event.get(0) else {
            let text = event.get::<String>(0).unwrap_or_else(|_| event.json().to_owned());
            return println!("> {text}");
        };
        let again = if id <= self.last_id { " (again)" } else { "" };
        self.last_id = self.last_id.max(id);
        println!("{from}> {text}{again}");
    }
}

/// Whether the server can replay an event: `online` is volatile, and events that ask for an
/// acknowledgement are not replayed.
fn is_replayable(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Received { event, ack: None, .. } if event.name() != "online")
}

async fn at(instant: Option<Instant>) {
    if let Some(instant) = instant {
        sleep_until(instant).await;
    }
}
