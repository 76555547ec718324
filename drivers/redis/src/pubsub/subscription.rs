//! The connection for subscriptions.

use std::{
    collections::BTreeSet,
    fmt,
    mem::take,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::Client;
use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::{
            redis_pubsub::Received,
            redis_streams::{RedisCommand, RedisReply},
        },
        message::NodeId,
    },
    recovery::Offset,
    socket::NamespaceName,
};
use tokio::{
    sync::mpsc,
    time::{Interval, interval, timeout},
};

use super::protocol::{Channels, Reader as _, draw};
use crate::{
    bounds::Bounds,
    connection::{Connection, PING, ServerId, not_expected},
    error::RedisEngineError,
    pushes::Push,
    subscriptions::Change,
};

/// Bytes of messages that wait for the server. With more, the connection counts as broken.
const WAITING: usize = 64 << 20;
/// About what a message takes beside its payload.
const OVERHEAD: usize = 256;
/// Messages that are handed in at once.
const BATCH: usize = 1_000;

/// Everything that is published, in the order of Redis.
pub(super) struct Subscription<P: Channels> {
    redis: P,
    node: NodeId,
    server: ServerId,
    connection: Connection,
    ping: Interval,
    pushes: mpsc::UnboundedReceiver<Push>,
    /// Where they are put. It keeps its place.
    taken: Vec<Push>,
    waiting: Arc<Waiting>,
    reader: P::Reader,
    namespaces: BTreeSet<NamespaceName>,
    /// Those of an earlier connection for commands that the server has not asked for again.
    left: BTreeSet<NamespaceName>,
    /// What is to be sent before what was read is handed in.
    adopt: Vec<RedisCommand>,
    /// What was read and was not handed in yet.
    ready: Vec<ClusterInput>,
    /// The latest entry that was read.
    read: Option<Offset>,
    /// The latest entry that was handed in, or the marker at which the reader has begun.
    handed: Option<Offset>,
}

/// Something that a subscription has to see to.
pub(super) enum Happened {
    Changed(Change),
    Published(Vec<Push>),
    Nothing,
}

/// How much waits, and whether anything was dropped.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    is_too_much: AtomicBool,
}

impl<P: Channels> Subscription<P> {
    /// Connects, and subscribes to all entries.
    pub(super) async fn open(
        redis: &P,
        node: &NodeId,
        client: &Client,
        bounds: Bounds,
        server: &ServerId,
    ) -> Result<Self, RedisEngineError> {
        let (places, pushes) = mpsc::unbounded_channel();
        let waiting = Arc::<Waiting>::default();
        let taken = Arc::clone(&waiting);
        let take = move |push: Push| {
            // What is behind something that was dropped has no place either.
            if taken.bytes.fetch_add(bytes(&push), Relaxed) > WAITING {
                taken.is_too_much.store(true, Relaxed);
            }
            if !taken.is_too_much.load(Relaxed) {
                places.send(push).ok();
            }
        };
        let mut connection = Connection::open_for_subscriptions(client, bounds, take).await?;
        let connected = connection.server().await?;
        if connected.run != server.run {
            return Err(RedisEngineError::Unexpected { command: "INFO" });
        }
        let reader = redis.reader(node, draw());
        let mut subscription = Self {
            redis: redis.clone(),
            node: node.clone(),
            server: connected,
            connection,
            ping: interval(PING),
            pushes,
            taken: Vec::new(),
            waiting,
            reader,
            namespaces: BTreeSet::new(),
            left: BTreeSet::new(),
            adopt: Vec::new(),
            ready: Vec::new(),
            read: None,
            handed: None,
        };
        subscription.call_all(&[redis.subscribe_to_entries()]).await?;
        Ok(subscription)
    }

    /// With whom it is connected.
    pub(super) const fn server(&self) -> &ServerId {
        &self.server
    }

    /// Whether it is that of a server, and nothing says that it is broken.
    pub(super) fn is_of(&self, server: &ServerId) -> bool {
        self.server.run == server.run
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
        self.left.append(&mut self.namespaces);
        if !self.reader.has_entries_in_namespaces() {
            self.unsubscribe_from_left().await?;
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
        let end = self.connection.end();
        loop {
            let push = tokio::select! {
                push = self.pushes.recv() => push.ok_or_else(|| end.why())?,
                error = end.reached() => return Err(error),
            };
            let read = self.read(&push)?;
            self.adopt().await?;
            if let Some((other, position)) = read
                && other == marker
            {
                return Ok(position);
            }
        }
    }

    /// Waits for something to happen.
    pub(super) async fn wait(
        &mut self,
        changes: &mut mpsc::UnboundedReceiver<Change>,
    ) -> Result<Happened, RedisEngineError> {
        let end = self.connection.end();
        let mut pushes = take(&mut self.taken);
        tokio::select! {
            Some(change) = changes.recv() => Ok(Happened::Changed(change)),
            _ = self.pushes.recv_many(&mut pushes, BATCH) => {
                // The connection keeps the other end as long as it is there.
                if pushes.is_empty() { Err(end.why()) } else { Ok(Happened::Published(pushes)) }
            }
            error = end.reached() => Err(error),
            _ = self.ping.tick() => Ok(Happened::Nothing),
        }
    }

    /// Does what follows from it. If it is not finished, the subscription cannot be used again.
    pub(super) async fn act(&mut self, happened: Happened) -> Result<(), RedisEngineError> {
        match happened {
            Happened::Changed(change) => self.change(change).await?,
            Happened::Published(mut pushes) => {
                for push in pushes.drain(..) {
                    self.read(&push)?;
                }
                self.taken = pushes;
                self.adopt().await?;
            }
            Happened::Nothing => {
                // The server has had the time to ask for them.
                self.unsubscribe_from_left().await?;
                self.connection.ping().await?;
            }
        }
        if self.waiting.is_too_much.load(Relaxed) {
            return Err(RedisEngineError::TooSlow);
        }
        Ok(())
    }

    /// What is to be handed in now. Call [`is_handed_in`](Self::is_handed_in) when that is done.
    pub(super) fn begin_to_hand_in(&mut self) -> Vec<ClusterInput> {
        take(&mut self.ready)
    }

    pub(super) fn is_handed_in(&mut self) {
        self.handed = self.read.or(self.handed);
    }

    async fn change(&mut self, change: Change) -> Result<(), RedisEngineError> {
        match change {
            Change::Subscribe { namespace, done } => {
                let commands = self.reader.subscribe(&namespace);
                self.left.remove(&namespace);
                self.namespaces.insert(namespace.clone());
                self.call_all(&commands).await?;
                self.reader.has_subscribed(&namespace);
                self.take_received()?;
                // Nobody may wait for it any longer.
                done.send(()).ok();
            }
            Change::Unsubscribe(namespace) => {
                if self.namespaces.remove(&namespace) {
                    let commands = self.reader.unsubscribe(&namespace);
                    self.call_all(&commands).await?;
                    self.take_received()?;
                }
            }
        }
        Ok(())
    }

    async fn unsubscribe_from_left(&mut self) -> Result<(), RedisEngineError> {
        while let Some(namespace) = self.left.pop_first() {
            let commands = self.reader.unsubscribe(&namespace);
            self.call_all(&commands).await?;
        }
        Ok(())
    }

    /// Carries out commands that change subscriptions, or publish.
    async fn call_all(&mut self, commands: &[RedisCommand]) -> Result<(), RedisEngineError> {
        for command in commands {
            match self.connection.call(command).await? {
                RedisReply::Array(_) | RedisReply::Int(_) => {}
                other => return Err(not_expected("SUBSCRIBE or PUBLISH", other)),
            }
        }
        Ok(())
    }

    /// Writes into the log what others have published without a place in it. What this node hands in
    /// later says that this was done.
    async fn adopt(&mut self) -> Result<(), RedisEngineError> {
        if self.adopt.is_empty() {
            return Ok(());
        }
        let mut commands = self.connection.commands();
        for command in take(&mut self.adopt) {
            commands.push(command);
        }
        for reply in self.connection.call_all(commands, false).await? {
            match reply {
                RedisReply::Int(_) => {}
                other => return Err(not_expected("EVAL", other)),
            }
        }
        Ok(())
    }

    /// Reads what has come. Returns a marker.
    fn read(&mut self, push: &Push) -> Result<Option<(u64, Offset)>, RedisEngineError> {
        self.waiting.bytes.fetch_sub(bytes(push), Relaxed);
        let received = self.reader.read(push);
        self.take(received)
    }

    fn take_received(&mut self) -> Result<Option<(u64, Offset)>, RedisEngineError> {
        let received = self.reader.poll();
        self.take(received)
    }

    /// Takes what a message says, of which this is the first. Returns a marker.
    fn take(
        &mut self,
        mut next: Option<Received>,
    ) -> Result<Option<(u64, Offset)>, RedisEngineError> {
        let mut found = None;
        while let Some(received) = next {
            match received {
                Received::Entry { position, message } => {
                    self.read = Some(position);
                    let message = message.ok();
                    self.ready.push(ClusterInput::Entry { channel: 0, position, message });
                }
                Received::Message(message) => self.ready.push(ClusterInput::Message(message)),
                Received::Marker { marker, position } => found = Some((marker, position)),
                Received::Adopt(command) => self.adopt.push(command),
                Received::Subscribed(namespace) => {
                    self.ready.push(ClusterInput::Subscribed { namespace });
                }
                Received::Gap => return Err(RedisEngineError::Missed),
                _ => {}
            }
            next = self.reader.poll();
        }
        Ok(found)
    }
}

impl<P: Channels> fmt::Debug for Subscription<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("handed", &self.handed).finish_non_exhaustive()
    }
}

fn bytes(push: &Push) -> usize {
    push.payload.len().saturating_add(OVERHEAD)
}
