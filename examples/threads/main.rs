//! The application of `examples/axum` on plain threads, without an async runtime and without an HTTP
//! server: `cargo run --release --example threads`.
//!
//! `PORT` is the port, `ORIGIN` another origin whose pages may use the server, and `STATE` the file
//! by which sessions outlive a restart: Ctrl-C and SIGTERM write it, and the next start takes it.

mod driver;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::mpsc::{self, Sender};
use std::{env, error::Error, fs, time::Duration};

use bytes::Bytes;
use cookie::{Cookie, SameSite};
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use socketio_proto::engine::Cors;
use socketio_proto::hub::{Rejection, Snapshot};
use socketio_proto::server::{Server, ServerEvent};
use socketio_proto::socket::{Args, Binary, Event};
use socketio_proto::{AckId, ConnectionId, Origins, SocketKey, Timestamp};
use socketio_proto::{RecoveryConfig, ServerConfig};
use socketio_proto_http1::Endpoint;

use driver::{App, Driver};

/// Tokens and their users. A real application asks its database.
const TOKENS: [(&str, &str); 2] = [("token-of-ann", "ann"), ("token-of-root", "root")];

fn user_of(token: &str) -> Option<&'static str> {
    TOKENS.iter().find(|(known, _)| *known == token).map(|(_, user)| *user)
}

fn user_by_cookie(headers: &HeaderMap) -> Option<&'static str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let token = Cookie::split_parse(cookies).flatten().find(|cookie| cookie.name() == "token")?;
    user_of(token.value())
}

#[derive(Default)]
struct Site {
    /// The users of the connections whose handshake had a cookie.
    users: BTreeMap<ConnectionId, &'static str>,
    /// Who waits for the answers to a question.
    asked: BTreeMap<AckId, Sender<String>>,
}

impl App for Site {
    /// The data of a socket is the name of the user.
    type Data = String;

    fn handle_handshake(&mut self, connection: ConnectionId, request: &Parts) {
        self.users.extend(user_by_cookie(&request.headers).map(|user| (connection, user)));
    }

    fn handle_event(
        &mut self,
        server: &mut Server<String>,
        now: Timestamp,
        event: ServerEvent<String>,
    ) {
        match event {
            ServerEvent::ConnectRequested { request, connection, namespace, auth, recoverable } => {
                let token = auth.parse::<Value>().ok().and_then(|auth| auth.get("token").cloned());
                let by_cookie = self.users.get(&connection).copied();
                let user = token.map_or(by_cookie, |token| user_of(token.as_str()?));
                let may_join = |user: &&str| namespace.as_str() != "/admin" || *user == "root";
                let Some(user) = user.filter(may_join) else {
                    server.at(now).reject(request, &Rejection::new("not authorized"));
                    return;
                };
                // Nobody continues the session of another user: it has that user's rooms and events.
                let owner = recoverable.and_then(|socket| server.data(socket));
                if let Some(socket) = recoverable.filter(|_| owner.is_some_and(|it| it != user)) {
                    server.at(now).disconnect(socket, false);
                }
                if let Some(socket) = server.at(now).accept(request) {
                    server.at(now).set_data(socket, user.to_owned());
                }
            }
            ServerEvent::ConnectionClosed { connection, .. } => {
                self.users.remove(&connection);
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                let answer = receive(server, now, socket, &event);
                let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
                if let (Some(token), Ok(answer)) = (ack, Args::new(&(answer,))) {
                    server.at(now).ack(token, &answer);
                }
            }
            ServerEvent::BroadcastAcked { ack, responses, missing, .. } => {
                if let Some(asked) = self.asked.remove(&ack) {
                    let texts: Vec<&str> =
                        responses.iter().flat_map(|(_, args)| args.get(0)).collect();
                    asked.send(format!("{}; silent: {missing}", texts.join(", "))).ok();
                }
            }
            _ => {}
        }
    }

    fn answer(driver: &Driver<Self>, request: Request<Bytes>) -> Response<Bytes> {
        route(driver, request).unwrap_or_else(|status| {
            let mut response = Response::default();
            *response.status_mut() = status;
            response
        })
    }
}

fn receive(
    server: &mut Server<String>,
    now: Timestamp,
    from: SocketKey,
    event: &Event,
) -> Result<Value, Box<dyn Error>> {
    let user = server.data(from).cloned();
    match event.name() {
        "join" => Ok(server.at(now).join(from, event.get(0)?)?.into()),
        "say" => {
            let (room, text): (&str, &str) = event.parse()?;
            let reach = server.at(now).socket(from).to(room).emit("said", &(user, text))?;
            Ok(reach.sockets.into())
        }
        "upload" => {
            let (room, name, content): (&str, &str, Binary) = event.parse()?;
            let content = content.resolve(event).ok_or("no content")?;
            server.at(now).socket(from).to(room).emit("uploaded", &(user, name, content))?;
            Ok(content.len().into())
        }
        _ => Err("no such event".into()),
    }
}

type Answer<T> = Result<T, StatusCode>;

fn route(driver: &Driver<Site>, request: Request<Bytes>) -> Answer<Response<Bytes>> {
    let (parts, body) = request.into_parts();
    let text = str::from_utf8(&body).or(Err(StatusCode::BAD_REQUEST))?;
    let user = user_by_cookie(&parts.headers).ok_or(StatusCode::UNAUTHORIZED);
    let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    let answer = match (&parts.method, &path[..]) {
        (&Method::GET, [""]) => {
            let page = Response::new(Bytes::from_static(include_bytes!("../axum/page.html")));
            return Ok(with(page, header::CONTENT_TYPE, "text/html; charset=utf-8"));
        }
        (&Method::POST, ["login"]) => {
            let user = user_of(text).ok_or(StatusCode::FORBIDDEN)?;
            let cookie = Cookie::build(("token", text)).http_only(true).path("/");
            let cookie = cookie.same_site(SameSite::Strict).to_string();
            return Ok(with(Response::new(user.into()), header::SET_COOKIE, &cookie));
        }
        (&Method::POST, ["announce"]) => user.and_then(|_| announce(driver, text))?,
        (&Method::POST, ["rooms", room, "ask"]) => {
            let room = percent_decode_str(room).decode_utf8().or(Err(StatusCode::BAD_REQUEST))?;
            user.and_then(|_| ask(driver, &room, text))?
        }
        _ => return Err(StatusCode::NOT_FOUND),
    };
    Ok(Response::new(answer.into()))
}

fn with(mut response: Response<Bytes>, name: header::HeaderName, value: &str) -> Response<Bytes> {
    response.headers_mut().extend(value.parse().ok().map(|value| (name, value)));
    response
}

fn announce(driver: &Driver<Site>, text: &str) -> Answer<String> {
    driver.with(|_, server, now| {
        let reach = server.at(now).all().emit("news", &(text,));
        let reach = reach.or(Err(StatusCode::SERVICE_UNAVAILABLE))?;
        server.at(now).of("/admin").emit("announced", &(text,)).ok();
        Ok(reach.sockets.to_string())
    })
}

/// Asks everybody in a room, and waits for the answers for at most a second.
fn ask(driver: &Driver<Site>, room: &str, text: &str) -> Answer<String> {
    let (answer, answered) = mpsc::channel();
    driver.with(|site, server, now| {
        let timeout = Duration::from_secs(1);
        let asked = server.at(now).to(room).emit_with_ack("question", &(text,), timeout);
        site.asked.extend(asked.ok().map(|ack| (ack, answer)));
    });
    answered.recv().or(Err(StatusCode::SERVICE_UNAVAILABLE))
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let origin = env::var("ORIGIN").unwrap_or_else(|_| "http://localhost:8080".to_owned());
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let port = listener.local_addr()?.port();
    // CORS does not keep a page from opening a WebSocket; the origins of the server do.
    let own = ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:{port}"));
    let origins = Origins::list(own.into_iter().chain([origin.clone()]));
    let config = ServerConfig::new().origins(origins).recovery(RecoveryConfig::new());
    let entropy = |dest: &mut [u8]| getrandom::fill(dest).expect("the system has randomness");
    let mut server = Server::new(config, entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    server.at(Timestamp::ZERO).add_namespace("/admin")?;
    let cors = Cors::new(Origins::list([origin])).credentials(true);
    let driver = Driver::new(Endpoint::new(server).cors(cors), Site::default());

    let state = env::var("STATE").ok();
    if let Some(path) = state.as_ref().filter(|path| fs::exists(path).unwrap_or(true)) {
        let sessions: Snapshot<String> = serde_json::from_slice(&fs::read(path)?)?;
        // Sessions can be continued only once.
        fs::remove_file(path)?;
        driver.with(|_, server, now| server.at(now).restore(sessions).map(drop))?;
    }
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || stop.send(()).unwrap_or_default())?;
    driver.serve(listener, 1_000);
    println!("listening {port}");
    stopped.recv()?;
    driver.shut_down();
    if let Some(path) = state {
        let sessions = driver.with(|_, server, now| server.snapshot(now));
        let mut options = fs::OpenOptions::new();
        // A private id is enough to take over a session.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        serde_json::to_writer(options.write(true).create_new(true).open(path)?, &sessions)?;
    }
    Ok(())
}
