//! The engine for the tokio driver.

use std::{fmt, thread};

use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use crate::{
    config::SqliteConfig,
    error::SqliteError,
    file::OpenFile,
    outage::Outage,
    wake::Wake,
    worker::{BATCH, Job, Worker},
};

/// Makes a server and those of other processes nodes of one cluster, around one file, and keeps the
/// sessions there.
///
/// Each server needs one of its own, also if several are in one process. The file is used on a thread.
///
/// ```
/// use socketio_proto::cluster::engines::sqlite::Sqlite;
/// use socketio_proto::server::{Server, ServerEvent};
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
/// use socketio_proto_tokio::{App, Context, entropy, start_clustered};
///
/// struct Chat;
///
/// impl App for Chat {
///     type Data = ();
///
///     fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
///         if let ServerEvent::ConnectRequested { request, .. } = event {
///             cx.at().accept(request);
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("socketio-proto-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let engine = SqliteEngine::open(SqliteConfig::new(folder.join("sessions.db")))?;
/// let config = ServerConfig::new().recovery(RecoveryConfig::new());
/// // A crash loses no session. A write costs little here.
/// let node = Sqlite::cluster_config(&mut entropy);
/// let mut server = Server::clustered(config, node, entropy)?;
/// server.at(Timestamp::ZERO).add_namespace("/")?;
/// let (service, handle) = start_clustered(server, Chat, engine);
/// // Mount the service, and serve it.
/// # drop(service);
/// handle.shutdown().await?;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
pub struct SqliteEngine {
    config: SqliteConfig,
    opened: Option<OpenFile>,
    outage: Outage,
}

impl SqliteEngine {
    /// Opens the file, or makes it. If no other process uses it, everything in it is checked, which
    /// takes about 3 seconds per gigabyte, and a file that cannot be continued is
    /// [set aside](crate::SqliteEvent::SetAside).
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if the file cannot be used.
    pub fn open(config: SqliteConfig) -> Result<Self, SqliteError> {
        let opened = Some(OpenFile::open(&config)?);
        Ok(Self { config, opened, outage: Outage::default() })
    }
}

impl fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEngine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Engine for SqliteEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        let ended = self.use_file(link).await;
        if let Err(error) = &ended {
            self.outage.failed(&self.config, error);
        }
        ended
    }
}

impl SqliteEngine {
    /// Uses the file until the server ends, or until an error.
    async fn use_file(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        let config = self.config.clone();
        let file = if let Some(file) = self.opened.take() {
            file
        } else {
            let config = config.clone();
            spawn_blocking(move || OpenFile::open(&config)).await??
        };
        let mut wake = Wake::new(&config.path);
        let (jobs, queue) = mpsc::channel(BATCH);
        let (end, mut ended) = oneshot::channel();
        let (node, name) = (link.node().clone(), wake.name());
        let (inputs, runtime) = (link.inputs().clone(), Handle::current());
        let outage = self.outage.clone();
        thread::Builder::new().name("socketio-sqlite".into()).spawn(move || {
            let hand_in = Box::new(move |batch| runtime.block_on(inputs.send(batch)));
            let worker = Worker::start(config, file, node, &name, hand_in);
            let run = |worker: Worker| {
                outage.resumed(&worker.config);
                worker.run(queue)
            };
            // If nobody waits for it, the server is gone.
            end.send(worker.and_then(run)).ok();
        })?;
        let mut jobs = Some(jobs);
        loop {
            tokio::select! {
                ended = &mut ended => {
                    return Ok(ended.unwrap_or(Err(SqliteError::Panicked))?);
                }
                output = link.recv(), if jobs.is_some() => match (output, &jobs) {
                    // If the thread has ended, it says why.
                    (Some(output), Some(jobs)) => drop(jobs.send(Job::Output(output)).await),
                    _ => jobs = None,
                },
                () = wake.woken(), if jobs.is_some() => {
                    if let Some(jobs) = &jobs {
                        // If there is no place, the thread looks anyway.
                        jobs.try_send(Job::Look).ok();
                    }
                }
            }
        }
    }
}
