//! What is in the collection.

use socketio_proto_mongodb::mongodb::bson::{Binary, Bson, doc, spec::BinarySubtype};

use crate::{
    secantus::Secantus,
    support::{Client, Node},
};

#[tokio::test]
async fn documents_of_official_nodes_are_delivered_and_what_nobody_can_read_is_skipped() {
    let Some(server) = Secantus::start().await else { return };
    let node = Node::start(&server.url()).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    let collection = server.collection().await;
    let opts = || doc! { "rooms": [], "except": [], "flags": {} };
    for bad in [
        doc! {},
        doc! { "type": 3 },
        doc! { "type": 3, "data": "x", "uid": "a", "nsp": "/" },
        doc! { "type": 1.5, "uid": "a", "nsp": "/" },
        doc! { "type": 4, "data": { "opts": opts(), "rooms": 7 }, "uid": "a", "nsp": "/" },
        doc! { "type": Bson::Null, "uid": Bson::MaxKey, "nsp": Bson::Undefined },
    ] {
        collection.insert_one(bad).await.unwrap();
    }
    let mut deep = Bson::Int32(1);
    for _ in 0..95 {
        deep = Bson::Array(vec![deep]);
    }
    let packet = doc! { "type": 2, "data": ["n", deep] };
    let data = doc! { "packet": packet, "opts": opts() };
    let deep = doc! { "type": 3, "data": data, "uid": "a", "nsp": "/" };
    collection.insert_one(deep).await.unwrap();
    // As an official node writes it, and as the emitter package does.
    let bytes = Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] });
    let packet = doc! { "type": 2, "data": ["n", 0, bytes] };
    let data = doc! { "packet": packet, "opts": opts() };
    let official = doc! { "type": 3, "data": data, "uid": "94bd866eaccbe0d0", "nsp": "/" };
    collection.insert_one(official).await.unwrap();
    let packet = doc! { "type": 2, "data": ["n", 1], "nsp": "/" };
    let data = doc! { "packet": packet, "opts": opts() };
    collection
        .insert_one(doc! { "type": 3, "data": data, "uid": "emitter", "nsp": "/" })
        .await
        .unwrap();
    node.emit(2).await;
    client.hear_all(0..3).await;
    assert_eq!(node.server().await.total.entries_skipped, 7);
    assert_eq!(node.engine().await.failures, 0);
}

#[tokio::test]
async fn what_a_node_writes_is_what_an_official_node_reads() {
    let Some(server) = Secantus::start().await else { return };
    let node = Node::start(&server.url()).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    node.emit(7).await;
    client.hear(1).await;
    let found = server.collection().await.find_one(doc! { "type": 3 }).await.unwrap().unwrap();
    let packet = doc! { "type": 2, "data": ["n", 7] };
    let opts = doc! { "rooms": [], "except": [], "flags": {} };
    assert_eq!(found.get_document("data").unwrap(), &doc! { "packet": packet, "opts": opts });
    assert_eq!(found.get_str("nsp").unwrap(), "/");
    assert_eq!(found.get_str("uid").unwrap().len(), 16);
    assert!(found.get_datetime("createdAt").is_ok() && found.get_object_id("_id").is_ok());
}
