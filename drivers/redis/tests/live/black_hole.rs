//! Nothing gets through to Redis, and nobody is told: packets are lost.

use std::time::Duration;

use socketio_proto_redis::{RedisEngine, RedisStreamsOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use crate::{
    pubsub::{KINDS, Kind},
    support::{ANSWER, Client, Node, Redis, have_redis, in_time},
};

/// A way to Redis. Connections that have come into the hole stay open at both ends, and carry nothing any more.
struct Way {
    port: u16,
    is_hole: watch::Sender<bool>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (is_hole, seen) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut is_hole = seen.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let is_over = tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => true,
                        hole = is_hole.wait_for(|is_hole| *is_hole) => hole.is_err(),
                    };
                    if !is_over {
                        // Until the test is over.
                        while is_hole.changed().await.is_ok() {}
                    }
                });
            }
        });
        Self { port: own, is_hole }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// How many servers there are, as one of them counts.
async fn count(node: &Node) -> usize {
    in_time(node.handle.all().count_servers()).await.unwrap()
}

/// The nodes count themselves, and so on behind the hole.
async fn check(way: Way, nodes: [Node; 2]) {
    let [first, second] = &nodes;
    let mut clients = [Client::connect(first).await, Client::connect(second).await];
    in_time(async {
        while count(first).await != 2 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for round in 1..3 {
        way.is_hole.send_replace(true);
        for node in &nodes {
            node.until(|stats| stats.failures >= round && !stats.is_connected).await;
        }
        way.is_hole.send_replace(false);
        for node in &nodes {
            node.until_connected().await;
        }
        // A new client comes when the node has subscribed again.
        for (client, node) in clients.iter_mut().zip(&nodes) {
            *client = Client::connect(node).await;
        }
        first.handle.all().emit("n", &(1,)).await.unwrap();
        for client in &mut clients {
            client.hear(1).await;
        }
        assert_eq!([count(first).await, count(second).await], [2, 2], "no dead ones");
    }
}

/// Redis keeps a subscription until it sees that the other end is gone, which takes minutes. Until then it counted
/// each node twice. Nodes of the official adapter wait for as many answers.
#[tokio::test]
async fn nodes_are_counted_once_after_packets_were_lost_with_streams() {
    if have_redis() {
        tokio::join!(check_streams(false), check_streams(true));
    }
}

async fn check_streams(is_sharded: bool) {
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let way = Way::to(redis.port).await;
    let open = || async {
        let options = RedisStreamsOptions::new().use_sharded_pub_sub(is_sharded);
        let engine = RedisEngine::open(way.url(), options).unwrap();
        let node = Node::on(engine.answer_timeout(ANSWER)).await;
        node.until_connected().await;
        node
    };
    let nodes = [open().await, open().await];
    check(way, nodes).await;
}

#[tokio::test]
async fn nodes_are_counted_once_after_packets_were_lost_with_pubsub() {
    if have_redis() {
        let [plain, sharded] = KINDS;
        tokio::join!(check_pubsub(plain), check_pubsub(sharded));
    }
}

async fn check_pubsub(kind: Kind) {
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let way = Way::to(redis.port).await;
    let nodes = [kind.impatient_at(&way.url()).await, kind.impatient_at(&way.url()).await];
    check(way, nodes).await;
}
