//! What Redis says comes in small pieces.

use socketio_proto_redis::RedisStreamsOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
};

use crate::{
    pubsub::KINDS,
    support::{Client, Node, Redis, have_redis},
};

/// The pieces: of any small number, so that they end everywhere.
const PIECES: [usize; 5] = [1, 2, 3, 5, 7];

/// A way to Redis, which says everything in pieces. Returns its URL.
async fn in_pieces(redis: &Redis) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, to) = (listener.local_addr().unwrap().port(), redis.port);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            near.set_nodelay(true).unwrap();
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let ((mut said, mut answers), (mut ask, mut hear)) =
                (far.into_split(), near.into_split());
            tokio::spawn(async move {
                copy(&mut ask, &mut answers).await.ok();
            });
            tokio::spawn(async move {
                let mut buffer = [0; 7];
                for len in PIECES.into_iter().cycle() {
                    match said.read(&mut buffer[..len]).await {
                        Ok(0) | Err(_) => return,
                        Ok(len) => {
                            if hear.write_all(&buffer[..len]).await.is_err() {
                                return;
                            }
                        }
                    }
                    // So that the other end reads it by itself.
                    tokio::task::yield_now().await;
                }
            });
        }
    });
    format!("redis://127.0.0.1:{own}")
}

async fn everything_arrives(near: &Node, far: &Node, sent: &Node) {
    let (mut first, mut second) = (Client::connect(near).await, Client::connect(far).await);
    sent.emit_all(0..50).await;
    first.hear_all(0..50).await;
    second.hear_all(0..50).await;
}

#[tokio::test]
async fn what_is_published_is_put_together() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        let redis = Redis::start(&["--appendonly", "no"]).await;
        let near = kind.open(&in_pieces(&redis).await).await;
        near.until_connected().await;
        let far = kind.start(&redis).await;
        everything_arrives(&near, &far, &near).await;
        assert_eq!(near.engine().await.failures, 0);
    }
}

#[tokio::test]
async fn a_stream_is_put_together() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let near = Node::with(&in_pieces(&redis).await, RedisStreamsOptions::new()).await;
    near.until_connected().await;
    let far = Node::start(&redis).await;
    far.until_connected().await;
    everything_arrives(&near, &far, &far).await;
    assert_eq!(near.engine().await.failures, 0);
}
