//! Socket.IO beside the routes of an axum application: `cargo run --release --example axum`.
//!
//! `PORT` is the port, `ORIGIN` another origin whose pages may use the server, and `STATE` the file
//! by which sessions outlive a restart: Ctrl-C and SIGTERM write it, and the next start takes it.

use std::{collections::BTreeMap, env, error::Error, fs, sync::Arc, time::Duration};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header, request::Parts};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse};
use axum::{Router, routing::get, routing::post};
use cookie::{Cookie, SameSite};
use serde_json::{Value, json};
use socketio_proto::hub::{Rejection, Snapshot};
use socketio_proto::server::{Server, ServerEvent};
use socketio_proto::socket::{Args, Binary, Event};
use socketio_proto::{ConnectionId, Origins, RecoveryConfig, ServerConfig, SocketKey, Timestamp};
use socketio_proto_tokio::{App, Context, Handle, entropy, shutdown_signal, start};
use tower_http::cors::CorsLayer;

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

/// The users of the connections whose handshake had a cookie.
#[derive(Default)]
struct Site(BTreeMap<ConnectionId, &'static str>);

/// Its data of a socket is the name of the user.
type Cx<'a> = Context<'a, String>;

impl App for Site {
    type Data = String;

    fn handle_handshake(&mut self, connection: ConnectionId, request: &Arc<Parts>) {
        self.0.extend(user_by_cookie(&request.headers).map(|user| (connection, user)));
    }

    fn handle_event(&mut self, cx: &mut Cx<'_>, event: ServerEvent<String>) {
        match event {
            ServerEvent::ConnectRequested { request, connection, namespace, auth, recoverable } => {
                let token = auth.parse::<Value>().ok().and_then(|auth| auth.get("token").cloned());
                let by_cookie = self.0.get(&connection).copied();
                let user = token.map_or(by_cookie, |token| user_of(token.as_str()?));
                let may_join = |user: &&str| namespace.as_str() != "/admin" || *user == "root";
                let Some(user) = user.filter(may_join) else {
                    cx.at().reject(request, &Rejection::new("not authorized"));
                    return;
                };
                // Nobody continues the session of another user: it has that user's rooms and events.
                let owner = recoverable.and_then(|socket| cx.server.data(socket));
                if let Some(socket) = recoverable.filter(|_| owner.is_some_and(|it| it != user)) {
                    cx.at().disconnect(socket, false);
                }
                if let Some(socket) = cx.at().accept(request) {
                    cx.at().set_data(socket, user.to_owned());
                }
            }
            ServerEvent::ConnectionClosed { connection, .. } => {
                self.0.remove(&connection);
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                let answer = receive(cx, socket, &event);
                let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
                if let (Some(token), Ok(answer)) = (ack, Args::new(&(answer,))) {
                    cx.at().ack(token, &answer);
                }
            }
            _ => {}
        }
    }
}

fn receive(cx: &mut Cx<'_>, from: SocketKey, event: &Event) -> Result<Value, Box<dyn Error>> {
    let user = cx.server.data(from).cloned();
    match event.name() {
        "join" => Ok(cx.at().join(from, event.get(0)?)?.into()),
        "say" => {
            let (room, text): (&str, &str) = event.parse()?;
            Ok(cx.at().socket(from).to(room).emit("said", &(user, text))?.sockets.into())
        }
        "upload" => {
            let (room, name, content): (&str, &str, Binary) = event.parse()?;
            let content = content.resolve(event).ok_or("no content")?;
            cx.at().socket(from).to(room).emit("uploaded", &(user, name, content))?;
            Ok(content.len().into())
        }
        _ => Err("no such event".into()),
    }
}

const ENDED: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
type SiteState = State<Handle<Site>>;
type Answer<T> = Result<T, StatusCode>;

async fn log_in(token: String) -> Answer<impl IntoResponse> {
    let user = user_of(&token).ok_or(StatusCode::FORBIDDEN)?;
    let cookie = Cookie::build(("token", token)).http_only(true).same_site(SameSite::Strict);
    Ok(([(header::SET_COOKIE, cookie.path("/").to_string())], user))
}

async fn only_users(request: Request, next: Next) -> Answer<impl IntoResponse> {
    user_by_cookie(request.headers()).ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(next.run(request).await)
}

async fn announce(State(handle): SiteState, text: String) -> Answer<String> {
    let reach = handle.all().emit("news", &(&text,)).await.or(Err(ENDED))?;
    handle.of("/admin").emit("announced", &(text,)).await.or(Err(ENDED))?;
    Ok(reach.sockets.to_string())
}

/// Asks everybody in a room, and waits for the answers for at most a second.
async fn ask(State(handle): SiteState, Path(room): Path<String>, text: String) -> Answer<String> {
    let question = (text,);
    let asked = handle.to(room).emit_with_ack("question", &question, Duration::from_secs(1));
    let answers = asked.await.or(Err(ENDED))?;
    let texts: Vec<&str> = answers.responses.iter().flat_map(|(_, args)| args.get(0)).collect();
    Ok(format!("{}; silent: {}", texts.join(", "), answers.missing))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let origin = env::var("ORIGIN").unwrap_or_else(|_| "http://localhost:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    // CORS does not keep a page from opening a WebSocket; the origins of the server do.
    let own = ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:{port}"));
    let origins = Origins::list(own.into_iter().chain([origin.clone()]));
    let config = ServerConfig::new().origins(origins).recovery(RecoveryConfig::new());
    let mut server = Server::new(config, entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    server.at(Timestamp::ZERO).add_namespace("/admin")?;
    let (service, handle) = start(server, Site::default());

    let state = env::var("STATE").ok();
    if let Some(path) = state.as_ref().filter(|path| fs::exists(path).unwrap_or(true)) {
        let sessions: Snapshot<String> = serde_json::from_slice(&fs::read(path)?)?;
        // Sessions can be continued only once.
        fs::remove_file(path)?;
        handle.with(|_, cx| cx.at().restore(sessions).map(drop)).await??;
    }
    let cors = CorsLayer::new().allow_origin([origin.parse()?]).allow_credentials(true);
    let cors =
        cors.allow_methods([Method::GET, Method::POST]).allow_headers([header::CONTENT_TYPE]);
    let routes = Router::new()
        .route("/announce", post(announce))
        .route("/rooms/{room}/ask", post(ask))
        .route_layer(from_fn(only_users))
        .route("/", get(Html(include_str!("page.html"))))
        .route("/login", post(log_in))
        .with_state(handle.clone())
        .route_service("/socket.io/", service)
        .layer(cors);
    let serving = axum::serve(listener, routes).with_graceful_shutdown(handle.closing());
    let serving = tokio::spawn(serving.into_future());
    println!("listening {port}");
    shutdown_signal().await;
    let sessions = handle.hand_over().await?;
    if let Some(path) = state {
        let mut options = fs::OpenOptions::new();
        // A private id is enough to take over a session.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        serde_json::to_writer(options.write(true).create_new(true).open(path)?, &sessions)?;
    }
    Ok(serving.await??)
}
