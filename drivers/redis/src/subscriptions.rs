//! Receives what other nodes publish.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use redis::Client;
use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::redis_streams::{RedisCommand, RedisReply, RedisStreams},
        message::NodeId,
    },
    socket::NamespaceName,
};
use socketio_proto_tokio::{cluster::EngineInputs, entropy};
use tokio::{
    sync::{mpsc, oneshot},
    time::interval,
};

use crate::{
    bounds::Bounds,
    connection::{Connection, PING, ServerId, not_expected},
    error::RedisEngineError,
    pushes::Push,
};

/// Bytes of messages that wait for the server. Further ones are dropped, and counted.
const WAITING: usize = 16 << 20;
/// About what a message takes beside its payload.
const OVERHEAD: usize = 256;
/// Messages that are handed in at once.
const BATCH: usize = 1_000;
/// What the node wants to receive.
pub(crate) enum Change {
    Subscribe {
        namespace: NamespaceName,
        /// Tells that it has taken effect.
        done: oneshot::Sender<()>,
    },
    Unsubscribe(NamespaceName),
}

/// The connection for subscriptions.
pub(crate) struct Subscriptions<'a> {
    redis: &'a RedisStreams,
    node: &'a NodeId,
    connection: Connection,
    server: ServerId,
    pushes: mpsc::UnboundedReceiver<Push>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
    /// The namespaces, by the channel in which the node receives what is for itself.
    namespaces: BTreeMap<String, Subscribed>,
    /// What this node sends to itself, as a proof that it receives. Nobody can guess it.
    proof: [u8; 16],
}

struct Subscribed {
    namespace: NamespaceName,
    is_proven: bool,
}

impl<'a> Subscriptions<'a> {
    /// Connects. Messages for which there is no place are dropped.
    pub(crate) async fn open(
        redis: &'a RedisStreams,
        node: &'a NodeId,
        client: &Client,
        bounds: Bounds,
        inputs: EngineInputs,
    ) -> Result<Self, RedisEngineError> {
        let (places, pushes) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let taken = Arc::clone(&waiting);
        let take = move |push: Push| {
            if taken.fetch_add(bytes(&push), Relaxed) > WAITING {
                taken.fetch_sub(bytes(&push), Relaxed);
                inputs.count_dropped();
            } else {
                places.send(push).ok();
            }
        };
        let mut connection = Connection::open_for_subscriptions(client, bounds, take).await?;
        let server = connection.server().await?;
        let (namespaces, mut proof) = (BTreeMap::new(), [0; 16]);
        entropy(&mut proof);
        Ok(Self { redis, node, connection, server, pushes, waiting, namespaces, proof })
    }

    /// With whom it is connected.
    pub(crate) const fn server(&self) -> &ServerId {
        &self.server
    }

    /// Hands in what is received.
    pub(crate) async fn run(
        mut self,
        inputs: &EngineInputs,
        mut changes: mpsc::UnboundedReceiver<Change>,
    ) -> Result<Infallible, RedisEngineError> {
        let (mut ping, end) = (interval(PING), self.connection.end());
        let mut pushes = Vec::new();
        loop {
            tokio::select! {
                Some(change) = changes.recv() => match change {
                    Change::Subscribe { namespace, .. } => self.subscribe(namespace).await?,
                    Change::Unsubscribe(namespace) => self.unsubscribe(&namespace).await?,
                },
                count = self.pushes.recv_many(&mut pushes, BATCH) => {
                    // The connection keeps the other end as long as it is there.
                    if count == 0 {
                        return Err(end.why());
                    }
                    let bytes: usize = pushes.iter().map(bytes).sum();
                    self.waiting.fetch_sub(bytes, Relaxed);
                    let received: Vec<ClusterInput> =
                        pushes.drain(..).filter_map(|push| self.received(&push, inputs)).collect();
                    inputs.send(received).await;
                }
                error = end.reached() => return Err(error),
                _ = ping.tick() => self.connection.ping().await?,
            }
        }
    }

    async fn subscribe(&mut self, namespace: NamespaceName) -> Result<(), RedisEngineError> {
        let own = self.redis.channel(&namespace, Some(self.node));
        if self.namespaces.contains_key(&own) {
            return Ok(());
        }
        let subscribed = Subscribed { namespace: namespace.clone(), is_proven: false };
        self.namespaces.insert(own.clone(), subscribed);
        self.call_all("SUBSCRIBE", &self.redis.subscribe(&namespace, self.node)).await?;
        // Both subscriptions are there when this arrives.
        let is_sharded = self.redis.options().use_sharded_pub_sub;
        let name = if is_sharded { "SPUBLISH" } else { "PUBLISH" };
        let mut publish = redis::cmd(name);
        publish.arg(own).arg(&self.proof[..]);
        match self.connection.call_plain(&publish).await? {
            RedisReply::Int(_) => Ok(()),
            other => Err(not_expected("PUBLISH", other)),
        }
    }

    async fn unsubscribe(&mut self, namespace: &NamespaceName) -> Result<(), RedisEngineError> {
        let own = self.redis.channel(namespace, Some(self.node));
        if self.namespaces.remove(&own).is_some() {
            self.call_all("UNSUBSCRIBE", &self.redis.unsubscribe(namespace, self.node)).await?;
        }
        Ok(())
    }

    async fn call_all(
        &mut self,
        name: &'static str,
        commands: &[RedisCommand],
    ) -> Result<(), RedisEngineError> {
        for command in commands {
            match self.connection.call(command).await? {
                RedisReply::Array(_) => {}
                other => return Err(not_expected(name, other)),
            }
        }
        Ok(())
    }

    /// What a push says. A message that nobody can read is skipped.
    fn received(&mut self, push: &Push, inputs: &EngineInputs) -> Option<ClusterInput> {
        if push.payload == self.proof[..] {
            let subscribed = self.namespaces.get_mut(&*push.channel)?;
            let is_first = !std::mem::replace(&mut subscribed.is_proven, true);
            let namespace = subscribed.namespace.clone();
            return is_first.then_some(ClusterInput::Subscribed { namespace });
        }
        let message = self.redis.message(&push.payload);
        if message.is_err() {
            inputs.count_skipped();
        }
        message.ok().map(ClusterInput::Message)
    }
}

fn bytes(push: &Push) -> usize {
    push.payload.len().saturating_add(OVERHEAD)
}
