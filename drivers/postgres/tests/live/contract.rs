//! What every engine has to do.

use socketio_proto_postgres::{PostgresEngine, PostgresOptions};
use socketio_proto_tokio::cluster::contract::{EngineUnderTest, check};

use crate::support::{PATIENCE, Postgres, have_postgres};

struct Notify(Postgres);

impl EngineUnderTest for Notify {
    type Engine = PostgresEngine;

    fn open(&self) -> PostgresEngine {
        let engine = PostgresEngine::open(&self.0.url(), PostgresOptions::new()).unwrap();
        engine.answer_timeout(PATIENCE)
    }

    async fn break_connections(&self) {
        self.0.break_connections().await;
    }

    async fn damage(&self) {
        for message in ["", "{", r#"{"seq":1,"type":3,"uid":"a","nsp":"/","data":{}}"#] {
            self.0.append(message).await;
        }
        for payload in ["damaged", "{", r#"{"type":3,"uid":"a"}"#, r#"{"attachmentId":"99999"}"#] {
            self.0.run(&format!("SELECT pg_notify('socket.io#/', '{payload}')")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_contract_of_engines() {
    if have_postgres() {
        check(&Notify(Postgres::start().await)).await.unwrap();
    }
}
