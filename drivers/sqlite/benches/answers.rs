//! What it costs to answer an event whose offset the session remembers, with the sessions written ahead: the
//! record of the session has all offsets that it remembers, and is written before each answer is sent.
//!
//! `cargo bench -p socketio-proto-sqlite --bench answers` prints the bytes written and the CPU time of the
//! server for each answer, as the number of remembered offsets grows. The server is a process of its own.
#![expect(clippy::print_stdout, reason = "it measures, and reports")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    cluster::{ClusterConfig, Durability},
    hub::Once,
    server::{Server, ServerEvent},
    socket::Args,
};
use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
use socketio_proto_tokio::{App, Context, PeerLimits, entropy, serve, start_clustered};
use socketio_proto_tokio_client::{Options, Socket, connect};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error>;

/// Answers each event once.
struct Answering;

impl App for Answering {
    type Data = ();

    fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                let Ok((offset,)) = event.parse::<(String,)>() else { return };
                if let Ok(Once::Fresh(Some(ack))) = cx.at().accept_once(socket, &offset, ack) {
                    cx.at().ack(ack, &Args::empty());
                }
            }
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => run_server(arguments.get(2).ok_or("no file")?).await,
        // `cargo test --benches` has it run once, to see that it works.
        _ => measure(arguments.iter().any(|it| it == "--bench")).await,
    }
}

async fn run_server(file: &str) -> Result<(), Failure> {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let cluster = ClusterConfig::from_entropy(&mut entropy).durability(Durability::OnChange);
    let mut server = Server::clustered(config, cluster, entropy)?;
    server.at(Timestamp::ZERO).add_namespace("/")?;
    let engine = SqliteEngine::open(SqliteConfig::new(file))?;
    let (service, handle) = start_clustered(server, Answering, engine);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    serve(listener, service.at("/socket.io"), PeerLimits::default(), handle.closing()).await;
    Ok(())
}

/// A server in a process of its own.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn start(file: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("serve").arg(file).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse()? })
    }

    /// The bytes that it has written to files, and the microseconds of CPU that its threads have taken.
    /// Zero where there is no `/proc`.
    fn costs(&self) -> (f64, f64) {
        let folder = format!("/proc/{}", self.child.id());
        let io = fs::read_to_string(format!("{folder}/io")).unwrap_or_default();
        let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
        let of_task = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        };
        let tasks = fs::read_dir(format!("{folder}/task"));
        let nanos: f64 = tasks.into_iter().flatten().flatten().filter_map(of_task).sum();
        (written.unwrap_or_default(), nanos / 1e3)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Says something with an offset of 36 bytes, as a UUID has, and waits for the answer.
async fn say(socket: &Socket, number: u32) -> Result<(), Failure> {
    socket.emit_with_ack("say", &(format!("{number:036}"),), Duration::from_secs(60)).await?;
    Ok(())
}

async fn measure(is_whole: bool) -> Result<(), Failure> {
    let (sizes, count): (&[u32], u32) =
        if is_whole { (&[0, 64, 256, 1024], 200) } else { (&[0, 4], 4) };
    let folder = env::temp_dir().join(format!("socketio-proto-answers-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let server = Process::start(&folder.join("sessions.db"))?;
    let (socket, _events) =
        connect(&format!("http://127.0.0.1:{}", server.port), Options::new()).await?;
    println!("offsets remembered | bytes written an answer | CPU us an answer");
    let mut said = 0;
    for size in sizes {
        while said < *size {
            say(&socket, said).await?;
            said += 1;
        }
        let before = server.costs();
        for number in said..said + count {
            say(&socket, number).await?;
        }
        said += count;
        let after = server.costs();
        let each = |before: f64, after: f64| (after - before) / f64::from(count);
        let (bytes, cpu) = (each(before.0, after.0), each(before.1, after.1));
        println!("{:>9} to {said:<6} {bytes:>12.0} {cpu:>12.1}", said - count);
    }
    drop(server);
    fs::remove_dir_all(&folder)?;
    Ok(())
}
