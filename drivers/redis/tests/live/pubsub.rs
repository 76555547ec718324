//! PUB/SUB without a stream, over plain and over sharded channels: Redis keeps nothing.

use std::time::Duration;

use socketio_proto_redis::{
    RedisEngineError, RedisPubSubEngine, RedisPubSubOptions, RedisShardedEngine,
    RedisShardedOptions, SubscriptionMode,
};

use crate::{
    moves,
    proxy::Proxy,
    support::{ANSWER, Client, Node, PATIENCE, Redis, have_redis},
};

/// The kinds of channels.
#[derive(Clone, Copy)]
pub enum Kind {
    Plain,
    Sharded,
}

pub const KINDS: [Kind; 2] = [Kind::Plain, Kind::Sharded];

impl Kind {
    pub async fn open(self, url: &str) -> Node {
        self.open_with(url, PATIENCE).await
    }

    async fn open_with(self, url: &str, answer: Duration) -> Node {
        self.open_bounded(url, answer, 1 << 30).await
    }

    async fn open_bounded(self, url: &str, answer: Duration, reply: usize) -> Node {
        match self {
            Self::Plain => {
                let engine = RedisPubSubEngine::open(url, RedisPubSubOptions::new()).unwrap();
                Node::on(engine.answer_timeout(answer).max_reply_bytes(reply)).await
            }
            Self::Sharded => {
                let options =
                    RedisShardedOptions::new().subscription_mode(SubscriptionMode::Static);
                let engine = RedisShardedEngine::open(url, options).unwrap();
                Node::on(engine.answer_timeout(answer).max_reply_bytes(reply)).await
            }
        }
    }

    /// One that soon loses its patience with Redis.
    pub async fn impatient(self, redis: &Redis) -> Node {
        self.impatient_at(&redis.url()).await
    }

    pub async fn impatient_at(self, url: &str) -> Node {
        let node = self.open_with(url, ANSWER).await;
        node.until_connected().await;
        node
    }

    pub async fn start(self, redis: &Redis) -> Node {
        let node = self.open(&redis.url()).await;
        node.until_connected().await;
        node
    }

    /// A Redis, a node, and a client that has heard an event.
    async fn alone(self) -> (Redis, Node, Client) {
        let redis = Redis::start(&["--appendonly", "no"]).await;
        let node = self.start(&redis).await;
        let mut client = Client::connect(&node).await;
        node.emit(0).await;
        client.hear_all(0..1).await;
        (redis, node, client)
    }

    /// The key of the number of the latest entry.
    const fn position(self) -> &'static str {
        match self {
            Self::Plain => "socket.io-position",
            Self::Sharded => "socket.io-sharded-position",
        }
    }
}

#[tokio::test]
async fn what_is_published_has_a_limit() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&["--appendonly", "no"]).await;
        let node = kind.open_bounded(&redis.url(), PATIENCE, 100_000).await;
        node.until_connected().await;
        let publish = match kind {
            Kind::Plain => "PUBLISH socket.io#/#",
            Kind::Sharded => "SPUBLISH socket.io#socketio-proto#",
        };
        redis.call(&format!("{publish} {}", "x".repeat(200_000))).await;
        let stats = node.until(|stats| stats.connected == 2).await;
        assert_eq!((stats.received_too_large, stats.failures), (1, 1));
        let failure = stats.last_failure.unwrap();
        assert!(failure.contains("larger than 100000 bytes"), "{failure}");
        let mut client = Client::connect(&node).await;
        node.emit(0).await;
        client.hear_all(0..1).await;
    }
}

#[tokio::test]
async fn a_broken_connection_for_commands_costs_nothing() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&["--appendonly", "no"]).await;
        let (node, other) = (kind.start(&redis).await, kind.start(&redis).await);
        let mut client = Client::connect(&node).await;
        for round in 0..5 {
            let (first, connected) = (round * 20, node.engine().await.connected);
            node.emit_all(first..first + 10).await;
            redis.call("CLIENT KILL TYPE normal").await;
            node.emit_all(first + 10..first + 20).await;
            client.hear_all(0..first + 20).await;
            node.until(|stats| stats.is_connected && stats.connected > connected).await;
        }
        drop(other);
    }
}

#[tokio::test]
async fn a_broken_subscription_ends_the_sessions_of_its_node_and_no_others() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let (redis, node, mut client) = kind.alone().await;
        redis.call("CLIENT KILL TYPE pubsub").await;
        client.until(|client| client.recovered.len() == 2).await;
        assert_eq!(client.recovered, [false, false]);
        let other = kind.start(&redis).await;
        let mut bystander = Client::connect(&other).await;
        node.emit(1).await;
        client.hear(2).await;
        bystander.hear(1).await;
        assert_eq!((client.numbers, bystander.recovered), (vec![0, 1], vec![false]));
    }
}

#[tokio::test]
async fn a_number_that_redis_forgets_is_a_gap() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let (redis, node, mut client) = kind.alone().await;
        redis.call(&format!("DEL {}", kind.position())).await;
        node.emit(1).await;
        client.until(|client| client.recovered.len() == 2).await;
        node.until_failed_with("entries are missing").await;
        assert_eq!(client.recovered, [false, false]);
        // It goes on.
        node.until_connected().await;
        node.emit(2).await;
        client.until(|client| client.numbers.last() == Some(&2)).await;
    }
}

#[tokio::test]
async fn a_restart_of_redis_ends_the_sessions_and_nothing_else() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let mut redis = Redis::start(&["--appendonly", "no"]).await;
        let node = kind.start(&redis).await;
        let mut client = Client::connect(&node).await;
        node.emit(0).await;
        client.hear_all(0..1).await;
        redis.kill();
        redis.delete_data();
        redis.start_again().await;
        client.until(|client| client.recovered.len() == 2).await;
        assert_eq!(client.recovered, [false, false]);
        node.emit(1).await;
        client.until(|client| client.numbers.last() == Some(&1)).await;
    }
}

#[tokio::test]
async fn a_redis_cluster_is_refused_with_the_reason() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&["--cluster-enabled", "yes", "--appendonly", "no"]).await;
        let node = kind.open(&redis.url()).await;
        node.until_failed_with("publishes in no order that all nodes share").await;
    }
}

#[tokio::test]
async fn sessions_move_to_nodes_that_were_there() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&[]).await;
        let nodes = [kind.start(&redis).await, kind.start(&redis).await, kind.start(&redis).await];
        let balancer = Proxy::to(nodes[0].port).await;
        let mut client = Client::connect_to(balancer.port).await;
        for number in 0..30 {
            let next = &nodes[number as usize % 3];
            nodes[(number as usize + 1) % 3].emit(number).await;
            balancer.turn_to(next.port);
            balancer.cut();
            client.until(|client| client.recovered.len() == number as usize + 2).await;
        }
        client.hear(30).await;
        assert_eq!(client.numbers, (0..30).collect::<Vec<_>>(), "neither lost nor doubled");
        assert_eq!(client.check(), 30, "each time");
    }
}

#[tokio::test]
async fn a_session_is_refused_by_a_node_that_came_later() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&[]).await;
        let node = kind.start(&redis).await;
        let balancer = Proxy::to(node.port).await;
        let mut client = Client::connect_to(balancer.port).await;
        node.emit(0).await;
        client.hear_all(0..1).await;
        // It misses one that the new node knows nothing of.
        balancer.close();
        node.emit(1).await;
        let later = kind.start(&redis).await;
        balancer.turn_to(later.port);
        client.until(|client| client.recovered.len() == 2).await;
        later.emit(2).await;
        client.hear(2).await;
        assert_eq!(
            (&client.recovered[..], &client.numbers[..]),
            (&[false, false][..], &[0, 2][..])
        );
    }
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&[]).await;
        let url = redis.url();
        moves::a_parked_session_outlives_its_node(|| {
            let url = url.clone();
            async move { kind.open(&url).await }
        })
        .await;
    }
}

#[test]
fn channels_of_rooms_are_refused_with_the_reason() {
    for mode in [SubscriptionMode::Dynamic, SubscriptionMode::DynamicPrivate] {
        let options = RedisShardedOptions::new().subscription_mode(mode);
        let refused = RedisShardedEngine::open("redis://localhost", options).unwrap_err();
        assert!(matches!(refused, RedisEngineError::ChannelsOfRooms), "{refused}");
    }
}
