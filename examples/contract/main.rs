//! The server that outside suites run against: the core behind sockets, and the event handlers that
//! they expect.
//!
//! `cargo run --release --example contract -- --profile <protocol|client|acceptance|interop>`
//!
//! | profile | for | port |
//! | --- | --- | --- |
//! | `protocol` | the official Engine.IO v4 and Socket.IO v5 protocol suites | 3000 |
//! | `client` | the official client's own test suite | 3210 |
//! | `acceptance` | black-box checks of recovery | 3300 |
//! | `interop` | this crate's own interop tests | a free one |
//!
//! It listens on 127.0.0.1 and `::1`, prints `listening <port>` when it accepts connections, and
//! runs until it is signalled. From the environment: `PORT` (0 for a free one), `RECOVERY_MS`,
//! `NODE_NAME` (default: the port), `REPLAY_ORDER` (`before-connect` for the reference's), `PING_INTERVAL`, `PING_TIMEOUT`,
//! `CORS_ORIGINS` and `ORIGINS` (comma-separated; `*` for all), `PACKETS_PER_SECOND` (of one connection), `MAX_CONNECTIONS`, `IO_TIMEOUT_MS` (for the head and the
//! body of a request, and for a client that does not read).

mod acceptance;
mod client;
mod echo;
mod interop;
mod protocol;
mod reply;
mod settings;
#[path = "../tokio_driver/mod.rs"]
mod tokio_driver;

use std::{error::Error, process::ExitCode};

use hyper::StatusCode;
use tokio::{sync::mpsc, task::JoinHandle};

use self::{
    settings::{Profile, Settings},
    tokio_driver::{
        Endpoint, Listeners, Machine, Route, Shutdown, Site, plain, serve, shutdown_on_signal,
        spawn,
    },
};

// One thread: the suites expect what arrives first to be handled first, also across connections.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("contract: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::read()?;
    let listeners = Listeners::bind(settings.port)?;
    let node = settings.node.clone().unwrap_or_else(|| listeners.port().to_string());
    let shutdown = shutdown_on_signal();
    let mut started = Started { routes: Vec::new(), tasks: Vec::new(), shutdown: shutdown.clone() };
    match settings.profile {
        Profile::Protocol => {
            let path = "/engine.io";
            started.add(path, &settings, echo::Echo::new(settings.engine()));
            started.add("/socket.io", &settings, protocol::machine(&settings)?);
        }
        Profile::Client => started.add("/socket.io", &settings, client::machine(&settings)?),
        Profile::Interop => {
            started.add("/socket.io", &settings, interop::machine(&settings, node)?);
        }
        Profile::Acceptance => {
            started.add("/socket.io", &settings, acceptance::machine(&settings, node)?);
        }
    }
    let site = Site {
        routes: started.routes,
        fallback: Box::new(|_| plain(StatusCode::NOT_FOUND, "Not found")),
        peer_limits: settings.peer_limits,
    };
    println!("listening {}", listeners.port());
    serve(listeners, site, started.tasks, shutdown).await;
    Ok(())
}

/// The machines that are running.
struct Started {
    routes: Vec<Route>,
    tasks: Vec<JoinHandle<()>>,
    shutdown: Shutdown,
}

impl Started {
    fn add(&mut self, path: &'static str, settings: &Settings, machine: impl Machine) {
        // Nobody else has anything to say here.
        let (_, messages) = mpsc::channel(1);
        let (endpoint, task): (Endpoint, _) = spawn(machine, messages, self.shutdown.clone());
        self.tasks.push(task);
        self.routes.push(Route {
            path,
            endpoint,
            max_payload: settings::MAX_PAYLOAD,
            cors: Some(settings.cors()),
            delay: settings.delay(),
        });
    }
}
