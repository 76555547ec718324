//! The engine.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use redis::{Client, IntoConnectionInfo};
use socketio_proto::{
    cluster::{
        engines::{
            redis_pubsub::{RedisPubSub, RedisPubSubOptions},
            redis_streams::{RedisCommand, RedisReply, RedisStreams},
        },
        message::{Message, MessageError, NodeId},
    },
    socket::NamespaceName,
};
use socketio_proto_tokio::cluster::{Engine, EngineError, EngineInputs, EngineLink};
use tokio::sync::mpsc;

use super::{protocol::Channels, subscription::Subscription};
use crate::{
    bounds::Bounds,
    connection::{Connection, ServerId, script_has_run, with_pushes},
    error::{RedisEngineError, count_too_large},
    subscriptions::Change,
    writer::{Protocol, Writer},
};

/// Connects a server with the other nodes of its cluster over Redis PUB/SUB, as the classic
/// `@socket.io/redis-adapter` 8 does, and together with it.
///
/// Redis keeps nothing of what it publishes. A session is recovered at a node that has read everything
/// since the client was there: each node that was connected with Redis all the time. When the connection
/// for subscriptions breaks, the sessions of the node end. If that is not good enough, use
/// [`RedisEngine`](crate::RedisEngine).
///
/// ```no_run
/// use socketio_proto::cluster::ClusterConfig;
/// use socketio_proto::server::Server;
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_redis::{RedisPubSubEngine, RedisPubSubOptions};
/// use socketio_proto_tokio::{App, entropy, run_clustered};
/// use tokio::net::TcpListener;
///
/// async fn serve(app: impl App<Data = ()>) -> Result<(), Box<dyn std::error::Error>> {
///     let config = ServerConfig::new().recovery(RecoveryConfig::new());
///     let node = ClusterConfig::from_entropy(&mut entropy);
///     let mut server = Server::clustered(config, node, entropy)?;
///     server.at(Timestamp::ZERO).add_namespace("/")?;
///     let engine = RedisPubSubEngine::open("redis://localhost", RedisPubSubOptions::new())?;
///     run_clustered(TcpListener::bind("127.0.0.1:3000").await?, server, app, engine).await;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct RedisPubSubEngine(Inner<RedisPubSub>);

impl RedisPubSubEngine {
    /// Makes an engine with the URL of a Redis, as [`RedisEngine::open`](crate::RedisEngine::open) does.
    ///
    /// # Errors
    ///
    /// [`RedisEngineError::Connection`] if the URL cannot be used, and [`RedisEngineError::Config`] if an
    /// option cannot.
    pub fn open(
        url: impl IntoConnectionInfo,
        options: RedisPubSubOptions,
    ) -> Result<Self, RedisEngineError> {
        Self::new(&Client::open(url)?, options)
    }

    /// Makes an engine with a client of the `redis` crate, which can have certificates of its own. Of
    /// the rest, its address, user and database are used.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn new(client: &Client, options: RedisPubSubOptions) -> Result<Self, RedisEngineError> {
        Ok(Self(Inner::new(client, RedisPubSub::new(options)?)?))
    }

    /// Sets how long Redis may take to connect and to answer a command. Default 5 seconds. After that the
    /// connection counts as lost.
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.0.bounds.answer = timeout;
        self
    }

    /// Sets how many bytes a reply of Redis may have, and anything that is published. Default 1 GiB. The
    /// values in a reply may take as many bytes again. With more, the connection ends with
    /// [`ReplyTooLarge`](RedisEngineError::ReplyTooLarge). Redis takes no values of more than
    /// `proto-max-bulk-len`, 512 MB, unless it is told otherwise.
    ///
    /// With `rediss://` the `redis` crate reads, which has no such limit.
    #[must_use]
    pub const fn max_reply_bytes(mut self, limit: usize) -> Self {
        self.0.bounds.reply = limit;
        self
    }
}

/// An engine for channels of one kind.
#[derive(Debug)]
pub(super) struct Inner<P: Channels> {
    client: Client,
    redis: P,
    pub(super) bounds: Bounds,
    /// The connection for commands that was there before.
    earlier: Option<ServerId>,
    /// The latest connection for subscriptions.
    subscriber: Option<ServerId>,
    /// It outlives a connection for commands, because nothing else knows what was published.
    subscription: Option<Box<Subscription<P>>>,
    suspects: usize,
}

impl<P: Channels> Inner<P> {
    pub(super) fn new(client: &Client, redis: P) -> Result<Self, RedisEngineError> {
        let client = with_pushes(client)?;
        let (bounds, suspects) = (Bounds::default(), 0);
        let (earlier, subscriber, subscription) = (None, None, None);
        Ok(Self { client, redis, bounds, earlier, subscriber, subscription, suspects })
    }

    pub(super) async fn run(&mut self, link: &mut EngineLink) -> Result<(), RedisEngineError> {
        let worked = self.work(link).await;
        worked.inspect_err(|error| count_too_large(error, link.inputs()))
    }

    async fn work(&mut self, link: &mut EngineLink) -> Result<(), RedisEngineError> {
        let Self { client, redis, bounds, earlier, subscriber, subscription, suspects } = self;
        let mut commands = Connection::open(client, *bounds).await?;
        let server = commands.server().await.map_err(no_common_order)?;
        commands.end_earlier(&server, earlier.as_ref()).await?;
        *earlier = Some(server.clone());
        let (node, inputs) = (link.node().clone(), link.inputs().clone());

        // It is put back only if it can be used again.
        let kept = subscription.take().filter(|it| it.is_of(&server));
        let mut subscribed = if let Some(kept) = kept {
            kept
        } else {
            commands.end_earlier(&server, subscriber.as_ref()).await?;
            Subscription::open(redis, &node, client, *bounds, &server).await?.into()
        };
        *subscriber = Some(subscribed.server().clone());
        inputs.send(vec![subscribed.mark(&mut commands, bounds.answer).await?]).await;

        let (read, mut reads) = mpsc::unbounded_channel();
        let (subscriptions, changes) = mpsc::unbounded_channel();
        let redis = &*redis;
        let writer = Writer {
            redis,
            connection: commands,
            reads: vec![read],
            subscriptions,
            subscribing: Vec::new(),
            suspects,
        };
        let mut writer = pin!(writer.run(link));
        tokio::select! {
            // The position is that of `Connected`.
            _ = reads.recv() => {}
            written = &mut writer => {
                *subscription = Some(subscribed);
                return written;
            }
        }
        let written = hand_in(&mut subscribed, changes, &inputs, writer).await?;
        *subscription = Some(subscribed);
        written
    }
}

impl Engine for RedisPubSubEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        Ok(self.0.run(link).await?)
    }
}

type Written = Result<(), RedisEngineError>;

/// Hands in what is received until the writer ends, or until something is missing.
async fn hand_in<P: Channels>(
    subscribed: &mut Subscription<P>,
    mut changes: mpsc::UnboundedReceiver<Change>,
    inputs: &EngineInputs,
    mut writer: Pin<&mut impl Future<Output = Written>>,
) -> Result<Written, RedisEngineError> {
    let mut written = None;
    loop {
        // What was read and not handed in yet is not lost if the writer ends meanwhile.
        let handed = inputs.send(subscribed.begin_to_hand_in());
        beside(writer.as_mut(), &mut written, handed).await;
        subscribed.is_handed_in();
        if let Some(written) = written {
            return Ok(written);
        }
        let happened = tokio::select! {
            happened = subscribed.wait(&mut changes) => happened?,
            written = &mut writer => return Ok(written),
        };
        beside(writer.as_mut(), &mut written, subscribed.act(happened)).await?;
    }
}

/// Finishes something, while the writer goes on as long as it does.
async fn beside<T>(
    mut writer: Pin<&mut impl Future<Output = Written>>,
    written: &mut Option<Written>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            result = &mut writer, if written.is_none() => *written = Some(result),
        }
    }
}

fn no_common_order(error: RedisEngineError) -> RedisEngineError {
    match error {
        RedisEngineError::Mode { mode } if &*mode == "cluster" => {
            RedisEngineError::NoCommonOrder { mode }
        }
        error => error,
    }
}

impl Protocol for RedisPubSub {
    fn append(&self, message: &Message) -> Result<RedisCommand, MessageError> {
        self.append(message)
    }

    fn appended(reply: &RedisReply) -> Result<(), RedisEngineError> {
        script_has_run(reply)
    }

    fn publish(
        &self,
        message: &Message,
        to: Option<&NodeId>,
    ) -> Result<RedisCommand, MessageError> {
        self.publish(message, to)
    }

    fn server_count(&self, namespace: &NamespaceName) -> RedisCommand {
        self.server_count(namespace)
    }

    fn sessions(&self) -> &RedisStreams {
        self.sessions()
    }
}
