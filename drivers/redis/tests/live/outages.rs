//! Redis is away for a while.

use std::time::Duration;

use tokio::time::sleep;

use crate::support::{ANSWER, Client, Node, Redis, have_redis};

#[tokio::test]
async fn nodes_tell_each_other() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let (a, b) = (Node::start(&redis).await, Node::start(&redis).await);
    let (mut at_a, mut at_b) = (Client::connect(&a).await, Client::connect(&b).await);
    a.emit_all(0..500).await;
    at_b.hear_all(0..500).await;
    b.emit_all(500..1_000).await;
    at_a.hear_all(0..1_000).await;
    at_b.hear_all(0..1_000).await;
    let stats = a.engine().await;
    assert_eq!((stats.connected, stats.failures), (1, 0), "{:?}", stats.last_failure);
}

#[tokio::test]
async fn a_restart_with_its_data_loses_and_doubles_nothing() {
    if !have_redis() {
        return;
    }
    let mut redis = Redis::start(&[]).await;
    let (a, b) = (Node::start(&redis).await, Node::start(&redis).await);
    let (mut at_a, mut at_b) = (Client::connect(&a).await, Client::connect(&b).await);
    for round in 0..5 {
        let first = round * 100;
        a.emit_all(first..first + 50).await;
        redis.kill();
        a.emit_all(first + 50..first + 100).await;
        redis.start_again().await;
        at_b.hear_all(0..first + 100).await;
    }
    at_a.hear_all(0..500).await;
    assert!(a.engine().await.failures >= 5);
}

#[tokio::test]
async fn a_pause_that_is_longer_than_the_patience_loses_and_doubles_nothing() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let (a, b) = (Node::impatient(&redis.url()).await, Node::impatient(&redis.url()).await);
    let (mut at_a, mut at_b) = (Client::connect(&a).await, Client::connect(&b).await);
    for round in 0..3 {
        let first = round * 100;
        redis.signal("-STOP");
        // What is sent now waits in the buffers of the system, and is carried out later, or not.
        a.emit_all(first..first + 100).await;
        sleep(ANSWER * 2).await;
        redis.signal("-CONT");
        at_b.hear_all(0..first + 100).await;
    }
    at_a.hear_all(0..300).await;
    assert!(a.engine().await.failures >= 3);
}

#[tokio::test]
async fn a_restart_without_its_data_ends_the_sessions_and_goes_on() {
    if !have_redis() {
        return;
    }
    let mut redis = Redis::start(&[]).await;
    let (a, b) = (Node::start(&redis).await, Node::start(&redis).await);
    let (mut at_a, mut at_b) = (Client::connect(&a).await, Client::connect(&b).await);
    a.emit_all(0..100).await;
    at_a.hear_all(0..100).await;
    at_b.hear_all(0..100).await;
    redis.kill();
    redis.delete_data();
    redis.start_again().await;
    for client in [&mut at_a, &mut at_b] {
        client.until(|client| client.recovered == [false, false]).await;
    }
    b.emit(100).await;
    assert_eq!(at_a.hear(101).await[100], 100);
    assert_eq!(at_b.hear(101).await[100], 100);
}

#[tokio::test]
async fn a_stream_that_is_deleted_ends_the_sessions_and_goes_on() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let a = Node::start(&redis).await;
    let mut at_a = Client::connect(&a).await;
    a.emit_all(0..100).await;
    at_a.hear_all(0..100).await;
    redis.call("FLUSHALL").await;
    // Whether the stream is still the same is looked at with the next entries, once a second.
    let mut number = 100;
    while at_a.recovered.len() < 2 {
        a.emit(number).await;
        number += 1;
        sleep(Duration::from_millis(50)).await;
        let count = at_a.numbers.len();
        at_a.until(|client| client.numbers.len() > count || client.recovered.len() > 1).await;
    }
    a.until_failed_with("entries of the stream are gone").await;
    a.until_connected().await;
    a.emit(number).await;
    at_a.until(|client| client.numbers.last() == Some(&number)).await;
}

#[tokio::test]
async fn a_shutdown_waits_for_redis() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let (a, b) = (Node::start(&redis).await, Node::start(&redis).await);
    let mut at_b = Client::connect(&b).await;
    a.until_connected().await;
    redis.signal("-STOP");
    a.emit_all(0..100).await;
    let ended = tokio::spawn(async move { a.handle.shutdown().await });
    sleep(ANSWER / 2).await;
    redis.signal("-CONT");
    ended.await.unwrap().unwrap();
    at_b.hear_all(0..100).await;
}
