//! The profile of the official client's own test suite.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    error::Error,
    time::Duration,
};

use bytes::Bytes;
use hyper::http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};
use socketio_proto::{
    AckId, ConnectionId, SocketKey,
    hub::{AckToken, Rejection},
    server::{Event, Server},
    socket::{self, Args, Binary, Json, NamespaceName},
};

use crate::{
    reply,
    settings::Settings,
    tokio_driver::{App, Context, Hosted, entropy},
};

#[derive(Default)]
pub struct Client {
    handshakes: BTreeMap<ConnectionId, Handshake>,
    /// Acknowledgements of `ack` that are awaited.
    awaited: BTreeSet<AckId>,
}

/// The request that opened a connection.
#[derive(Clone, Default)]
struct Handshake {
    url: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

/// What is kept of a socket.
#[derive(Clone, Default)]
pub struct Data {
    auth: Option<Value>,
    /// Which of the events that have to come in order have come.
    seen: BTreeSet<&'static str>,
}

#[derive(Deserialize)]
struct Mixed {
    hello: String,
    message: Binary,
    goodbye: String,
}

/// How long an acknowledgement is waited for.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const FIXED: &[&str] = &["/", "/foo", "/timeout_socket", "/valid", "/asd", "/abc", "/no"];
const TEXTS: &[&str] = &["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"];

pub fn machine(settings: &Settings) -> Result<Hosted<Client>, Box<dyn Error>> {
    let mut server = Server::new(settings.server(), entropy)?;
    for namespace in FIXED {
        server.add_namespace(namespace)?;
    }
    Ok(Hosted::new(server, Client::default()))
}

impl App for Client {
    type Data = Data;
    type Message = Infallible;

    fn handle_handshake(&mut self, connection: ConnectionId, request: &Parts) {
        self.handshakes.insert(connection, Handshake::of(request));
    }

    fn handle_event(&mut self, cx: &mut Context<'_, Data>, event: Event<Data>) {
        match event {
            Event::ConnectionClosed { connection, .. } => {
                self.handshakes.remove(&connection);
            }
            Event::ConnectRequested { request, connection, namespace, .. } => {
                match self.refusal(connection, &namespace) {
                    Some(rejection) => {
                        cx.server.reject(cx.now, request, &rejection);
                    }
                    None => {
                        cx.server.accept(cx.now, request);
                    }
                }
            }
            Event::Connected { socket, namespace, auth, .. } => {
                self.handle_connected(cx, socket, &namespace, &auth);
            }
            Event::Received { socket, event, ack } => self.handle_received(cx, socket, &event, ack),
            Event::Acked { socket, ack, args } => {
                let was_awaited = self.awaited.remove(&ack);
                if was_awaited && is_expected(&args) {
                    reply::emit(cx, socket, "got it", &());
                }
            }
            Event::AckFailed { ack, .. } => {
                self.awaited.remove(&ack);
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, _: &mut Context<'_, Data>, message: Infallible) {
        match message {}
    }
}

impl Client {
    fn refusal(&self, connection: ConnectionId, namespace: &NamespaceName) -> Option<Rejection> {
        let fails = || {
            let handshake = self.handshakes.get(&connection)?;
            handshake.query.get("fail").filter(|value| !value.is_empty())
        };
        match namespace.as_str() {
            "/" if fails().is_some() => Some(Rejection::new("Auth failed (main namespace)")),
            "/no" => Some(Rejection::new("Auth failed (custom namespace)")),
            _ => None,
        }
    }

    fn handle_connected(
        &self,
        cx: &mut Context<'_, Data>,
        socket: SocketKey,
        namespace: &NamespaceName,
        auth: &Json,
    ) {
        let mut data = cx.server.data(socket).cloned().unwrap_or_default();
        data.auth = auth.parse().ok();
        cx.server.set_data(socket, data);
        if namespace.as_str() == "/abc" {
            let handshake = self.handshake(cx, socket);
            reply::emit(cx, socket, "handshake", &(handshake,));
        }
    }

    fn handle_received(
        &mut self,
        cx: &mut Context<'_, Data>,
        socket: SocketKey,
        event: &socket::Event,
        ack: Option<AckToken>,
    ) {
        let Some(namespace) = cx.server.namespace(socket) else {
            return;
        };
        if namespace.as_str() == "/foo" && event.name() == "getId" {
            let id = cx.server.socket_id(socket);
            return reply::ack(cx, ack, &(id,));
        }
        if !cx.server.namespace(socket).is_some_and(NamespaceName::is_root) {
            return;
        }
        match event.name() {
            "hi" => reply::emit(cx, socket, "hi", &()),
            "echo" => reply::ack_args(cx, ack, &event.args()),
            "ack" => self.ask(cx, socket),
            "getHandshake" => {
                let handshake = self.handshake(cx, socket);
                reply::ack(cx, ack, &(handshake,));
            }
            "getId" => reply::ack(cx, ack, &(cx.server.socket_id(socket),)),
            "getAckDate" => reply::ack(cx, ack, &(date(cx),)),
            "getDate" => reply::emit(cx, socket, "takeDate", &(date(cx),)),
            "getDateObj" => {
                let object = json!({ "date": date(cx) });
                reply::emit(cx, socket, "takeDateObj", &(object,));
            }
            "getUtf8" => {
                for text in TEXTS {
                    reply::emit(cx, socket, "takeUtf8", &(text,));
                }
            }
            "false" => reply::emit(cx, socket, "false", &(false,)),
            _ => handle_binary(cx, socket, event),
        }
    }

    fn ask(&mut self, cx: &mut Context<'_, Data>, socket: SocketKey) {
        let Ok(event) = socket::Event::new("ack", &()) else {
            return;
        };
        let asked = cx.server.emit_with_ack(cx.now, socket, &event, ACK_TIMEOUT);
        self.awaited.extend(asked);
    }

    fn handshake(&self, cx: &Context<'_, Data>, socket: SocketKey) -> Value {
        let connection = cx.server.connection(socket);
        let request = connection.and_then(|connection| self.handshakes.get(&connection));
        let request = request.cloned().unwrap_or_default();
        let auth = cx.server.data(socket).and_then(|data| data.auth.clone());
        json!({
            "url": request.url,
            "query": request.query,
            "headers": request.headers,
            "auth": auth.unwrap_or_else(|| json!({})),
        })
    }
}

impl Handshake {
    fn of(request: &Parts) -> Self {
        let query = request.uri.query().unwrap_or_default();
        let text = |value: &hyper::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        Self {
            url: request.uri.to_string(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
        }
    }
}

fn handle_binary(cx: &mut Context<'_, Data>, socket: SocketKey, event: &socket::Event) {
    let bytes = Bytes::from_static(b"asdfasdf");
    match event.name() {
        "doge" => reply::emit(cx, socket, "doge", &(bytes,)),
        "getbin" => reply::emit(cx, socket, "takebin", &(bytes,)),
        "buffa" if is_binary(event) => reply::emit(cx, socket, "buffack", &()),
        "blob" if is_binary(event) => reply::emit(cx, socket, "back", &()),
        "jsonbuff" if is_mixed(event) => reply::emit(cx, socket, "jsonbuff-ack", &()),
        "jsonblob" if is_mixed(event) => reply::emit(cx, socket, "jsonblob-ack", &()),
        "abuff1" if is_binary(event) => see(cx, socket, "abuff1"),
        "abuff2" if has_seen(cx, socket, "abuff1") => {
            reply::emit(cx, socket, "abuff2-ack", &());
        }
        "blob1" if is_binary(event) => see(cx, socket, "blob1"),
        "blob2" if has_seen(cx, socket, "blob1") && event.get(0) == Ok("second") => {
            see(cx, socket, "blob2");
        }
        "blob3" if has_seen(cx, socket, "blob2") && is_binary(event) => {
            reply::emit(cx, socket, "blob3-ack", &());
        }
        _ => {}
    }
}

fn is_binary(event: &socket::Event) -> bool {
    let handle = event.get::<Binary>(0);
    handle.is_ok_and(|handle| handle.resolve(event).is_some())
}

fn is_mixed(event: &socket::Event) -> bool {
    event.get::<Mixed>(0).is_ok_and(|mixed| {
        let has_bytes = mixed.message.resolve(event).is_some();
        mixed.hello == "lol" && mixed.goodbye == "gotcha" && has_bytes
    })
}

/// `(5, {test: truthy})`.
fn is_expected(args: &Args) -> bool {
    let is_truthy = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    };
    args.parse::<(Value, Value)>().is_ok_and(|(number, object)| {
        number.as_f64() == Some(5.0) && object.get("test").is_some_and(is_truthy)
    })
}

fn see(cx: &mut Context<'_, Data>, socket: SocketKey, name: &'static str) {
    let mut data = cx.server.data(socket).cloned().unwrap_or_default();
    data.seen.insert(name);
    cx.server.set_data(socket, data);
}

fn has_seen(cx: &Context<'_, Data>, socket: SocketKey, name: &str) -> bool {
    let data = cx.server.data(socket);
    data.is_some_and(|data| data.seen.contains(name))
}

/// The present moment as JavaScript's `toISOString` writes it.
fn date(cx: &Context<'_, Data>) -> String {
    let millis = cx.now.as_micros() / 1000;
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Civil from days: <https://howardhinnant.github.io/date_algorithms.html>
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}
