//! Connections with Redis.

use std::{convert::Infallible, mem::take, sync::Arc, time::Duration};

use crate::{
    bounds::Bounds,
    error::RedisEngineError,
    plain::{KEPT, Plain},
    pushes::{End, Push, Subscriber},
    reply::reply,
    resp::{Entries, UNEXPECTED},
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

    /// Sends a command whose reply is entries of a stream. With another one behind it, which is carried out after
    /// it, its reply is returned too if both were sent at once.
    pub(crate) async fn read_entries(
        &mut self,
        read: &RedisCommand,
        other: Option<&RedisCommand>,
        entries: &mut Entries<'_>,
    ) -> Result<(Vec<ClusterInput>, Option<RedisReply>), RedisEngineError> {
        if let Way::Plain(plain) = &mut self.way {
            return plain.read_entries(&cmd(read), other.map(cmd).as_ref(), entries).await;
        }
        Ok((entries.of_reply(&self.call(read).await?)?, None))
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

    /// Begins a list of commands for [`call_all`](Self::call_all).
    pub(crate) fn commands(&mut self) -> Commands {
        match &self.way {
            Way::Crate(_) => Commands::Separate(Vec::new()),
            Way::Plain(_) | Way::Subscriber(_) => Commands::packed(take(&mut self.out)),
        }
    }

    /// Sends several commands at once, and waits for all replies, which are in the same order. Those of a
    /// transaction are between two others.
    pub(crate) async fn call_all(
        &mut self,
        commands: Commands,
        is_transaction: bool,
    ) -> Result<Vec<RedisReply>, RedisEngineError> {
        let count = commands.len().saturating_add(if is_transaction { 2 } else { 0 });
        let (way, mut commands) = (&mut self.way, commands);
        let replies = match (way, commands.as_sent(is_transaction)) {
            (Way::Plain(plain), Sent::Packed(bytes)) => plain.send(bytes, count).await?,
            (Way::Subscriber(it), Sent::Packed(bytes)) => it.call_all(bytes, count).await?,
            (Way::Crate(connection), Sent::Pipeline(pipeline)) => {
                let replies = connection.send_packed_commands(&pipeline, 0, count).await?;
                replies.into_iter().map(reply).collect()
            }
            // They are those of another connection.
            _ => return Err(UNEXPECTED),
        };
        if let Commands::Packed { bytes, .. } = commands
            && bytes.capacity() <= KEPT
        {
            self.out = bytes;
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

/// Commands that are sent at once.
pub(crate) enum Commands {
    /// As they are sent. So each command needs its memory only until it is here. In front of them is what
    /// begins a transaction.
    Packed { bytes: Vec<u8>, count: usize },
    /// For the `redis` crate.
    Separate(Vec<RedisCommand>),
}

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

enum Sent<'a> {
    Packed(&'a [u8]),
    Pipeline(Pipeline),
}

impl Commands {
    /// Uses the place of other bytes.
    fn packed(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend_from_slice(MULTI);
        Self::Packed { bytes, count: 0 }
    }

    pub(crate) fn push(&mut self, command: RedisCommand) {
        match self {
            Self::Packed { bytes, count } => {
                command.write_to(bytes);
                *count = count.saturating_add(1);
            }
            Self::Separate(commands) => commands.push(command),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Packed { count, .. } => *count,
            Self::Separate(commands) => commands.len(),
        }
    }

    /// To be called once.
    fn as_sent(&mut self, is_transaction: bool) -> Sent<'_> {
        match self {
            Self::Separate(commands) => Sent::Pipeline(pipeline(commands, is_transaction)),
            Self::Packed { bytes, .. } => {
                let start = if is_transaction { 0 } else { MULTI.len() };
                if is_transaction {
                    bytes.extend_from_slice(EXEC);
                }
                Sent::Packed(bytes.get(start..).unwrap_or_default())
            }
        }
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
                let mut packed = Commands::packed(b"earlier".to_vec());
                for command in commands {
                    packed.push(command.clone());
                }
                assert_eq!(packed.len(), commands.len());
                let sent = packed.as_sent(is_transaction);
                assert!(matches!(sent, Sent::Packed(out) if out == expected), "{commands:?}");
            }
        }
    }
}
