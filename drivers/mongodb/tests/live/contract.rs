//! What every engine has to do.

use socketio_proto_mongodb::{MongodbEngine, MongodbOptions, mongodb::bson::doc};
use socketio_proto_tokio::cluster::contract::{EngineUnderTest, check};

use crate::{
    proxy::Proxy,
    secantus::{Secantus, url},
    support::PATIENCE,
};

struct Documents {
    server: Secantus,
    proxy: Proxy,
}

impl EngineUnderTest for Documents {
    type Engine = MongodbEngine;

    fn open(&self) -> MongodbEngine {
        let engine = MongodbEngine::open(&url(self.proxy.port), MongodbOptions::new()).unwrap();
        engine.answer_timeout(PATIENCE)
    }

    async fn break_connections(&self) {
        self.proxy.cut();
    }

    async fn damage(&self) {
        let collection = self.server.collection().await;
        for document in [
            doc! {},
            doc! { "type": 3, "uid": "a", "nsp": "/" },
            doc! { "type": 2, "uid": "a#b", "nsp": "/" },
            doc! { "type": "x", "data": 5 },
        ] {
            collection.insert_one(document).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_keeps_its_contract() {
    let Some(server) = Secantus::start().await else { return };
    let proxy = Proxy::to(server.port).await;
    check(&Documents { server, proxy }).await.unwrap();
}
