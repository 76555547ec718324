//! The clocks of nodes can be wrong, so they go by that of MongoDB.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use socketio_proto_mongodb::mongodb::bson::{DateTime, doc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::{
    secantus::{Secantus, url},
    support::{Client, Node, in_time},
};

const HOUR_MS: i64 = 3_600_000;

/// Passes answers on, and shifts the time that the server tells.
async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shift: Arc<AtomicI64>,
) -> std::io::Result<()> {
    loop {
        let length = from.read_u32_le().await?;
        let mut rest = vec![0; length as usize - 4];
        from.read_exact(&mut rest).await?;
        let name = b"\tlocalTime\0";
        if let Some(start) = rest.windows(name.len()).position(|window| window == name) {
            let value = &mut rest[start + name.len()..][..8];
            let time = i64::from_le_bytes((&*value).try_into().unwrap()) + shift.load(Relaxed);
            value.copy_from_slice(&time.to_le_bytes());
        }
        to.write_u32_le(length).await?;
        to.write_all(&rest).await?;
    }
}

/// The port behind which the clock of a server is wrong by this.
async fn with_another_time(server: u16, shift: Arc<AtomicI64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
            let ((mut up, down), (answers, mut questions)) = (near.into_split(), far.into_split());
            tokio::spawn(async move { copy(&mut up, &mut questions).await });
            tokio::spawn(pass_on(answers, down, shift.clone()));
        }
    });
    port
}

/// By how many hours the time of the latest event is ahead of the clock of this machine, to the nearest one.
async fn hours_ahead(server: &Secantus) -> i64 {
    let events = server.collection().await;
    let latest = events.find_one(doc! { "type": 3 }).sort(doc! { "createdAt": -1 });
    let latest = latest.await.unwrap().unwrap();
    let at = latest.get_datetime("createdAt").unwrap().timestamp_millis();
    events.delete_many(doc! { "type": 3 }).await.unwrap();
    (at - DateTime::now().timestamp_millis() + HOUR_MS / 2).div_euclid(HOUR_MS)
}

/// A node went by its own clock. One that was an hour ahead took sessions for expired that another one had just
/// stored, and refused their clients as unknown.
#[tokio::test]
async fn nodes_go_by_the_clock_of_the_server() {
    let Some(server) = Secantus::start().await else { return };
    let shift = Arc::new(AtomicI64::new(3 * HOUR_MS));
    let port = with_another_time(server.port, shift.clone()).await;
    let node = Node::start(&url(port)).await;
    node.until_connected().await;
    let mut client = Client::connect(&node).await;
    node.emit(1).await;
    client.hear(1).await;
    assert_eq!(hours_ahead(&server).await, 3);
    // The clock of the server is set, or another server is the primary.
    shift.store(-2 * HOUR_MS, Relaxed);
    in_time(async {
        for count in 2.. {
            node.emit(1).await;
            client.hear(count).await;
            if hours_ahead(&server).await == -2 {
                return;
            }
        }
    })
    .await;
}
