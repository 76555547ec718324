//! The engine.

use std::time::Duration;

use socketio_proto::cluster::{
    ClusterInput,
    engines::postgres::{Postgres, PostgresOptions},
};
use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};
use tokio::sync::{Notify, mpsc};
use tokio_postgres::Config;

use crate::{
    connection::{Connection, ConnectionId},
    error::PostgresEngineError,
    housekeeping,
    imports::Imports,
    listener::{Around, Listener},
    migration::{head, prepare},
    patience::Patience,
    reader::Reader,
    writer::Writer,
};

/// How long PostgreSQL may take to answer, if nothing else is configured.
const ANSWER: Duration = Duration::from_secs(5);

/// Connects a server with the other nodes of its cluster over PostgreSQL.
///
/// ```no_run
/// use socketio_proto::cluster::ClusterConfig;
/// use socketio_proto::server::Server;
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_postgres::{PostgresEngine, PostgresOptions};
/// use socketio_proto_tokio::{App, entropy, run_clustered};
/// use tokio::net::TcpListener;
///
/// async fn serve(app: impl App<Data = ()>) -> Result<(), Box<dyn std::error::Error>> {
///     let config = ServerConfig::new().recovery(RecoveryConfig::new());
///     let node = ClusterConfig::from_entropy(&mut entropy);
///     let mut server = Server::clustered(config, node, entropy)?;
///     server.at(Timestamp::ZERO).add_namespace("/")?;
///     let engine = PostgresEngine::open("postgres://chat@localhost/chat", PostgresOptions::new())?;
///     run_clustered(TcpListener::bind("127.0.0.1:3000").await?, server, app, engine).await;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct PostgresEngine {
    config: Config,
    postgres: Postgres,
    answer: Duration,
    /// The connection for commands that was there before.
    earlier: Option<ConnectionId>,
    epoch: Option<u64>,
    imports: Imports,
    patience: Patience,
}

impl PostgresEngine {
    /// Makes an engine with the URL of a database, `postgres://user:password@host:port/database`, or
    /// with pairs, `host=… user=…`. It connects when the server is started. TLS needs the feature `tls`;
    /// `sslmode=require` in the URL demands it.
    ///
    /// # Errors
    ///
    /// [`PostgresEngineError::Postgres`] if the URL cannot be used, and [`PostgresEngineError::Config`] if
    /// an option cannot.
    pub fn open(url: &str, options: PostgresOptions) -> Result<Self, PostgresEngineError> {
        Self::new(url.parse()?, options)
    }

    /// Makes an engine with a configuration of `tokio-postgres`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`PostgresEngineError::WithoutTls`].
    pub fn new(mut config: Config, options: PostgresOptions) -> Result<Self, PostgresEngineError> {
        use tokio_postgres::config::SslMode;

        let postgres = Postgres::new(options)?;
        if cfg!(not(feature = "tls"))
            && !matches!(config.get_ssl_mode(), SslMode::Disable | SslMode::Prefer)
        {
            return Err(PostgresEngineError::WithoutTls);
        }
        if config.get_application_name().is_none() {
            config.application_name("socketio-proto");
        }
        let imports = Imports::default();
        let (answer, patience) = (ANSWER, Patience::default());
        Ok(Self { config, postgres, answer, earlier: None, epoch: None, imports, patience })
    }

    /// Sets how long PostgreSQL may take to connect and to answer a statement. Default 5 seconds. After
    /// that the connection counts as lost.
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer = timeout;
        self
    }

    async fn work(&mut self, link: &mut EngineLink) -> Result<(), PostgresEngineError> {
        let Self { config, postgres, answer, earlier, epoch, imports, patience } = self;
        let commands = Connection::open(config, *answer).await?;
        let id = commands.id().await?;
        if let Some(earlier) = &*earlier {
            commands.end_earlier(earlier).await?;
        }
        *earlier = Some(id);
        let known = prepare(&commands, postgres).await?;
        if epoch.replace(known.epoch) != Some(known.epoch) {
            imports.clear();
        }
        let listener = Listener::open(postgres, config, *answer).await?;
        let reading = Connection::open(config, *answer).await?;
        // What is behind it, the listener hears.
        let begins = head(&commands, postgres).await?;
        if begins.epoch != known.epoch {
            return Err(PostgresEngineError::Anew);
        }
        let (node, inputs) = (link.node().clone(), link.inputs().clone());
        let connected =
            ClusterInput::Connected { channel: 0, oldest: begins.oldest(), head: begins.latest() };
        inputs.send(vec![connected]).await;

        let wake = Notify::new();
        let (reads, to_read) = mpsc::unbounded_channel();
        let (changes, to_change) = mpsc::unbounded_channel();
        let epoch = begins.epoch;
        let around = Around::new((postgres, &commands), (&node, &inputs), epoch, (&wake, imports));
        let reader = Reader { postgres, connection: &reading, epoch, wake: &wake, imports };
        let connection = &commands;
        let writer = Writer { postgres, connection, epoch, reads, changes, patience };
        // Whatever ends first drops the others, and with them their connections.
        tokio::select! {
            written = writer.run(link) => written,
            Err(error) = reader.run(&inputs, to_read) => Err(error),
            Err(error) = listener.run(&around, to_change) => Err(error),
            Err(error) = housekeeping::run(postgres, &reading) => Err(error),
        }
    }
}

impl Engine for PostgresEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        let worked = self.work(link).await;
        if let Err(error) = &worked {
            self.patience.note_lost(error);
        }
        Ok(worked?)
    }
}
