//! What is in the stream.

use socketio_proto_redis::{RedisEngine, RedisStreamsOptions, redis};

use crate::support::{Client, Node, PATIENCE, Redis, have_redis};

#[tokio::test]
async fn a_short_stream_is_no_gap_for_a_reader_that_keeps_up() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let options = RedisStreamsOptions::new().max_len(20);
    let node = Node::with(&redis.url(), options).await;
    let mut client = Client::connect(&node).await;
    for first in (0..3_000).step_by(10) {
        node.emit_all(first..first + 10).await;
        client.hear_all(0..first + 10).await;
    }
    // Its last entry may be trimmed when it comes back.
    redis.call("XTRIM socket.io MAXLEN 0").await;
    redis.call("CLIENT KILL TYPE normal").await;
    node.until(|stats| stats.connected == 2).await;
    node.emit(3_000).await;
    client.hear_all(0..3_001).await;
}

#[tokio::test]
async fn entries_that_are_too_large_at_once_are_read_one_at_a_time() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let engine = RedisEngine::open(redis.url(), RedisStreamsOptions::new().read_count(20)).unwrap();
    let node = Node::on(engine.answer_timeout(PATIENCE).max_reply_bytes(100_000)).await;
    let mut client = Client::connect(&node).await;
    let client_of_redis = redis::Client::open(redis.url()).unwrap();
    let mut connection = client_of_redis.get_multiplexed_async_connection().await.unwrap();
    let large = "x".repeat(20_000);
    // Again when so many were read that as many as before are asked for.
    for round in 0..2 {
        let mut flood = redis::pipe();
        flood.atomic();
        for _ in 0..20 {
            flood.cmd("XADD").arg(&["socket.io", "*", "uid", "x", "data", &large]).ignore();
        }
        flood.exec_async(&mut connection).await.unwrap();
        node.emit(round).await;
        client.hear_all(0..round + 1).await;
        let stats = node.until(|stats| stats.is_connected).await;
        let expected = u64::from(round) + 1;
        assert_eq!((stats.received_too_large, stats.failures), (expected, expected));
    }
    assert_eq!(client.recovered, [false], "its session goes on");
}

#[tokio::test]
async fn entries_that_are_trimmed_in_front_of_the_reader_end_the_sessions() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let node = Node::with(&redis.url(), RedisStreamsOptions::new().max_len(1_000)).await;
    let mut client = Client::connect(&node).await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    // More at once than the stream keeps.
    let client_of_redis = redis::Client::open(redis.url()).unwrap();
    let mut connection = client_of_redis.get_multiplexed_async_connection().await.unwrap();
    let mut flood = redis::pipe();
    flood.atomic();
    for _ in 0..5_000 {
        flood.cmd("XADD").arg(&["socket.io", "MAXLEN", "~", "1000", "*", "uid", "x"]).ignore();
    }
    flood.exec_async(&mut connection).await.unwrap();
    client.until(|client| client.recovered == [false, false]).await;
    node.until_failed_with("entries of the stream are gone").await;
    node.emit(1).await;
    assert_eq!(client.hear(2).await, [0, 1]);
}

#[tokio::test]
async fn entries_and_messages_that_nobody_can_read_are_skipped() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let node = Node::start(&redis).await;
    let mut client = Client::connect(&node).await;
    for entry in ["x y", "uid a nsp / type 3 data {", "type 99999999999999999999", "nsp /"] {
        redis.call(&format!("XADD socket.io * {entry}")).await;
        redis.call(&format!("PUBLISH socket.io#/# {}", entry.replace(' ', ""))).await;
    }
    redis.call("XADD socket.io * uid a nsp / type 3").await;
    node.emit(0).await;
    client.hear_all(0..1).await;
    assert_eq!(node.server().await.total.entries_skipped, 5);
    let engine = node.until(|engine| engine.received_skipped >= 4).await;
    assert_eq!((engine.received_skipped, engine.failures), (4, 0));
}

#[tokio::test]
async fn a_new_node_knows_what_was_there_before_it() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let first = Node::start(&redis).await;
    let mut client = Client::connect(&first).await;
    first.emit_all(0..2_000).await;
    client.hear_all(0..2_000).await;
    let second = Node::start(&redis).await;
    let _client = Client::connect(&second).await;
    assert_eq!(second.server().await.log_packets, 2_000);
}
