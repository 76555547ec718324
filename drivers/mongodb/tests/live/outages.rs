//! The server, or the way to it, is away for a while.

use socketio_proto_mongodb::{MongodbEngine, MongodbOptions, mongodb::bson::doc};
use tokio::time::Instant;

use crate::{
    proxy::Proxy,
    secantus::{Secantus, url},
    support::{Client, Node},
};

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_connections_that_break() {
    let Some(server) = Secantus::start().await else { return };
    let proxy = Proxy::to(server.port).await;
    let cut_off = Node::impatient(&url(proxy.port)).await;
    let other = Node::impatient(&server.url()).await;
    other.until_connected().await;
    let mut near = Client::connect(&cut_off).await;
    let mut far = Client::connect(&other).await;
    let mut sent = 0;
    for round in 1..=5 {
        cut_off.emit_all(sent..sent + 50).await;
        proxy.cut();
        cut_off.emit_all(sent + 50..sent + 100).await;
        sent += 100;
        near.hear_all(0..sent).await;
        far.hear_all(0..sent).await;
        // Nothing listens there.
        proxy.turn_to(1);
        cut_off.emit_all(sent..sent + 50).await;
        proxy.cut();
        other.emit_all(sent + 50..sent + 60).await;
        cut_off.until(|stats| !stats.is_connected).await;
        cut_off.emit_all(sent + 60..sent + 100).await;
        proxy.turn_to(server.port);
        sent += 100;
        // Those of different nodes can be in any order.
        near.hear(sent as usize).await;
        far.hear(sent as usize).await;
        assert_eq!(near.numbers, far.numbers, "the same order everywhere");
        near.numbers.sort_unstable();
        far.numbers.sort_unstable();
        near.hear_all(0..sent).await;
        assert!(cut_off.engine().await.failures >= round, "it was noticed");
    }
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_costs_no_event() {
    let Some(mut server) = Secantus::start().await else { return };
    let node = Node::impatient(&server.url()).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    node.emit_all(0..10).await;
    client.hear_all(0..10).await;
    server.kill();
    node.until(|stats| !stats.is_connected).await;
    node.emit_all(10..20).await;
    server.start_again().await;
    client.hear_all(0..20).await;
    node.emit_all(20..30).await;
    client.hear_all(0..30).await;
}

/// Otherwise a position means something else than before, and nobody reads what is there in its place.
#[tokio::test]
async fn what_clients_have_got_is_still_there_after_a_crash() {
    let Some(mut server) = Secantus::start().await else { return };
    let node = Node::impatient(&server.url()).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    for round in 0..3 {
        node.until(|stats| stats.is_connected).await;
        let count = (round + 1) * 20;
        for number in round * 20..count {
            node.emit_all(number..number + 1).await;
            client.hear_all(0..number + 1).await;
        }
        server.kill();
        server.start_again().await;
        let collection = server.collection().await;
        let there = collection.count_documents(doc! { "type": 3 }).await.unwrap();
        assert_eq!(there, u64::from(count));
    }
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_costs_no_event() {
    let Some(mut server) = Secantus::start().await else { return };
    let url = server.url();
    let (first, second) = (Node::impatient(&url).await, Node::impatient(&url).await);
    first.until_connected().await;
    second.until_connected().await;
    let (mut near, mut far) = (Client::connect(&first).await, Client::connect(&second).await);
    first.emit_all(0..50).await;
    server.kill();
    let sent = near.meanwhile(far.meanwhile(first.emit_while_away(50))).await;
    server.start_again().await;
    let back = Instant::now();
    near.hear_all(0..sent).await;
    far.hear_all(0..sent).await;
    println!("{sent} events, the last {:?} after the server was back", back.elapsed());
}

/// What has reached the server takes effect when it goes on, and what is sent again takes none.
#[tokio::test]
async fn a_pause_that_is_longer_than_the_patience_loses_and_doubles_nothing() {
    let Some(server) = Secantus::start().await else { return };
    let url = server.url();
    let (first, second) = (Node::impatient(&url).await, Node::impatient(&url).await);
    first.until_connected().await;
    second.until_connected().await;
    let (mut near, mut far) = (Client::connect(&first).await, Client::connect(&second).await);
    let mut sent = 0;
    for _ in 0..2 {
        server.signal("-STOP");
        first.emit_all(sent..sent + 50).await;
        sent = near.meanwhile(far.meanwhile(first.emit_while_away(sent + 50))).await;
        server.signal("-CONT");
        near.hear_all(0..sent).await;
        far.hear_all(0..sent).await;
    }
}

#[tokio::test]
async fn a_collection_that_is_dropped_costs_no_event() {
    let Some(server) = Secantus::start().await else { return };
    let node = Node::impatient(&server.url()).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    node.emit_all(0..10).await;
    client.hear_all(0..10).await;
    server.collection().await.drop().await.unwrap();
    node.until(|stats| stats.connected >= 2 && stats.is_connected).await;
    node.emit_all(10..20).await;
    client.hear_all(0..20).await;
    let indexes = server.collection().await.list_index_names().await.unwrap();
    assert_eq!(indexes.len(), 3, "it has its indexes again: {indexes:?}");
}

#[tokio::test]
async fn a_new_node_knows_what_was_there_before_it() {
    let Some(server) = Secantus::start().await else { return };
    let first = Node::start(&server.url()).await;
    first.until_connected().await;
    first.emit_all(0..2_000).await;
    while first.server().await.log_packets < 2_000 {
        tokio::task::yield_now().await;
    }
    let engine = MongodbEngine::open(&server.url(), MongodbOptions::new()).unwrap();
    let second = Node::on(engine).await;
    let _client = Client::connect(&second).await;
    assert_eq!(second.server().await.log_packets, 2_000);
}
