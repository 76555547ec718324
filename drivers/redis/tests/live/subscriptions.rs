//! What is not stored.

use socketio_proto_redis::{RedisStreamsOptions, redis::Value};

use crate::support::{Client, Node, Redis, have_redis};

async fn subscribers(redis: &Redis, command: &str) -> i64 {
    match redis.call(&format!("PUBSUB {command} socket.io#/#")).await {
        Value::Array(list) => match list[1] {
            Value::Int(count) => count,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn volatile_events_arrive(options: RedisStreamsOptions, count: &str) {
    let redis = Redis::start(&[]).await;
    let a = Node::with(&redis.url(), options.clone()).await;
    let b = Node::with(&redis.url(), options).await;
    let (mut at_a, mut at_b) = (Client::connect(&a).await, Client::connect(&b).await);
    for round in 0..3 {
        while subscribers(&redis, count).await < 2 {
            tokio::task::yield_now().await;
        }
        a.handle.all().volatile().emit("n", &(round,)).await.unwrap();
        let heard = at_b.hear(round as usize + 1).await;
        assert_eq!(heard.last(), Some(&round));
        redis.call("CLIENT KILL TYPE pubsub").await;
        a.until(|stats| stats.connected == u64::from(round) + 2).await;
        b.until(|stats| stats.connected == u64::from(round) + 2).await;
    }
    at_a.hear_all(0..3).await;
    at_b.hear_all(0..3).await;
}

#[tokio::test]
async fn volatile_events_reach_the_other_nodes_also_after_a_break() {
    if have_redis() {
        volatile_events_arrive(RedisStreamsOptions::new(), "NUMSUB").await;
    }
}

#[tokio::test]
async fn volatile_events_reach_the_other_nodes_over_sharded_channels() {
    if have_redis() {
        let options = RedisStreamsOptions::new().use_sharded_pub_sub(true);
        volatile_events_arrive(options, "SHARDNUMSUB").await;
    }
}
