//! What every engine has to do.

use std::{fs, path::PathBuf};

use socketio_proto_sqlite::{SqliteConfig, SqliteEngine};
use socketio_proto_tokio::{
    cluster::contract::{EngineUnderTest, check},
    entropy,
};

/// A file. There are no connections that could break.
struct File(PathBuf);

impl EngineUnderTest for File {
    type Engine = SqliteEngine;

    fn open(&self) -> SqliteEngine {
        SqliteEngine::open(SqliteConfig::new(self.0.join("sessions.db"))).unwrap()
    }

    async fn break_connections(&self) {}

    /// Nothing but SQLite writes to the file.
    async fn damage(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_keeps_its_contract() {
    let mut random = [0; 8];
    entropy(&mut random);
    let name = format!("socketio-proto-contract-{:016x}", u64::from_le_bytes(random));
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).unwrap();
    check(&File(folder.clone())).await.unwrap();
    fs::remove_dir_all(folder).unwrap();
}
