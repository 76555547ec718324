//! The process that starts the workers, and starts them again.

use std::{error::Error, io, pin::pin, process::Stdio, time::Duration};

use socketio_proto_tokio::shutdown_signal;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};

use crate::{arguments::Arguments, worker};

/// The pause before a worker that has failed is started again.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for a restart. Answered when the next worker listens.
type Restart = oneshot::Sender<()>;

pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Nothing is accepted here. It keeps the port, which may be a free one.
    let reserved = worker::bind(arguments.port)?;
    arguments.port = reserved.local_addr()?.as_socket().map_or(0, |address| address.port());

    let mut keepers = JoinSet::new();
    let mut restarts = Vec::new();
    for index in 0..arguments.workers {
        let (restart, orders) = mpsc::channel(1);
        let (started, is_started) = oneshot::channel();
        keepers.spawn(keep(arguments.clone(), index, orders, started));
        restarts.push(restart);
        is_started.await.map_err(|_| "it cannot start its workers")?;
    }
    println!("listening {}", arguments.port);

    let mut hang_up = signal(SignalKind::hangup())?;
    let mut shutdown = pin!(shutdown_signal());
    loop {
        tokio::select! {
            _ = hang_up.recv() => tokio::select! {
                () = restart_all(&restarts) => {}
                // A worker that does not start is not waited for.
                () = &mut shutdown => break,
            },
            () = &mut shutdown => break,
        }
    }
    drop(restarts);
    while keepers.join_next().await.is_some() {}
    Ok(())
}

/// One after another, so that there are always some.
async fn restart_all(restarts: &[mpsc::Sender<Restart>]) {
    for restart in restarts {
        let (done, is_done) = oneshot::channel();
        restart.send(done).await.ok();
        is_done.await.ok();
    }
    println!("restarted");
}

/// Keeps a worker running, until there are no more orders.
async fn keep(
    arguments: Arguments,
    index: usize,
    mut orders: mpsc::Receiver<Restart>,
    started: Restart,
) {
    let mut waits = Some(started);
    let mut has_started = false;
    loop {
        let mut child = match start(&arguments, index).await {
            Ok(child) => child,
            Err(error) => {
                eprintln!("worker {index} did not start: {error}");
                if !has_started {
                    // It would not start later either.
                    return;
                }
                sleep(PAUSE).await;
                if orders.is_closed() {
                    return;
                }
                continue;
            }
        };
        has_started = true;
        if let Some(waits) = waits.take() {
            waits.send(()).ok();
        }
        // Waiting would close it.
        let stdin = child.stdin.take();
        tokio::select! {
            status = child.wait() => {
                eprintln!("worker {index} has ended: {status:?}");
                sleep(PAUSE).await;
            }
            order = orders.recv() => {
                // The worker takes this as its sign to end.
                drop(stdin);
                child.wait().await.ok();
                let Some(order) = order else { return };
                waits = Some(order);
            }
        }
    }
}

/// Starts a worker, and waits until it listens.
async fn start(arguments: &Arguments, index: usize) -> io::Result<Child> {
    let mut child = Command::new(&arguments.program)
        .args(["--worker", &index.to_string()])
        .args(["--port", &arguments.port.to_string()])
        .args(["--workers", &arguments.workers.to_string()])
        .arg("--file")
        .arg(&arguments.file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let Some(stdout) = child.stdout.take() else { return Ok(child) };
    match BufReader::new(stdout).lines().next_line().await? {
        Some(_) => Ok(child),
        None => Err(io::Error::other(format!("it has ended: {}", child.wait().await?))),
    }
}
