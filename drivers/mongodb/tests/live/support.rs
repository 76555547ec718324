//! Nodes.

use std::time::Duration;

use socketio_proto_mongodb::{MongodbEngine, MongodbOptions};

pub use crate::live::{Client, Node, in_time};

/// How long the server may take to answer.
pub const ANSWER: Duration = Duration::from_secs(3);

impl Node {
    pub async fn start(url: &str) -> Self {
        Self::on(MongodbEngine::open(url, MongodbOptions::new()).unwrap()).await
    }

    pub async fn on(engine: MongodbEngine) -> Self {
        let mut cluster = Self::config();
        cluster.append_queue = 100_000;
        Self::begin(cluster, engine.answer_timeout(ANSWER)).await
    }
}
