//! What MongoDB or this crate refuses.

use socketio_proto_mongodb::{MongodbEngine, MongodbOptions};

use crate::{
    proxy::Proxy,
    secantus::Secantus,
    support::{Client, Node},
};

#[tokio::test]
async fn an_event_that_is_too_large_or_too_deep_is_lost_alone() {
    let Some(server) = Secantus::start().await else { return };
    let options = MongodbOptions::new().max_message_bytes(10_000_usize);
    let node = Node::on(MongodbEngine::open(&server.url(), options).unwrap()).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep: serde_json::Value = serde_json::from_str(&deep).unwrap();
    node.handle.all().emit("n", &("x".repeat(10_000),)).await.unwrap();
    node.handle.all().emit("n", &(deep,)).await.unwrap();
    node.emit(0).await;
    client.hear_all(0..1).await;
    assert_eq!(node.server().await.total.appends_lost, 2);
    assert_eq!(node.engine().await.failures, 0);
}

#[tokio::test]
async fn a_capped_collection_connects_the_nodes_and_keeps_no_sessions() {
    let Some(server) = Secantus::start().await else { return };
    let collection = server.collection().await;
    let database = collection.client().database("sio");
    database.create_collection("events").capped(true).size(1 << 20).await.unwrap();
    let (node, next) = (Node::start(&server.url()).await, Node::start(&server.url()).await);
    node.until_connected().await;
    next.until_connected().await;
    let balancer = Proxy::to(node.port).await;
    let mut client = Client::connect_to(balancer.port).await;
    next.emit(0).await;
    client.hear_all(0..1).await;
    // The owner is there, and hands the session over.
    balancer.turn_to(next.port);
    balancer.cut();
    client.until(|client| client.recovered.len() == 2).await;
    node.emit(1).await;
    assert_eq!(client.hear(2).await, [0, 1]);
    assert_eq!(client.recovered, [false, true]);
    // The owner is gone, and nobody has the session.
    balancer.turn_to(node.port);
    next.handle.shutdown().await.unwrap();
    client.until(|client| client.recovered.len() == 3).await;
    assert_eq!(client.recovered, [false, true, false]);
}
