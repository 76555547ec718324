//! Sessions go on at another node when theirs is gone.

use socketio_proto_mongodb::mongodb::bson::doc;

use crate::{moves, secantus::Secantus, support::Node};

#[tokio::test]
async fn a_node_that_is_shut_down_leaves_its_sessions_to_the_others() {
    let Some(server) = Secantus::start().await else { return };
    let url = server.url();
    let _connected =
        moves::a_node_that_is_shut_down_leaves_its_sessions(|| Node::start(&url)).await;
    let collection = server.collection().await;
    let left = collection.count_documents(doc! { "type": 13, "data": { "$exists": true } });
    assert_eq!(left.await.unwrap(), 0, "who recovers a session takes its document");
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    let Some(server) = Secantus::start().await else { return };
    let url = server.url();
    moves::a_parked_session_outlives_its_node(|| {
        let url = url.clone();
        async move { Node::start(&url).await }
    })
    .await;
}
