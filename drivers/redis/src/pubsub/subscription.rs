//! The connection for subscriptions.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{Client, PushInfo, PushKind, Value};
use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::{
            redis_pubsub::{PubSubReader, Received, RedisPubSub},
            redis_streams::{RedisCommand, RedisReply},
        },
        message::NodeId,
    },
    recovery::Offset,
    socket::NamespaceName,
};
use socketio_proto_tokio::entropy;
use tokio::{
    sync::mpsc,
    time::{Interval, interval, timeout},
};

use crate::{
    connection::{Connection, PING, ServerId, not_expected},
    error::RedisEngineError,
    subscriptions::Change,
};

/// Bytes of messages that wait for the server. With more, the connection counts as broken.
const WAITING: usize = 64 << 20;
/// About what a message takes beside its payload.
const OVERHEAD: usize = 256;
/// Messages that are handed in at once.
const BATCH: usize = 1_000;

/// Everything that is published, in the order of Redis.
pub(super) struct Subscription {
    redis: RedisPubSub,
    node: NodeId,
    /// The server, by the name that it has after each of its starts.
    run: Box<str>,
    connection: Connection,
    ping: Interval,
    pushes: mpsc::UnboundedReceiver<Push>,
    waiting: Arc<Waiting>,
    reader: PubSubReader,
    namespaces: BTreeSet<NamespaceName>,
    /// What was read and was not handed in yet.
    ready: Vec<ClusterInput>,
    /// The latest entry that was read.
    read: Option<Offset>,
    /// The latest entry that was handed in, or the marker at which the reader has begun.
    handed: Option<Offset>,
}

/// How much waits, and whether anything was dropped.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    is_too_much: AtomicBool,
}

impl Subscription {
    /// Connects, and subscribes to all entries.
    pub(super) async fn open(
        redis: &RedisPubSub,
        node: &NodeId,
        client: &Client,
        answer: Duration,
        server: &ServerId,
    ) -> Result<Self, RedisEngineError> {
        let (places, pushes) = mpsc::unbounded_channel();
        let waiting = Arc::<Waiting>::default();
        let taken = Arc::clone(&waiting);
        let take = move |push: PushInfo| {
            // The others confirm commands.
            let Some(push) = Push::new(push) else { return };
            let bytes = taken.bytes.fetch_add(push.bytes(), Relaxed);
            // What is behind something that was dropped has no place either.
            if bytes > WAITING {
                taken.is_too_much.store(true, Relaxed);
            }
            if !taken.is_too_much.load(Relaxed) {
                places.send(push).ok();
            }
        };
        let mut connection = Connection::open_for_subscriptions(client, answer, take).await?;
        if connection.server().await?.run != server.run {
            return Err(RedisEngineError::Unexpected { command: "INFO" });
        }
        let reader = PubSubReader::new(redis.clone(), node.clone(), draw());
        let mut subscription = Self {
            redis: redis.clone(),
            node: node.clone(),
            run: server.run.clone(),
            connection,
            ping: interval(PING),
            pushes,
            waiting,
            reader,
            namespaces: BTreeSet::new(),
            ready: Vec::new(),
            read: None,
            handed: None,
        };
        let command = redis.subscribe_to_entries();
        subscription.call("PSUBSCRIBE", &command).await?;
        Ok(subscription)
    }

    /// Whether it is that of a server, and nothing says that it is broken.
    pub(super) fn is_of(&self, server: &ServerId) -> bool {
        self.run == server.run
            && !self.waiting.is_too_much.load(Relaxed)
            && !self.pushes.is_closed()
    }

    /// Publishes a marker over the connection for commands, and reads up to it. So it is certain that
    /// both connections work, and that everything that was sent before was read. Returns what the
    /// server has to know about the connection.
    pub(super) async fn mark(
        &mut self,
        commands: &mut Connection,
        answer: Duration,
    ) -> Result<ClusterInput, RedisEngineError> {
        // They were those of an earlier connection. The server subscribes again.
        while let Some(namespace) = self.namespaces.pop_first() {
            let command = self.redis.unsubscribe(&namespace, &self.node);
            self.call("UNSUBSCRIBE", &command).await?;
        }
        let marker = if self.handed.is_none() { self.reader.begin() } else { draw() };
        match commands.call(&self.redis.mark(&self.node, marker)).await? {
            RedisReply::Int(_) => {}
            other => return Err(not_expected("EVAL", other)),
        }
        let read = timeout(answer, self.read_up_to(marker)).await;
        let at = read.map_err(|_| RedisEngineError::Closed)??;
        let oldest = *self.handed.get_or_insert(at);
        let head = self.read.map_or(oldest, |read| read.max(oldest));
        Ok(ClusterInput::Connected { channel: 0, oldest, head })
    }

    async fn read_up_to(&mut self, marker: u64) -> Result<Offset, RedisEngineError> {
        let closed = self.connection.closed();
        loop {
            let push = tokio::select! {
                push = self.pushes.recv() => push.ok_or(RedisEngineError::Closed)?,
                () = closed.notified() => return Err(RedisEngineError::Closed),
            };
            if let Some((other, position)) = self.read(push)?
                && other == marker
            {
                return Ok(position);
            }
        }
    }

    /// Waits for something to happen.
    pub(super) async fn receive(
        &mut self,
        changes: &mut mpsc::UnboundedReceiver<Change>,
    ) -> Result<(), RedisEngineError> {
        let closed = self.connection.closed();
        let mut pushes = Vec::new();
        tokio::select! {
            Some(change) = changes.recv() => self.change(change).await?,
            _ = self.pushes.recv_many(&mut pushes, BATCH) => {
                // The connection keeps the other end as long as it is there.
                if pushes.is_empty() {
                    return Err(RedisEngineError::Closed);
                }
                for push in pushes {
                    self.read(push)?;
                }
            }
            () = closed.notified() => return Err(RedisEngineError::Closed),
            _ = self.ping.tick() => self.connection.ping().await?,
        }
        if self.waiting.is_too_much.load(Relaxed) {
            return Err(RedisEngineError::TooSlow);
        }
        Ok(())
    }

    /// What is to be handed in now. Call [`is_handed_in`](Self::is_handed_in) when that is done.
    pub(super) fn begin_to_hand_in(&mut self) -> Vec<ClusterInput> {
        std::mem::take(&mut self.ready)
    }

    pub(super) fn is_handed_in(&mut self) {
        self.handed = self.read.or(self.handed);
    }

    async fn change(&mut self, change: Change) -> Result<(), RedisEngineError> {
        match change {
            Change::Subscribe(namespace) => {
                let command = self.redis.subscribe(&namespace, &self.node);
                self.namespaces.insert(namespace.clone());
                self.call("SUBSCRIBE", &command).await?;
                // Redis has carried the command out, and the connection keeps the order.
                self.ready.push(ClusterInput::Subscribed { namespace });
            }
            Change::Unsubscribe(namespace) => {
                if self.namespaces.remove(&namespace) {
                    let command = self.redis.unsubscribe(&namespace, &self.node);
                    self.call("UNSUBSCRIBE", &command).await?;
                }
            }
        }
        Ok(())
    }

    async fn call(
        &mut self,
        name: &'static str,
        command: &RedisCommand,
    ) -> Result<(), RedisEngineError> {
        match self.connection.call(command).await? {
            RedisReply::Array(_) => Ok(()),
            other => Err(not_expected(name, other)),
        }
    }

    /// Reads what has come. Returns a marker.
    fn read(&mut self, push: Push) -> Result<Option<(u64, Offset)>, RedisEngineError> {
        self.waiting.bytes.fetch_sub(push.bytes(), Relaxed);
        let Push { channel, payload, is_pattern } = push;
        let received = if is_pattern {
            self.reader.read_pattern(&channel, &payload)
        } else {
            self.reader.read_channel(&channel, &payload)
        };
        match received {
            Received::Entry { position, message } => {
                self.read = Some(position);
                let message = message.ok();
                self.ready.push(ClusterInput::Entry { channel: 0, position, message });
            }
            Received::Message(message) => self.ready.push(ClusterInput::Message(message)),
            Received::Marker { marker, position } => return Ok(Some((marker, position))),
            Received::Gap => return Err(RedisEngineError::Missed),
            _ => {}
        }
        Ok(None)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("handed", &self.handed).finish_non_exhaustive()
    }
}

fn draw() -> u64 {
    let mut random = [0; 8];
    entropy(&mut random);
    u64::from_le_bytes(random)
}

/// What was published.
struct Push {
    channel: String,
    payload: Bytes,
    /// Whether it has come through a pattern.
    is_pattern: bool,
}

impl Push {
    fn new(push: PushInfo) -> Option<Self> {
        let is_pattern = match push.kind {
            PushKind::Message => false,
            PushKind::PMessage => true,
            _ => return None,
        };
        let mut data = push.data.into_iter().skip(usize::from(is_pattern));
        match (data.next(), data.next()) {
            (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) => {
                // Whatever it says, it counts.
                let channel = String::from_utf8_lossy(&channel).into_owned();
                Some(Self { channel, payload: payload.into(), is_pattern })
            }
            _ => None,
        }
    }

    fn bytes(&self) -> usize {
        self.payload.len().saturating_add(OVERHEAD)
    }
}
