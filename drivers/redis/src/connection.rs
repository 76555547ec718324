//! Connections with Redis.

use std::{convert::Infallible, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, ProtocolVersion, PushInfo, PushKind,
    aio::MultiplexedConnection,
};
use socketio_proto::cluster::engines::redis_streams::{RedisCommand, RedisReply, RedisStreams};
use tokio::sync::Notify;

use crate::{error::RedisEngineError, plain::Plain, reply::reply};

/// Whether the script that appends an entry has run.
pub(crate) fn script_has_run(reply: &RedisReply) -> Result<(), RedisEngineError> {
    match reply {
        RedisReply::Int(_) => Ok(()),
        other => Err(not_expected("EVAL", other.clone())),
    }
}

/// How often a connection on which nothing comes is tried.
pub(crate) const PING: Duration = Duration::from_secs(5);

/// A connection. Its commands are answered in their order.
pub(crate) struct Connection {
    way: Way,
    closed: Arc<Notify>,
}

enum Way {
    Plain(Box<Plain>),
    /// With TLS, or for subscriptions.
    Crate(MultiplexedConnection),
}

impl Connection {
    /// Connects. Each command has this much time for its answer.
    pub(crate) async fn open(client: &Client, answer: Duration) -> Result<Self, RedisEngineError> {
        match Plain::open(client, answer).await? {
            Some(plain) => Ok(Self { way: Way::Plain(plain.into()), closed: Arc::default() }),
            None => Self::open_for_subscriptions(client, answer, |_| ()).await,
        }
    }

    /// Connects, for subscriptions. `take` gets what is published, and must not wait.
    pub(crate) async fn open_for_subscriptions(
        client: &Client,
        answer: Duration,
        take: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, RedisEngineError> {
        let closed = Arc::<Notify>::default();
        let tell = Arc::clone(&closed);
        let take = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                tell.notify_one();
            } else {
                take(push);
            }
            Ok::<(), Infallible>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_push_sender(take)
            .set_connection_timeout(Some(answer))
            .set_response_timeout(Some(answer));
        let commands = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { way: Way::Crate(commands), closed })
    }

    /// What tells that the other end has closed a connection for subscriptions. A command that waits for
    /// its answer fails then.
    pub(crate) fn closed(&self) -> Arc<Notify> {
        Arc::clone(&self.closed)
    }

    /// Waits until the other end has closed it, while no command waits for its answer.
    pub(crate) async fn until_closed(&mut self) -> RedisEngineError {
        match &mut self.way {
            Way::Plain(plain) => plain.closed().await,
            Way::Crate(_) => {
                self.closed.notified().await;
                RedisEngineError::Closed
            }
        }
    }

    /// Tries whether it is still there.
    pub(crate) async fn ping(&mut self) -> Result<(), RedisEngineError> {
        match self.call_plain(&redis::cmd("PING")).await? {
            RedisReply::Status(_) => Ok(()),
            other => Err(not_expected("PING", other)),
        }
    }

    /// Sends a command, and waits for its answer.
    pub(crate) async fn call(
        &mut self,
        command: &RedisCommand,
    ) -> Result<RedisReply, RedisEngineError> {
        self.call_plain(&cmd(command)).await
    }

    pub(crate) async fn call_plain(
        &mut self,
        command: &Cmd,
    ) -> Result<RedisReply, RedisEngineError> {
        match &mut self.way {
            Way::Plain(plain) => plain.call(command).await,
            Way::Crate(connection) => Ok(reply(connection.send_packed_command(command).await?)),
        }
    }

    /// Sends several commands at once, and waits for all replies, which are in the same order.
    pub(crate) async fn call_all(
        &mut self,
        commands: &Pipeline,
    ) -> Result<Vec<RedisReply>, RedisEngineError> {
        let count = commands.len();
        match &mut self.way {
            Way::Plain(plain) => plain.send(&commands.get_packed_pipeline(), count).await,
            Way::Crate(connection) => {
                let replies = connection.send_packed_commands(commands, 0, count).await?;
                Ok(replies.into_iter().map(reply).collect())
            }
        }
    }

    /// Asks which server this is.
    pub(crate) async fn server(&mut self) -> Result<ServerId, RedisEngineError> {
        let command = "INFO";
        let info = match self.call_plain(redis::cmd(command).arg("server")).await? {
            RedisReply::Bulk(info) => String::from_utf8_lossy(&info).into_owned(),
            other => return Err(not_expected(command, other)),
        };
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        if let Some(mode) = field("redis_mode").filter(|mode| *mode != "standalone") {
            return Err(RedisEngineError::Mode { mode: mode.into() });
        }
        let run = field("run_id").ok_or(RedisEngineError::Unexpected { command })?.into();
        let command = "CLIENT ID";
        match self.call(&RedisStreams::connection_id()).await? {
            RedisReply::Int(id) => {
                let id = u64::try_from(id).map_err(|_| RedisEngineError::Unexpected { command })?;
                Ok(ServerId { run, connection: id })
            }
            other => Err(not_expected(command, other)),
        }
    }

    /// Makes sure that nothing that was sent over an earlier connection takes effect any more.
    pub(crate) async fn end_earlier(&mut self, id: u64) -> Result<(), RedisEngineError> {
        match self.call(&RedisStreams::kill_connection(id)).await? {
            // How many there were: it may have ended by itself.
            RedisReply::Int(_) => Ok(()),
            other => Err(not_expected("CLIENT KILL", other)),
        }
    }
}

/// A connection of a server, which is named after each of its starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerId {
    pub(crate) run: Box<str>,
    pub(crate) connection: u64,
}

/// Returns a client that speaks the version of the protocol that has pushes.
pub(crate) fn with_pushes(client: &Client) -> Result<Client, RedisEngineError> {
    #[cfg(feature = "tls")]
    crate::tls::prepare();
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(Client::open(info.set_redis_settings(settings))?)
}

pub(crate) fn cmd(command: &RedisCommand) -> Cmd {
    let mut cmd = Cmd::new();
    for arg in command.args() {
        cmd.arg(&arg[..]);
    }
    cmd
}

/// The error that a reply is, or that it is.
pub(crate) fn not_expected(command: &'static str, reply: RedisReply) -> RedisEngineError {
    match reply {
        RedisReply::Error(text) => RedisEngineError::Refused { command, text: (*text).into() },
        _ => RedisEngineError::Unexpected { command },
    }
}
