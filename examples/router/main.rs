//! Handlers by namespace and event, as in Node.js: `cargo run --release --example router`.
//!
//! `examples/echo` does without them: there, one function gets all events.

use std::{error::Error, time::Duration};

use serde::Deserialize;
use serde_json::json;
use socketio_proto::hub::{Audience, Rejection};
use socketio_proto::{RecoveryConfig, ServerConfig, server::Server};
use socketio_proto_tokio::router::{
    Connecting, Disconnecting, ErrorAnswer, Namespace, Received, Router,
};
use socketio_proto_tokio::{Context, Listeners, entropy, run};

/// What is known of a socket.
#[derive(Default)]
struct User {
    name: String,
}

type Cx<'a> = Context<'a, User>;

#[derive(Deserialize)]
struct Auth {
    name: String,
}

/// `io.use(async (socket, next) => …)`
async fn log_in(connecting: Connecting<User>) -> Result<(), Rejection> {
    let auth: Auth = connecting.auth.parse().map_err(|_| Rejection::new("who are you?"))?;
    // A real application asks its database.
    tokio::time::sleep(Duration::from_millis(1)).await;
    if auth.name == "eve" {
        let rejection = Rejection::new("not authorized");
        return Err(rejection.clone().data(&json!({ "retry": false })).unwrap_or(rejection));
    }
    connecting.update_data(|user| user.name = auth.name);
    Ok(())
}

/// `socket.on("join", (room, callback) => …)`: the next event may depend on it, so it does not wait.
fn join(
    cx: &mut Cx<'_>,
    received: &Received<User>,
    (room,): (String,),
) -> Result<(usize,), ErrorAnswer> {
    cx.at().join(received.socket, &room)?;
    let name = cx.server.data(received.socket).map(|user| user.name.clone());
    cx.at().socket(received.socket).to(&room).emit("joined", &(name,))?;
    Ok((cx.at().local_sockets("/", &Audience::room(room))?.len(),))
}

/// `socket.on("ask", async (room, question, callback) => …)`
async fn ask(
    received: Received<User>,
    (room, question): (String, String),
) -> Result<(Vec<String>,), ErrorAnswer> {
    let others = received.broadcast().to(room);
    let asked = others.emit_with_ack("question", &(question,), Duration::from_secs(5)).await?;
    let answers = asked.responses.iter().filter_map(|(_, args)| args.get(0).ok());
    Ok((answers.collect(),))
}

/// `socket.on("disconnecting", (reason) => …)`
fn leave(cx: &mut Cx<'_>, gone: &Disconnecting<User>) {
    // While its client may come back, the server keeps the data.
    let user = gone.data.as_ref().or_else(|| cx.server.data(gone.socket));
    let name = user.map(|user| user.name.clone());
    for room in gone.rooms.iter() {
        let left = (&name, gone.reason.as_str());
        cx.at().to(room).except_socket(gone.socket).emit("left", &left).ok();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let chat = Namespace::new()
        .middleware_async(log_in)
        .on("join", join)
        .on_async("ask", ask)
        .on_disconnecting(|cx, gone| leave(cx, &gone));
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let listeners = Listeners::bind(port)?;
    println!("listening {}", listeners.port());
    run(listeners, Server::new(config, entropy)?, Router::new().namespace("/", chat)).await;
    Ok(())
}
