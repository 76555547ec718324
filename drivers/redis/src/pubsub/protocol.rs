//! What differs between plain and sharded channels.

use std::collections::VecDeque;

use socketio_proto::{
    cluster::{
        engines::{
            redis_pubsub::{PubSubReader, Received, RedisPubSub},
            redis_sharded::{RedisSharded, ShardedReader},
            redis_streams::RedisCommand,
        },
        message::NodeId,
    },
    socket::NamespaceName,
};

use socketio_proto_tokio::entropy;

use crate::{pushes::Push, writer::Protocol};

/// How nodes publish to each other, and hear of each other.
pub(super) trait Channels: Protocol + Clone + Send + Sync + 'static {
    type Reader: Reader;

    /// A reader that begins at a marker.
    fn reader(&self, node: &NodeId, marker: u64) -> Self::Reader;
    /// Subscribes to the entries of this crate.
    fn subscribe_to_entries(&self) -> RedisCommand;
    /// Publishes a marker among them.
    fn mark(&self, node: &NodeId, marker: u64) -> RedisCommand;
}

/// Reads what is received.
pub(super) trait Reader: Send {
    /// The marker at which it begins.
    fn begin(&self) -> u64;
    /// What to send for a subscription.
    fn subscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand>;
    /// What has been sent for it has taken effect.
    fn has_subscribed(&mut self, namespace: &NamespaceName);
    /// What to send for its end.
    fn unsubscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand>;
    /// Whether entries come by subscriptions to namespaces, so that these must not be interrupted.
    fn has_entries_in_namespaces(&self) -> bool;
    /// Reads a message, and returns what it says first. [`poll`](Self::poll) returns what else it says.
    fn read(&mut self, push: &Push) -> Option<Received>;
    fn poll(&mut self) -> Option<Received>;
}

/// A number that nobody can guess.
pub(super) fn draw() -> u64 {
    let mut random = [0; 8];
    entropy(&mut random);
    u64::from_le_bytes(random)
}

impl Channels for RedisPubSub {
    type Reader = Plain;

    fn reader(&self, node: &NodeId, marker: u64) -> Plain {
        Plain {
            redis: self.clone(),
            node: node.clone(),
            reader: PubSubReader::new(self.clone(), node.clone(), marker),
            ready: VecDeque::new(),
        }
    }

    fn subscribe_to_entries(&self) -> RedisCommand {
        self.subscribe_to_entries()
    }

    fn mark(&self, node: &NodeId, marker: u64) -> RedisCommand {
        self.mark(node, marker)
    }
}

/// Reads plain channels.
pub(super) struct Plain {
    redis: RedisPubSub,
    node: NodeId,
    reader: PubSubReader,
    ready: VecDeque<Received>,
}

impl Reader for Plain {
    fn begin(&self) -> u64 {
        self.reader.begin()
    }

    fn subscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand> {
        vec![self.redis.subscribe(namespace, &self.node)]
    }

    fn has_subscribed(&mut self, namespace: &NamespaceName) {
        // Redis has carried the command out, and the connection keeps the order.
        self.ready.push_back(Received::Subscribed(namespace.clone()));
    }

    fn unsubscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand> {
        vec![self.redis.unsubscribe(namespace, &self.node)]
    }

    fn has_entries_in_namespaces(&self) -> bool {
        false
    }

    fn read(&mut self, push: &Push) -> Option<Received> {
        let Push { channel, payload, is_pattern } = push;
        Some(if *is_pattern {
            self.reader.read_pattern(channel, payload)
        } else {
            self.reader.read_channel(channel, payload)
        })
    }

    fn poll(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }
}

impl Channels for RedisSharded {
    type Reader = ShardedReader;

    fn reader(&self, node: &NodeId, marker: u64) -> ShardedReader {
        ShardedReader::new(self.clone(), node.clone(), marker)
    }

    fn subscribe_to_entries(&self) -> RedisCommand {
        self.subscribe_to_log()
    }

    fn mark(&self, _: &NodeId, marker: u64) -> RedisCommand {
        self.mark(marker)
    }
}

impl Reader for ShardedReader {
    fn begin(&self) -> u64 {
        self.begin()
    }

    fn subscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand> {
        self.subscribe(namespace, draw())
    }

    fn has_subscribed(&mut self, namespace: &NamespaceName) {
        self.subscribed(namespace);
    }

    fn unsubscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand> {
        self.unsubscribe(namespace)
    }

    fn has_entries_in_namespaces(&self) -> bool {
        true
    }

    fn read(&mut self, push: &Push) -> Option<Received> {
        self.read(&push.channel, &push.payload);
        self.poll()
    }

    fn poll(&mut self) -> Option<Received> {
        self.poll()
    }
}
