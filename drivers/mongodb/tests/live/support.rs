//! Nodes.

use std::time::Duration;

use socketio_proto_mongodb::{MongodbEngine, MongodbOptions};

pub use crate::live::{Client, Node, in_time};

/// How long the server may take to answer: longer than a machine stands still.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The same for nodes whose server is away: so long they look for it in vain before they try again.
const ANSWER: Duration = Duration::from_secs(3);

impl Node {
    pub async fn start(url: &str) -> Self {
        Self::on(MongodbEngine::open(url, MongodbOptions::new()).unwrap()).await
    }

    pub async fn on(engine: MongodbEngine) -> Self {
        Self::on_either(engine.answer_timeout(PATIENCE)).await
    }

    pub async fn impatient(url: &str) -> Self {
        let engine = MongodbEngine::open(url, MongodbOptions::new()).unwrap();
        Self::on_either(engine.answer_timeout(ANSWER)).await
    }

    async fn on_either(engine: MongodbEngine) -> Self {
        let mut cluster = Self::config();
        cluster.append_queue = 100_000;
        Self::begin(cluster, engine).await
    }
}
