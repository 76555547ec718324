//! Connections with PostgreSQL.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, pin_mut, ready};
use socketio_proto::{
    ByteString,
    cluster::engines::postgres::{Postgres, PostgresStatement, PostgresValue},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Config, RowStream, Statement};

use crate::{
    error::PostgresEngineError,
    value::{Parameter, values},
};

/// How often a connection on which nothing comes is tried.
pub(crate) const PING: Duration = Duration::from_secs(5);
/// Notifications that wait. Beyond them, PostgreSQL waits.
const WAITING: usize = 1_000;

/// A row.
pub(crate) type Values = Vec<PostgresValue>;

/// A notification of PostgreSQL.
pub(crate) struct Notified {
    pub(crate) channel: String,
    pub(crate) payload: Bytes,
}

/// A connection. Its statements are carried out in their order. If it is dropped, it is closed.
pub(crate) struct Connection {
    client: Client,
    answer: Duration,
    prepared: Mutex<BTreeMap<ByteString, Statement>>,
    task: JoinHandle<()>,
}

/// What is received on a connection.
pub(crate) struct Notifications {
    pub(crate) queue: mpsc::Receiver<Notified>,
    /// How many were received in the channel that proves that the connection is there.
    pub(crate) echoes: Arc<AtomicU64>,
}

impl Connection {
    /// Connects. Each statement has this much time for its answer.
    pub(crate) async fn open(
        config: &Config,
        answer: Duration,
    ) -> Result<Self, PostgresEngineError> {
        Ok(Self::open_to_listen(config, answer, "").await?.0)
    }

    /// Connects, for notifications. `proof` is the channel that proves that it is there.
    pub(crate) async fn open_to_listen(
        config: &Config,
        answer: Duration,
        proof: &str,
    ) -> Result<(Self, Notifications), PostgresEngineError> {
        let (queue, received) = mpsc::channel(WAITING);
        let echoes = Arc::<AtomicU64>::default();
        let ends = Ends { queue, proof: proof.into(), echoes: Arc::clone(&echoes) };
        let connecting = connect(config, ends);
        let (client, task) =
            timeout(answer, connecting).await.map_err(|_| PostgresEngineError::TimedOut)??;
        let connection = Self { client, answer, prepared: Mutex::default(), task };
        Ok((connection, Notifications { queue: received, echoes }))
    }

    /// Carries out a statement, and returns the rows.
    pub(crate) async fn call(
        &self,
        statement: &PostgresStatement,
    ) -> Result<Vec<Values>, PostgresEngineError> {
        let work = async {
            let rows = self.rows(statement).await?;
            pin_mut!(rows);
            let mut all = Vec::new();
            while let Some(row) = rows.next().await {
                all.push(values(&row?)?);
            }
            Ok(all)
        };
        timeout(self.answer, work).await.map_err(|_| PostgresEngineError::TimedOut)?
    }

    /// Carries out a statement, and returns its first row.
    pub(crate) async fn call_for_row(
        &self,
        statement: &PostgresStatement,
    ) -> Result<Option<Values>, PostgresEngineError> {
        Ok(self.call(statement).await?.into_iter().next())
    }

    /// Begins to carry out a statement whose rows are many. They come as fast as they are taken.
    pub(crate) async fn rows(
        &self,
        statement: &PostgresStatement,
    ) -> Result<RowStream, PostgresEngineError> {
        let prepared = self.prepare(statement.sql()).await?;
        let parameters = statement.parameters().iter().map(Parameter);
        Ok(self.client.query_raw(&prepared, parameters).await?)
    }

    /// The next of such rows, in time.
    pub(crate) async fn next(
        &self,
        rows: &mut (
                 impl futures_util::Stream<Item = Result<tokio_postgres::Row, tokio_postgres::Error>>
                 + Unpin
             ),
    ) -> Result<Option<Values>, PostgresEngineError> {
        let next = timeout(self.answer, rows.next());
        match next.await.map_err(|_| PostgresEngineError::TimedOut)? {
            Some(row) => values(&row?).map(Some),
            None => Ok(None),
        }
    }

    /// Runs a script.
    pub(crate) async fn run(&self, script: &str) -> Result<(), PostgresEngineError> {
        let work = self.client.batch_execute(script);
        Ok(timeout(self.answer, work).await.map_err(|_| PostgresEngineError::TimedOut)??)
    }

    /// Runs a query without parameters that returns text.
    pub(crate) async fn text(&self, query: &str) -> Result<Option<String>, PostgresEngineError> {
        let work = self.client.query_opt(query, &[]);
        let row = timeout(self.answer, work).await.map_err(|_| PostgresEngineError::TimedOut)??;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn prepare(&self, sql: &ByteString) -> Result<Statement, PostgresEngineError> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(prepared.entry(sql.clone()).or_insert(statement).clone())
    }

    /// Asks which connection this is.
    pub(crate) async fn id(&self) -> Result<ConnectionId, PostgresEngineError> {
        let row = self.call_for_row(&Postgres::connection()).await?;
        match row.as_deref() {
            Some([PostgresValue::Int8(id), PostgresValue::Text(made)]) => {
                Ok(ConnectionId { id: id.unsigned_abs(), made: made.clone() })
            }
            _ => Err(PostgresEngineError::Unexpected),
        }
    }

    /// Makes sure that nothing that was sent over an earlier connection takes effect any more.
    pub(crate) async fn end_earlier(
        &self,
        earlier: &ConnectionId,
    ) -> Result<(), PostgresEngineError> {
        let end = Postgres::end_connection(earlier.id, &earlier.made);
        match self.call_for_row(&end).await? {
            // It has ended by itself.
            None => Ok(()),
            Some(row) if Postgres::number(&row)? == 1 => Ok(()),
            Some(_) => Err(PostgresEngineError::Earlier),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection of a server: the number of a process, which can have another one later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    id: u64,
    made: ByteString,
}

/// Where what a connection receives is put.
struct Ends {
    queue: mpsc::Sender<Notified>,
    proof: String,
    echoes: Arc<AtomicU64>,
}

#[cfg(not(feature = "tls"))]
async fn connect(
    config: &Config,
    ends: Ends,
) -> Result<(Client, JoinHandle<()>), PostgresEngineError> {
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    Ok((client, tokio::spawn(receive(connection, ends))))
}

#[cfg(feature = "tls")]
async fn connect(
    config: &Config,
    ends: Ends,
) -> Result<(Client, JoinHandle<()>), PostgresEngineError> {
    if config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        return Ok((client, tokio::spawn(receive(connection, ends))));
    }
    let (client, connection) = config.connect(crate::tls::connector()?).await?;
    Ok((client, tokio::spawn(receive(connection, ends))))
}

/// Carries the connection, until it is lost. Whoever waits for an answer then gets an error.
async fn receive<S, T>(mut connection: tokio_postgres::Connection<S, T>, ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = poll_fn(|cx| {
            let message = ready!(connection.poll_message(cx));
            std::task::Poll::Ready(message)
        });
        match message.await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if notification.channel() == ends.proof {
                    ends.echoes.fetch_add(1, Relaxed);
                    continue;
                }
                let (channel, payload) =
                    (notification.channel().to_owned(), notification.payload().to_owned());
                let notified = Notified { channel, payload: payload.into() };
                // On other connections nobody listens.
                ends.queue.send(notified).await.ok();
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}
