//! Redis refuses.

use socketio_proto_redis::{RedisEngine, RedisEngineError, RedisStreamsOptions};

use crate::support::{Client, Node, Redis, have_redis};

#[tokio::test]
async fn without_memory_what_is_emitted_waits() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let node = Node::start(&redis).await;
    let mut client = Client::connect(&node).await;
    redis.call("CONFIG SET maxmemory 1").await;
    node.emit_all(0..100).await;
    node.until_failed_with("OOM").await;
    redis.call("CONFIG SET maxmemory 0").await;
    client.hear_all(0..100).await;
    assert_eq!(node.server().await.total.appends_lost, 0);
}

#[tokio::test]
async fn on_a_replica_what_is_emitted_waits() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let node = Node::start(&redis).await;
    let mut client = Client::connect(&node).await;
    redis.call("REPLICAOF 127.0.0.1 1").await;
    node.emit_all(0..100).await;
    node.until_failed_with("READONLY").await;
    redis.call("REPLICAOF NO ONE").await;
    client.hear_all(0..100).await;
}

#[tokio::test]
async fn a_key_of_another_type_is_told() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    redis.call("SET socket.io x").await;
    let node = Node::start(&redis).await;
    node.until_failed_with("WRONGTYPE").await;
    redis.call("DEL socket.io").await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
}

#[tokio::test]
async fn a_password_is_needed_and_told() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--requirepass", "secret"]).await;
    let options = RedisStreamsOptions::new();
    let node = Node::start(&redis).await;
    node.until_failed_with("NOAUTH").await;
    let url = format!("redis://:wrong@127.0.0.1:{}", redis.port);
    let node = Node::with(&url, options.clone()).await;
    node.until_failed_with("WRONGPASS").await;
    let failed = node.engine().await.last_failure.unwrap();
    assert!(!failed.contains("wrong"), "no password in a log: {failed}");
    let url = format!("redis://:secret@127.0.0.1:{}/3", redis.port);
    let node = Node::with(&url, options).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
}

#[tokio::test]
async fn a_redis_cluster_is_refused() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--cluster-enabled", "yes"]).await;
    let node = Node::start(&redis).await;
    node.until_failed_with("a Redis in the mode cluster").await;
}

#[tokio::test]
async fn an_entry_that_redis_does_not_take_is_lost_alone() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--proto-max-bulk-len", "1mb"]).await;
    let node = Node::start(&redis).await;
    let mut client = Client::connect(&node).await;
    let emits = node.handle.with(|_, cx| {
        for number in 0..100_u32 {
            cx.at().all().emit("n", &(number,)).unwrap();
            if number == 50 {
                cx.at().all().emit("n", &("x".repeat(3 << 20),)).unwrap();
            }
        }
    });
    emits.await.unwrap();
    client.hear_all(0..100).await;
    assert_eq!(node.server().await.total.appends_lost, 1);
}

/// It must not connect without encryption instead.
#[test]
fn tls_is_refused_without_the_feature() {
    let opened = RedisEngine::open("rediss://localhost:6379", RedisStreamsOptions::new());
    if cfg!(feature = "tls") {
        assert!(opened.is_ok());
    } else {
        assert!(matches!(opened, Err(RedisEngineError::Connection(_))), "{opened:?}");
    }
}
