//! A chat whose clients recover:
//! `cargo run --release --example chat [--port 3000] [--data DIR] [--state FILE | --redis URL]`.
//!
//! There are two ways back. A client that has lost its connection gets its session back, with
//! everything that it missed, from the server's memory. A client whose session could not be
//! recovered (a reload, a crash of the server, two minutes offline) says which message it has seen
//! last, and gets the rest from the database.
//!
//! In the other direction a client retries what was not acknowledged. Its session knows what was
//! accepted before, and in a new session the database does: a message is stored once.
//!
//! With `--state FILE` sessions outlive a restart: Ctrl-C and SIGTERM write them to that file, and the
//! next start takes them from there.
//!
//! With `--redis URL` several processes are one chat, and a client recovers at any of them. Give them the
//! same `--data`, and the page the addresses of the others, which it tries in turn when it has lost its
//! connection:
//!
//! ```sh
//! cargo run --release --example chat -- --port 3000 --data chat --redis redis://localhost
//! cargo run --release --example chat -- --port 3001 --data chat --redis redis://localhost
//! # http://localhost:3000/?other=http://localhost:3001
//! ```
//!
//! The page loads the official client, which `npm ci` installs in `examples/chat/web`.

mod page;
mod room;
mod state;
mod store;

use std::{
    error::Error,
    path::PathBuf,
    process::ExitCode,
    sync::mpsc::{self, Receiver},
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp, cluster::ClusterConfig, hub::NamespaceError,
    server::Server,
};
use socketio_proto_redis::{RedisEngine, RedisStreamsOptions};
use socketio_proto_tokio::{
    Handle, Listeners, PeerLimits, SocketIoService, entropy, serve, shutdown_signal, start,
    start_clustered,
};

use self::{
    page::Page,
    room::Room,
    state::{State, Visitor},
    store::{Job, Place, Store},
};

const MAX_PAYLOAD: usize = 100_000;
const USAGE: &str = "usage: chat [--port PORT] [--data DIR] [--state FILE | --redis URL]";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = Arguments::read()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let page = Page::load();
    let place = Place::open(arguments.data)?;
    let state = arguments.state.map(State::new);
    let (jobs, queue) = mpsc::channel();
    let room = Room::new(jobs, state.as_ref().and_then(State::take));
    let (service, handle) = match arguments.redis {
        Some(url) => start_node(&url, room)?,
        None => start(with_namespace(Server::new(config(), entropy)?)?, room),
    };
    let store = start_store(&place, queue, handle.clone())?;

    let listeners = Listeners::bind(arguments.port)?;
    let port = listeners.port();
    println!("listening {port}");
    println!(
        "open http://localhost:{port} in two tabs; messages are in {}",
        place.path().display()
    );
    let site = service.at("/socket.io").or(page);
    let serving = serve(listeners, site, PeerLimits::default(), handle.closing());
    let serving = tokio::spawn(serving);
    shutdown_signal().await;
    handle.close_connections().await?;
    // Sessions shall have in their log whatever is in the database, so its answers come first.
    tokio::task::spawn_blocking(|| store.finish()).await?;
    let sessions = handle.hand_over().await?;
    if let Some(state) = state
        && let Err(error) = state.save(&sessions)
    {
        eprintln!("clients will not recover from the restart: {error}");
    }
    serving.await?;
    Ok(())
}

/// Starts one of several servers that are one chat.
fn start_node(url: &str, room: Room) -> Result<(SocketIoService, Handle<Room>), Box<dyn Error>> {
    let engine = RedisEngine::open(url, RedisStreamsOptions::new().stream_name("chat"))?;
    let node = ClusterConfig::from_entropy(&mut entropy);
    let server = with_namespace(Server::clustered(config(), node, entropy)?)?;
    Ok(start_clustered(server, room, engine))
}

fn config() -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    // For `examples/client`; the page's client does not notice.
    recovery.count_events = true;
    ServerConfig::new().max_payload(MAX_PAYLOAD).recovery(recovery)
}

fn with_namespace(mut server: Server<Visitor>) -> Result<Server<Visitor>, NamespaceError> {
    server.at(Timestamp::ZERO).add_namespace("/")?;
    Ok(server)
}

fn start_store(
    place: &Place,
    jobs: Receiver<Job>,
    handle: Handle<Room>,
) -> rusqlite::Result<Store> {
    Store::start(place.path(), jobs, move |answer| {
        handle.blocking_with(|room, cx| room.handle_answer(cx, answer)).ok();
    })
}

struct Arguments {
    port: u16,
    data: Option<PathBuf>,
    state: Option<PathBuf>,
    redis: Option<String>,
}

impl Arguments {
    /// `None` asks for help.
    fn read() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::{
            Arg::{Long, Short},
            ValueExt as _,
        };

        let mut arguments = Self { port: 3000, data: None, state: None, redis: None };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") | Short('p') => arguments.port = parser.value()?.parse()?,
                Long("data") => arguments.data = Some(parser.value()?.into()),
                Long("state") => arguments.state = Some(parser.value()?.into()),
                Long("redis") => arguments.redis = Some(parser.value()?.string()?),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        if arguments.state.is_some() && arguments.redis.is_some() {
            return Err(format!("--state is for a server that is alone\n{USAGE}").into());
        }
        Ok(Some(arguments))
    }
}
