//! A chat whose clients recover:
//! `cargo run --release --example chat [--port 3000] [--data DIR] [--cluster URL]`.
//!
//! There are two ways back. A client that has lost its connection gets its session back, with
//! everything that it missed. A client whose session could not be recovered (a reload, two minutes
//! offline) says which message it has seen last, and gets the rest from the database.
//!
//! In the other direction a client retries what was not acknowledged. Its session knows what was
//! accepted before, and in a new session the database does: a message is stored once. If it comes again, it
//! is announced again, because a process that was killed may have stored it and told nobody. So everybody
//! hears what was acknowledged, and pages leave out what they have.
//!
//! Sessions are in a file, too: `sessions.db`, beside the database. With `--data DIR` both outlive a
//! restart and a crash, and the clients come back to the next process as if nothing had happened.
//!
//! With `--cluster redis://HOST` or `--cluster postgres://USER@HOST/DATABASE` the sessions are there
//! instead. Several processes are one chat, and a client recovers at any of them. Give them the same
//! `--data`, and the page the addresses of the others, which it tries in turn when it has lost its
//! connection:
//!
//! ```sh
//! cargo run --release --example chat -- --port 3000 --data chat --cluster redis://localhost
//! cargo run --release --example chat -- --port 3001 --data chat --cluster redis://localhost
//! # http://localhost:3000/?other=http://localhost:3001
//! ```
//!
//! `redis+pubsub://HOST` does the same without a stream: a client recovers at processes that were there all the
//! time. So does `redis+sharded://HOST`, with the channels of the sharded adapter.
//!
//! The page loads the official client, which `npm ci` installs in `examples/chat/web`.

mod page;
mod room;
mod store;

use std::{
    error::Error,
    path::PathBuf,
    process::ExitCode,
    sync::mpsc::{self, Receiver},
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    cluster::{Channels, ClusterConfig, Durability},
    server::Server,
};
use socketio_proto_mongodb::{MongodbEngine, MongodbOptions};
use socketio_proto_postgres::{PostgresEngine, PostgresOptions};
use socketio_proto_redis::{
    RedisEngine, RedisPubSubEngine, RedisPubSubOptions, RedisShardedEngine, RedisShardedOptions,
    RedisStreamsOptions, SubscriptionMode,
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
use socketio_proto_tokio::{
    Handle, Listeners, PeerLimits, SocketIoService, entropy, serve, shutdown_signal,
    start_clustered,
};

use self::{
    page::Page,
    room::{Room, Visitor},
    store::{Job, Place, Store},
};

const MAX_PAYLOAD: usize = 100_000;
const USAGE: &str = "usage: chat [--port PORT] [--data DIR] [--cluster URL]";

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
    let (jobs, queue) = mpsc::channel();
    let room = Room::new(jobs);
    let (service, handle) = if let Some(url) = arguments.cluster {
        start_on(&url, room)?
    } else {
        let file = SqliteConfig::new(place.sessions()).on_event(|event| eprintln!("{event}"));
        start_clustered(server(Channels::ONE)?, room, SqliteEngine::open(file)?)
    };
    let store = start_store(&place, queue, handle.clone())?;

    let listeners = Listeners::bind(arguments.port)?;
    let port = listeners.port();
    println!("listening {port}");
    println!(
        "open http://localhost:{port} in two tabs; messages are in {}",
        place.messages().display()
    );
    let site = service.at("/socket.io").or(page);
    let serving = serve(listeners, site, PeerLimits::default(), handle.closing());
    let serving = tokio::spawn(serving);
    shutdown_signal().await;
    handle.close_connections().await?;
    // Sessions shall have in their log whatever is in the database, so its answers come first.
    tokio::task::spawn_blocking(|| store.finish()).await?;
    handle.shutdown().await?;
    serving.await?;
    Ok(())
}

/// Starts the server on the engine that the URL names.
fn start_on(url: &str, room: Room) -> Result<(SocketIoService, Handle<Room>), Box<dyn Error>> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("redis" | "rediss" | "unix") => {
            let options = RedisStreamsOptions::new().stream_name("chat");
            let engine = RedisEngine::open(url, options)?;
            Ok(start_clustered(server(engine.channels())?, room, engine))
        }
        Some("redis+pubsub" | "rediss+pubsub") => {
            let options = RedisPubSubOptions::new().key("chat");
            let engine = RedisPubSubEngine::open(url.replacen("+pubsub", "", 1), options)?;
            Ok(start_clustered(server(Channels::ONE)?, room, engine))
        }
        Some("redis+sharded" | "rediss+sharded") => {
            let options = RedisShardedOptions::new()
                .channel_prefix("chat")
                .subscription_mode(SubscriptionMode::Static);
            let engine = RedisShardedEngine::open(url.replacen("+sharded", "", 1), options)?;
            Ok(start_clustered(server(Channels::ONE)?, room, engine))
        }
        Some("mongodb") => {
            let engine = MongodbEngine::open(url, MongodbOptions::new())?;
            Ok(start_clustered(server(Channels::ONE)?, room, engine))
        }
        Some("postgres" | "postgresql") => {
            let options = PostgresOptions::new().table_prefix("chat").channel_prefix("chat");
            let engine = PostgresEngine::open(url, options)?;
            Ok(start_clustered(server(Channels::ONE)?, room, engine))
        }
        _ => Err(format!("no engine for {url}\n{USAGE}").into()),
    }
}

fn server(channels: Channels) -> Result<Server<Visitor>, Box<dyn Error>> {
    let mut recovery = RecoveryConfig::default();
    // For `examples/client`; the page's client does not notice.
    recovery.count_events = true;
    let config = ServerConfig::new().max_payload(MAX_PAYLOAD).recovery(recovery);
    let node = ClusterConfig::from_entropy(&mut entropy)
        .channels(channels)
        // Tabs come back after a crash, too.
        .durability(Durability::OnChange);
    let mut server = Server::clustered(config, node, entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    Ok(server)
}

fn start_store(
    place: &Place,
    jobs: Receiver<Job>,
    handle: Handle<Room>,
) -> rusqlite::Result<Store> {
    Store::start(&place.messages(), jobs, move |answer| {
        handle.blocking_with(|room, cx| room.handle_answer(cx, answer)).ok();
    })
}

struct Arguments {
    port: u16,
    data: Option<PathBuf>,
    cluster: Option<String>,
}

impl Arguments {
    /// `None` asks for help.
    fn read() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::{
            Arg::{Long, Short},
            ValueExt as _,
        };

        let mut arguments = Self { port: 3000, data: None, cluster: None };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") | Short('p') => arguments.port = parser.value()?.parse()?,
                Long("data") => arguments.data = Some(parser.value()?.into()),
                Long("cluster") => arguments.cluster = Some(parser.value()?.string()?),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        Ok(Some(arguments))
    }
}
