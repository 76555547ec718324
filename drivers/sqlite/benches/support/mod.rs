//! Servers in processes of their own, so that what they cost can be told apart.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp, cluster::engines::sqlite::Sqlite, server::Server,
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
use socketio_proto_tokio::{App, PeerLimits, entropy, serve, start, start_clustered};
use tokio::net::TcpListener;

pub type Failure = Box<dyn std::error::Error>;

/// Runs a server around a file, as the engine is meant to be used, or without one. Its port is the first
/// line of the output.
pub async fn run_server(app: impl App<Data = ()>, file: Option<&String>) -> Result<(), Failure> {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let (service, handle) = if let Some(file) = file {
        let cluster = Sqlite::cluster_config(&mut entropy);
        let mut server = Server::clustered(config, cluster, entropy)?;
        server.at(Timestamp::ZERO).add_namespace("/")?;
        start_clustered(server, app, SqliteEngine::open(SqliteConfig::new(file))?)
    } else {
        let mut server = Server::new(config, entropy)?;
        server.at(Timestamp::ZERO).add_namespace("/")?;
        start(server, app)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    serve(listener, service.at("/socket.io"), PeerLimits::default(), handle.closing()).await;
    Ok(())
}

/// The process of a server.
pub struct Process {
    pub child: Child,
    pub port: u16,
}

impl Process {
    /// Runs this program with `serve` and this file.
    pub fn start(file: Option<impl AsRef<OsStr>>) -> Result<Self, Failure> {
        Self::run(Command::new(env::current_exe()?), file)
    }

    /// The same by a command that runs this program.
    pub fn run(mut command: Command, file: Option<impl AsRef<OsStr>>) -> Result<Self, Failure> {
        command.arg("serve").args(file).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse()? })
    }

    /// The CPU time that all its threads have taken. Zero where there is no `/proc`.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let of_task = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        let nanos = tasks.into_iter().flatten().flatten().filter_map(of_task).sum();
        Duration::from_nanos(nanos)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
