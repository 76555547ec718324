//! Figures, not assertions: `cargo test --release -p socketio-proto-sqlite costs -- --ignored --nocapture`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and reports")]

use std::{
    fs,
    time::{Duration, Instant},
};

use socketio_proto::{
    RecoveryConfig, RecoveryKey, ServerConfig, SocketId, Timestamp,
    cluster::{ClusterOutput, engines::sqlite::Sqlite, message::StoredSession},
    server::{Server, ServerEvent},
};
use socketio_proto_tokio::{App, Context, Handle, PeerLimits, entropy, start_clustered};
use socketio_proto_tokio_client::{Options, connect};
use tokio::net::TcpListener;

use super::tests::{Folder, news, reopened};
use crate::SqliteEngine;

/// Puts each client into three rooms, with this data.
struct Rooms(String);

impl App for Rooms {
    type Data = String;

    fn handle_event(&mut self, cx: &mut Context<'_, String>, event: ServerEvent<String>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                cx.at().accept(request);
            }
            ServerEvent::Connected { socket, .. } => {
                if !self.0.is_empty() {
                    cx.at().set_data(socket, self.0.clone());
                }
                for room in ["room-1", "room-2", "room-3"] {
                    cx.at().join(socket, room).unwrap();
                }
            }
            _ => {}
        }
    }
}

async fn serve(folder: &Folder, data: String) -> (u16, Handle<Rooms>) {
    let config = ServerConfig::new().recovery(RecoveryConfig::new());
    let cluster = Sqlite::cluster_config(&mut entropy);
    let mut server = Server::clustered(config, cluster, entropy).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    let engine = SqliteEngine::open(folder.config()).unwrap();
    let (service, handle) = start_clustered(server, Rooms(data), engine);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (site, closing) = (service.at("/socket.io"), handle.closing());
    tokio::spawn(socketio_proto_tokio::serve(listener, site, PeerLimits::default(), closing));
    (port, handle)
}

/// The middle of some times, in microseconds.
fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "it measures"]
fn transactions() {
    for batch in [1, 16, 256] {
        let folder = Folder::new();
        let mut process = folder.start("a");
        process.read();
        let mut times = Vec::new();
        let begin = Instant::now();
        for _ in 0..4096 / batch {
            let appends: Vec<_> = (0..batch).map(|_| process.append(&"x".repeat(100))).collect();
            let start = Instant::now();
            assert_eq!(news(&process.do_all(appends)).len(), batch);
            times.push(start.elapsed().as_micros());
        }
        let each = begin.elapsed().as_micros() / 4096;
        println!(
            "{batch:>4} entries in a transaction: median {} us, {each} us an entry",
            median(times)
        );
    }
}

/// A record as a server writes it ahead for a client that is connected, in three rooms, with this data.
async fn written_ahead(data: &str) -> StoredSession {
    let folder = Folder::new();
    let (port, handle) = serve(&folder, data.to_owned()).await;
    let (_socket, _events) =
        connect(&format!("http://127.0.0.1:{port}"), Options::new()).await.unwrap();
    let reader = folder.start("reader");
    let record = loop {
        let found = reader.only_session();
        if let Some(session) = found.filter(|session| session.rooms.len() == 4) {
            break session;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    drop(reader);
    handle.shutdown().await.unwrap();
    record
}

/// The record of another client.
fn another(record: &StoredSession, number: u64) -> StoredSession {
    let mut session = record.clone();
    session.sid = SocketId::parse(&format!("{number:S>20}")).unwrap();
    session.pid = RecoveryKey::parse(&format!("{number:P>20}")).unwrap();
    session.rooms[0] = session.sid.as_str().into();
    session
}

/// Fills a file, and closes it. Returns its size.
fn filled(folder: &Folder, record: Option<&StoredSession>, count: u64) -> u64 {
    let mut process = folder.start("a");
    process.read();
    let store = |record: &StoredSession, number| ClusterOutput::Store {
        session: another(record, number),
        expires_in: Duration::from_secs(600),
        replaces: None,
        number,
    };
    for page in 0..record.map_or(0, |_| count / 1000) {
        let numbers = (page * 1000..).take(1000);
        process.do_all(numbers.filter_map(|number| record.map(|record| store(record, number))));
    }
    process.end();
    fs::metadata(folder.file("")).unwrap().len()
}

#[test]
#[ignore = "it measures"]
fn bytes_of_a_session_and_start_with_100_000_sessions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let empty = filled(&Folder::new(), None, 0);
    for (name, data) in [("no data", String::new()), ("100 bytes of data", "x".repeat(100))] {
        let record = runtime.block_on(written_ahead(&data));
        let bytes = filled(&Folder::new(), Some(&record), 10_000) - empty;
        println!("three rooms, {name}: {} bytes on disk each, of 10,000", bytes / 10_000);
        let folder = Folder::new();
        filled(&folder, Some(&record), 100_000);
        for _ in 0..5 {
            let begin = Instant::now();
            reopened(&folder);
            println!("100,000 sessions opened and checked in {} ms", begin.elapsed().as_millis());
        }
    }
}
