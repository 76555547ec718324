//! PUB/SUB without a stream: Redis keeps nothing.

use socketio_proto_redis::{RedisPubSubEngine, RedisPubSubOptions};
use tokio::runtime::Runtime;

use crate::{
    sessions::Balancer,
    support::{ANSWER, Client, Node, Redis, have_redis},
};

fn engine(url: &str) -> RedisPubSubEngine {
    RedisPubSubEngine::open(url, RedisPubSubOptions::new()).unwrap().answer_timeout(ANSWER)
}

async fn start(redis: &Redis) -> Node {
    let node = Node::on(engine(&redis.url())).await;
    node.until_connected().await;
    node
}

#[tokio::test]
async fn a_broken_connection_for_commands_costs_nothing() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let (node, other) = (start(&redis).await, start(&redis).await);
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

#[tokio::test]
async fn a_broken_subscription_ends_the_sessions_of_its_node_and_no_others() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let node = start(&redis).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    redis.call("CLIENT KILL TYPE pubsub").await;
    client.until(|client| client.recovered.len() == 2).await;
    assert_eq!(client.recovered, [false, false]);
    let other = start(&redis).await;
    let mut bystander = Client::connect(&other).await;
    node.emit(1).await;
    client.hear(2).await;
    bystander.hear(1).await;
    assert_eq!((client.numbers, bystander.recovered), (vec![0, 1], vec![false]));
}

#[tokio::test]
async fn a_number_that_redis_forgets_is_a_gap() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let node = start(&redis).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    redis.call("DEL socket.io-position").await;
    node.emit(1).await;
    client.until(|client| client.recovered.len() == 2).await;
    node.until_failed_with("entries are missing").await;
    assert_eq!(client.recovered, [false, false]);
    // It goes on.
    node.until_connected().await;
    node.emit(2).await;
    client.until(|client| client.numbers.last() == Some(&2)).await;
}

#[tokio::test]
async fn a_restart_of_redis_ends_the_sessions_and_nothing_else() {
    if !have_redis() {
        return;
    }
    let mut redis = Redis::start(&["--appendonly", "no"]).await;
    let node = start(&redis).await;
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

#[tokio::test]
async fn a_redis_cluster_is_refused_with_the_reason() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--cluster-enabled", "yes", "--appendonly", "no"]).await;
    let node = Node::on(engine(&redis.url())).await;
    node.until_failed_with("publishes in no order that all nodes share").await;
}

#[tokio::test]
async fn sessions_move_to_nodes_that_were_there() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let nodes = [start(&redis).await, start(&redis).await, start(&redis).await];
    let balancer = Balancer::to(&nodes[0]).await;
    let mut client = Client::connect_to(balancer.port).await;
    for number in 0..30 {
        let next = &nodes[number as usize % 3];
        nodes[(number as usize + 1) % 3].emit(number).await;
        balancer.turn_to(next);
        balancer.cut();
        client.until(|client| client.recovered.len() == number as usize + 2).await;
    }
    client.hear(30).await;
    assert_eq!(client.numbers, (0..30).collect::<Vec<_>>(), "neither lost nor doubled");
    assert_eq!(client.check(), 30, "each time");
}

#[tokio::test]
async fn a_session_is_refused_by_a_node_that_came_later() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let node = start(&redis).await;
    let balancer = Balancer::to(&node).await;
    let mut client = Client::connect_to(balancer.port).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    // It misses one that the new node knows nothing of.
    balancer.close();
    node.emit(1).await;
    let later = start(&redis).await;
    balancer.turn_to(&later);
    client.until(|client| client.recovered.len() == 2).await;
    later.emit(2).await;
    client.hear(2).await;
    assert_eq!((&client.recovered[..], &client.numbers[..]), (&[false, false][..], &[0, 2][..]));
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    // It dies with its runtime, without a word.
    let (runtime, url) = (Runtime::new().unwrap(), redis.url());
    let node = runtime.spawn(async move { Node::on(engine(&url)).await }).await.unwrap();
    node.until_connected().await;
    let next = start(&redis).await;
    let balancer = Balancer::to(&node).await;
    let mut client = Client::connect_to(balancer.port).await;
    next.emit(0).await;
    client.hear(1).await;
    balancer.close();
    while node.server().await.parked_sessions == 0 || node.server().await.records_waiting > 0 {
        tokio::task::yield_now().await;
    }
    next.emit(1).await;
    runtime.shutdown_background();
    balancer.turn_to(&next);
    client.until(|client| client.recovered.len() == 2).await;
    next.emit(2).await;
    assert_eq!(client.hear(3).await, [0, 1, 2]);
    assert_eq!(client.recovered, [false, true]);
}
