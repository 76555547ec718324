//! What answers is not Redis, or a broken one.

use socketio_proto_redis::{RedisEngine, RedisStreamsOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Client, Node, PATIENCE, Redis, have_redis};

/// Answers everything with this.
async fn liar(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer).await.ok();
                }
            });
        }
    });
    format!("redis://127.0.0.1:{port}")
}

#[tokio::test]
async fn every_lie_is_an_error_and_is_tried_again() {
    let lies: [&[u8]; 9] = [
        b"+OK\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$536870912\r\nx",
        b"*1000000000\r\n",
        b"%9223372036854775807\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"$-1\r\n",
        b"\0",
    ];
    for lie in lies {
        let node = Node::impatient(&liar(lie).await).await;
        let stats = node.until(|stats| stats.failures >= 2).await;
        assert_eq!((stats.connected, stats.panics), (0, 0), "{:?}", stats.last_failure);
    }
}

/// Begins to answer everything, and comes to no end.
async fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.read_u8().await.unwrap();
                stream.write_all(b"$9000000000000000000\r\n").await.unwrap();
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            });
        }
    });
    format!("redis://127.0.0.1:{port}")
}

#[tokio::test]
async fn a_reply_without_an_end_is_left() {
    let engine = RedisEngine::open(endless().await, RedisStreamsOptions::new()).unwrap();
    let node = Node::on(engine.answer_timeout(PATIENCE).max_reply_bytes(1 << 20)).await;
    let stats = node.until(|stats| stats.received_too_large >= 2).await;
    let failure = stats.last_failure.unwrap();
    assert!(failure.contains("larger than 1048576 bytes"), "{failure}");
    assert_eq!((stats.connected, stats.panics), (0, 0));
}

#[tokio::test]
async fn a_proxy_that_changes_its_mind_is_left() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = redis.port;
    // The first three connections end in nonsense after a while, in the middle of whatever is said.
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((mut near, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                if number >= 3 {
                    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
                    return;
                }
                let copied = tokio::io::copy_bidirectional(&mut near, &mut far);
                tokio::time::timeout(std::time::Duration::from_millis(100), copied).await.ok();
                near.write_all(b"*1\r\n$2\r\nxy\r\n:5\r\n").await.ok();
                near.shutdown().await.ok();
            });
        }
    });
    let node = Node::with(&format!("redis://127.0.0.1:{port}"), RedisStreamsOptions::new()).await;
    let mut client = Client::connect(&node).await;
    node.emit_all(0..100).await;
    node.until(|stats| stats.failures > 0 && stats.is_connected).await;
    node.emit_all(100..200).await;
    client.hear_all(0..200).await;
}
