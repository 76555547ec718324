//! Connections with Redis.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::{
    bounds::Bounds,
    error::RedisEngineError,
    plain::{KEPT, Plain},
    pushes::{End, Push, Subscriber},
    reply::reply,
    resp::Entries,
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, ProtocolVersion, PushInfo, PushKind,
    aio::MultiplexedConnection,
};
use socketio_proto::cluster::{
    ClusterInput,
    engines::redis_streams::{RedisCommand, RedisReply, RedisStreams},
};

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
    /// That of a connection for subscriptions.
    end: Arc<End>,
    /// What is sent. It keeps its place.
    out: Vec<u8>,
}

enum Way {
    Plain(Box<Plain>),
    /// For subscriptions.
    Subscriber(Box<Subscriber>),
    /// With TLS.
    Crate(MultiplexedConnection),
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(client: &Client, bounds: Bounds) -> Result<Self, RedisEngineError> {
        match Plain::open(client, bounds).await? {
            Some(plain) => Ok(Self::new(Way::Plain(plain.into()), Arc::default())),
            None => Self::open_with_tls(client, bounds.answer, |_| (), Arc::default()).await,
        }
    }

    /// Connects, for subscriptions. `take` gets what is published, and must not wait.
    pub(crate) async fn open_for_subscriptions(
        client: &Client,
        bounds: Bounds,
        take: impl Fn(Push) + Send + Sync + Clone + 'static,
    ) -> Result<Self, RedisEngineError> {
        let end = Arc::<End>::default();
        let way = Subscriber::open(client, bounds, take.clone(), Arc::clone(&end)).await?;
        match way {
            Some(subscriber) => Ok(Self::new(Way::Subscriber(subscriber.into()), end)),
            None => Self::open_with_tls(client, bounds.answer, take, end).await,
        }
    }

    const fn new(way: Way, end: Arc<End>) -> Self {
        Self { way, end, out: Vec::new() }
    }

    async fn open_with_tls(
        client: &Client,
        answer: Duration,
        take: impl Fn(Push) + Send + Sync + 'static,
        end: Arc<End>,
    ) -> Result<Self, RedisEngineError> {
        let tell = Arc::clone(&end);
        let take = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                tell.tell(None);
            } else if let Some(push) = Push::new(push) {
                take(push);
            }
            Ok::<(), Infallible>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_push_sender(take)
            .set_connection_timeout(Some(answer))
            .set_response_timeout(Some(answer));
        let commands = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self::new(Way::Crate(commands), end))
    }

    /// The end of a connection for subscriptions. A command that waits for its answer fails then.
    pub(crate) fn end(&self) -> Arc<End> {
        Arc::clone(&self.end)
    }

    /// Waits until the other end has closed it, while no command waits for its answer.
    pub(crate) async fn until_closed(&mut self) -> RedisEngineError {
        match &mut self.way {
            Way::Plain(plain) => plain.closed().await,
            Way::Subscriber(_) | Way::Crate(_) => self.end.reached().await,
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
        if let Way::Subscriber(subscriber) = &mut self.way {
            let mut args = command.args();
            let changes = args.next().is_some_and(|name| name.ends_with(b"SUBSCRIBE"));
            let count = if changes { args.count() } else { 0 };
            return subscriber.call(&cmd(command).get_packed_command(), count).await;
        }
        self.call_plain(&cmd(command)).await
    }

    /// Sends a command whose reply is entries of a stream.
    pub(crate) async fn read_entries(
        &mut self,
        command: &RedisCommand,
        entries: &mut Entries<'_>,
    ) -> Result<Vec<ClusterInput>, RedisEngineError> {
        if let Way::Plain(plain) = &mut self.way {
            return plain.read_entries(&cmd(command), entries).await;
        }
        entries.of_reply(&self.call(command).await?)
    }

    /// As [`call`](Self::call), with a command that changes no subscription.
    pub(crate) async fn call_plain(
        &mut self,
        command: &Cmd,
    ) -> Result<RedisReply, RedisEngineError> {
        match &mut self.way {
            Way::Plain(plain) => plain.call(command).await,
            Way::Subscriber(subscriber) => subscriber.call(&command.get_packed_command(), 0).await,
            Way::Crate(connection) => Ok(reply(connection.send_packed_command(command).await?)),
        }
    }

    /// Sends several commands at once, and waits for all replies, which are in the same order. Those of a
    /// transaction are between two others.
    pub(crate) async fn call_all(
        &mut self,
        commands: &[RedisCommand],
        is_transaction: bool,
    ) -> Result<Vec<RedisReply>, RedisEngineError> {
        let count = commands.len().saturating_add(if is_transaction { 2 } else { 0 });
        if let Way::Crate(connection) = &mut self.way {
            let pipeline = pipeline(commands, is_transaction);
            let replies = connection.send_packed_commands(&pipeline, 0, count).await?;
            return Ok(replies.into_iter().map(reply).collect());
        }
        let Self { way, out, .. } = self;
        out.clear();
        pack(out, commands, is_transaction);
        let replies = match way {
            Way::Plain(plain) => plain.send(out, count).await?,
            Way::Subscriber(subscriber) => subscriber.call_all(out, count).await?,
            Way::Crate(_) => Vec::new(),
        };
        if out.capacity() > KEPT {
            *out = Vec::new();
        }
        Ok(replies)
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

    /// Makes sure that nothing that was sent over an earlier connection with this server takes effect any
    /// more, and that it does not receive anything.
    pub(crate) async fn end_earlier(
        &mut self,
        server: &ServerId,
        earlier: Option<&ServerId>,
    ) -> Result<(), RedisEngineError> {
        let Some(earlier) = earlier.filter(|earlier| earlier.run == server.run) else {
            return Ok(());
        };
        match self.call(&RedisStreams::kill_connection(earlier.connection)).await? {
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
        cmd.arg(arg);
    }
    cmd
}

/// Writes commands as they are sent.
fn pack(out: &mut Vec<u8>, commands: &[RedisCommand], is_transaction: bool) {
    if is_transaction {
        out.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
    }
    for command in commands {
        command.write_to(out);
    }
    if is_transaction {
        out.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
    }
}

fn pipeline(commands: &[RedisCommand], is_transaction: bool) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len().saturating_add(2));
    if is_transaction {
        pipeline.add_command(redis::cmd("MULTI"));
    }
    for command in commands {
        pipeline.add_command(cmd(command));
    }
    if is_transaction {
        pipeline.add_command(redis::cmd("EXEC"));
    }
    pipeline
}

/// The error that a reply is, or that it is.
pub(crate) fn not_expected(command: &'static str, reply: RedisReply) -> RedisEngineError {
    match reply {
        RedisReply::Error(text) => RedisEngineError::Refused { command, text: (*text).into() },
        _ => RedisEngineError::Unexpected { command },
    }
}

#[cfg(test)]
mod tests {
    use socketio_proto::{
        cluster::{
            engines::redis_pubsub::{RedisPubSub, RedisPubSubOptions},
            message::{Body, Message, NodeId},
        },
        socket::NamespaceName,
    };

    use super::*;

    #[test]
    fn commands_are_packed_as_the_redis_crate_packs_them() {
        let redis = RedisPubSub::new(RedisPubSubOptions::new()).unwrap();
        let node = NodeId::new("0123456789abcdef").unwrap();
        let message = Message::new(node.clone(), NamespaceName::ROOT, Body::Heartbeat);
        let long = RedisPubSub::new(RedisPubSubOptions::new().key("é".repeat(70_000))).unwrap();
        let commands = [
            redis.mark(&node, 7),
            redis.publish(&message, None).unwrap(),
            long.subscribe(&NamespaceName::ROOT, &node),
        ];
        for commands in [&commands[..], &commands[..1], &[]] {
            for is_transaction in [false, true] {
                let expected = pipeline(commands, is_transaction).get_packed_pipeline();
                let mut out = Vec::new();
                pack(&mut out, commands, is_transaction);
                assert!(out == expected, "{commands:?}");
            }
        }
    }
}
