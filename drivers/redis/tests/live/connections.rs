//! Connections break at any moment.

use std::time::Duration;

use socketio_proto_redis::{RedisStreamsOptions, redis::Value};
use socketio_proto_tokio::entropy;
use tokio::time::sleep;

use crate::support::{Client, Node, Redis, have_redis, in_time};

/// A pseudorandom number; xorshift.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What Redis says of the connections of all nodes, a line each.
async fn client_list(redis: &Redis) -> Vec<String> {
    let list = match redis.call("CLIENT LIST").await {
        Value::BulkString(list) => String::from_utf8(list).unwrap(),
        Value::VerbatimString { text, .. } => text,
        other => panic!("{other:?}"),
    };
    list.lines().filter(|line| !line.contains("cmd=client")).map(str::to_owned).collect()
}

/// The numbers of the connections of all nodes.
async fn connections(redis: &Redis) -> Vec<u64> {
    let list = client_list(redis).await;
    list.iter().map(|line| line.split(['=', ' ']).nth(1).unwrap().parse().unwrap()).collect()
}

/// Waits until there are so many, and stay that many: Redis may not have seen yet that some are closed.
async fn until_connections(redis: &Redis, count: usize) -> Vec<u64> {
    let are_there = async {
        loop {
            let connections = connections(redis).await;
            if connections.len() == count {
                return connections;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(are_there).await
}

/// `SEED=<number>` draws the same numbers again. Where they meet what the nodes do is left to the
/// clock.
#[tokio::test]
async fn nothing_is_lost_or_doubled_whichever_connection_is_killed() {
    if !have_redis() {
        return;
    }
    let mut seed = [0; 8];
    entropy(&mut seed);
    let given = std::env::var("SEED").map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|_| u64::from_le_bytes(seed));
    println!("SEED={seed}");
    let mut state = seed | 1;
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let nodes = [Node::start(&redis).await, Node::start(&redis).await];
    let mut clients = [Client::connect(&nodes[0]).await, Client::connect(&nodes[1]).await];
    let mut number = 0;
    while nodes[0].engine().await.failures.min(nodes[1].engine().await.failures) < 6 {
        let node = &nodes[usize::from(random(&mut state).is_multiple_of(2))];
        let count = u32::try_from(random(&mut state) % 30).unwrap();
        node.emit_all(number..number + count).await;
        number += count;
        sleep(Duration::from_micros(random(&mut state) % 20_000)).await;
        let connections = connections(&redis).await;
        if !connections.is_empty() {
            let killed = random(&mut state) % connections.len() as u64;
            let killed = connections[usize::try_from(killed).unwrap()];
            redis.call(&format!("CLIENT KILL ID {killed}")).await;
        }
    }
    let count = usize::try_from(number).unwrap();
    let [first, second] = &mut clients;
    let heard = first.hear(count).await.to_vec();
    assert_eq!(second.hear(count).await, heard, "in one order everywhere");
    let mut sorted = heard;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..number).collect::<Vec<_>>(), "each of them once");
    for client in &clients {
        assert_eq!(client.recovered, [false], "no session has ended");
    }
}

#[tokio::test]
async fn a_node_has_three_connections_and_leaves_none_behind() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let node = Node::start(&redis).await;
    node.until_connected().await;
    let _client = Client::connect(&node).await;
    let first = until_connections(&redis, 3).await[0];
    redis.call(&format!("CLIENT KILL ID {first}")).await;
    node.until(|stats| stats.connected == 2).await;
    until_connections(&redis, 3).await;
    node.handle.shutdown().await.unwrap();
    until_connections(&redis, 0).await;
}

#[cfg(unix)]
#[tokio::test]
async fn all_connections_are_made_as_the_url_says() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--unixsocket", "redis.sock"]).await;
    redis.call("ACL SETUSER node on >secret ~* &* +@all").await;
    let path = redis.socket().display().to_string();
    let url = format!("redis+unix://{path}?db=2&user=node&pass=secret");
    let node = Node::with(&url, RedisStreamsOptions::new()).await;
    let mut client = Client::connect(&node).await;
    node.emit_all(0..10).await;
    client.hear_all(0..10).await;
    assert_eq!(redis.call("DBSIZE").await, Value::Int(0), "it is another database");
    until_connections(&redis, 3).await;
    for line in client_list(&redis).await {
        assert!(line.contains("user=node") && line.contains("db=2"), "{line}");
    }
}
