//! A process that serves clients.

use std::{
    error::Error,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use serde_json::json;
use socket2::{Domain, Socket, Type};
use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    cluster::engines::sqlite::Sqlite,
    server::{Server, ServerEvent},
    socket::Args,
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
use socketio_proto_tokio::{
    App, Context, PeerLimits, entropy, serve, shutdown_signal, start_clustered,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, UnixListener},
};

use crate::{arguments::Arguments, pass_on::PassOn};

/// The connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// What clients say is for everyone.
struct Square {
    worker: usize,
}

impl App for Square {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { event, ack, .. } => {
                if let ("say", Ok(text)) = (event.name(), event.get::<String>(0)) {
                    cx.at().all().emit("said", &(text,)).ok();
                }
                let here = json!({ "worker": self.worker, "process": std::process::id() });
                if let (Some(token), Ok(args)) = (ack, Args::new(&(here,))) {
                    cx.at().ack(token, &args);
                }
            }
            _ => {}
        }
    }
}

pub async fn run(arguments: Arguments, worker: usize) -> Result<(), Box<dyn Error>> {
    let file = SqliteConfig::new(&arguments.file).on_event(|event| eprintln!("{event}"));
    let engine = SqliteEngine::open(file)?;
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let cluster = Sqlite::cluster_config(&mut entropy);
    let mut server = Server::clustered(config, cluster, entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    let (service, handle) = start_clustered(server, Square { worker }, engine);

    let public = listen(arguments.port)?;
    let private = listen_beside(&arguments.socket(worker))?;
    let others = (0..arguments.workers).filter(|other| *other != worker);
    let others: Arc<[_]> = others.map(|other| arguments.socket(other)).collect();
    let site = service.at("/socket.io");
    let serving =
        serve(public, PassOn::new(site.clone(), others), PeerLimits::default(), handle.closing());
    // The others connect for each request.
    let answering = serve(private, site, PeerLimits::default(), handle.closing());
    println!("listening {}", arguments.port);
    let ending = async {
        tokio::select! {
            () = stdin_closed() => {}
            () = shutdown_signal() => {}
        }
        handle.shutdown().await
    };
    let (ended, (), ()) = tokio::join!(ending, serving, answering);
    fs::remove_file(arguments.socket(worker)).ok();
    Ok(ended?)
}

/// Binds the port, which the other workers bind, too.
pub fn bind(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = bind(port)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn listen_beside(path: &Path) -> io::Result<UnixListener> {
    // An earlier worker with this number may have been killed.
    fs::remove_file(path).ok();
    UnixListener::bind(path)
}

/// The process that has started this one wants it to end, or has ended itself.
async fn stdin_closed() {
    let mut byte = [0; 1];
    while tokio::io::stdin().read(&mut byte).await.is_ok_and(|len| len > 0) {}
}
