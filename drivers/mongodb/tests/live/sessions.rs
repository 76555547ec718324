//! Sessions go on at another node when theirs is gone.

use socketio_proto_mongodb::mongodb::bson::doc;
use tokio::runtime::Runtime;

use crate::{
    proxy::Proxy,
    secantus::Secantus,
    support::{Client, Node},
};

#[tokio::test]
async fn a_node_that_is_shut_down_leaves_its_sessions_to_the_others() {
    let Some(server) = Secantus::start().await else { return };
    let mut node = Node::start(&server.url()).await;
    let balancer = Proxy::to(node.port).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client::connect_to(balancer.port).await);
    }
    for round in 0..3 {
        let next = Node::start(&server.url()).await;
        next.until_connected().await;
        node.emit(round * 2).await;
        for client in &mut clients {
            client.hear(round as usize * 2 + 1).await;
        }
        balancer.turn_to(next.port);
        node.handle.shutdown().await.unwrap();
        next.emit(round * 2 + 1).await;
        for client in &mut clients {
            client.hear(round as usize * 2 + 2).await;
        }
        node = next;
    }
    for client in &clients {
        assert_eq!(client.numbers, (0..6).collect::<Vec<_>>(), "neither lost nor doubled");
        assert_eq!(client.recovered, [false, true, true, true]);
    }
    let collection = server.collection().await;
    let left = collection.count_documents(doc! { "type": 13, "data": { "$exists": true } });
    assert_eq!(left.await.unwrap(), 0, "who recovers a session takes its document");
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    let Some(server) = Secantus::start().await else { return };
    // It dies with its runtime, without a word.
    let (runtime, url) = (Runtime::new().unwrap(), server.url());
    let node = async move { Node::start(&url).await };
    let node = runtime.spawn(node).await.unwrap();
    let next = Node::start(&server.url()).await;
    next.until_connected().await;
    let balancer = Proxy::to(node.port).await;
    let mut client = Client::connect_to(balancer.port).await;
    next.emit(0).await;
    client.hear(1).await;
    // Nothing listens there, so the client cannot come back for now.
    balancer.turn_to(1);
    balancer.cut();
    while node.server().await.parked_sessions == 0 || node.server().await.records_waiting > 0 {
        tokio::task::yield_now().await;
    }
    next.emit(1).await;
    runtime.shutdown_background();
    balancer.turn_to(next.port);
    client.until(|client| client.recovered.len() == 2).await;
    next.emit(2).await;
    assert_eq!(client.hear(3).await, [0, 1, 2]);
    assert_eq!(client.recovered, [false, true]);
}
