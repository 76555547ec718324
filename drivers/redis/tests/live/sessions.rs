//! Sessions go on at another node when theirs is gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::{
        StoreOutcome,
        engines::redis_streams::{RedisReply, RedisStreams},
        message::{StoredSession, Value},
    },
};
use socketio_proto_redis::{RedisStreamsOptions, redis};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
};

use crate::support::{Client, Node, Redis, have_redis};

/// A load balancer in front of the nodes: all connections go to one of them.
pub struct Balancer {
    pub port: u16,
    to: Arc<AtomicU16>,
    cuts: watch::Sender<()>,
}

impl Balancer {
    pub async fn to(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(AtomicU16::new(node.port));
        let cuts = watch::Sender::new(());
        let (target, cut) = (Arc::clone(&to), cuts.subscribe());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (to, mut cut) = (target.load(Relaxed), cut.clone());
                tokio::spawn(async move {
                    cut.mark_unchanged();
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, to, cuts }
    }

    pub fn turn_to(&self, node: &Node) {
        self.to.store(node.port, Relaxed);
    }

    /// Nothing listens where it leads to, so the clients cannot come back for now.
    pub fn close(&self) {
        self.to.store(1, Relaxed);
        self.cut();
    }

    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}

#[tokio::test]
async fn a_node_that_is_shut_down_leaves_its_sessions_to_the_others() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let mut node = Node::start(&redis).await;
    let balancer = Balancer::to(&node).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client::connect_to(balancer.port).await);
    }
    for round in 0..3 {
        let next = Node::start(&redis).await;
        next.until_connected().await;
        node.emit(round * 2).await;
        for client in &mut clients {
            client.hear(round as usize * 2 + 1).await;
        }
        balancer.turn_to(&next);
        node.handle.shutdown().await.unwrap();
        next.emit(round * 2 + 1).await;
        for client in &mut clients {
            client.hear(round as usize * 2 + 2).await;
        }
        node = next;
    }
    for client in clients {
        assert_eq!(client.numbers, (0..6).collect::<Vec<_>>(), "neither lost nor doubled");
        assert_eq!(client.recovered, [false, true, true, true]);
    }
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    // It dies with its runtime, without a word.
    let (runtime, url) = (Runtime::new().unwrap(), redis.url());
    let node = async move { Node::with(&url, RedisStreamsOptions::new()).await };
    let node = runtime.spawn(node).await.unwrap();
    let next = Node::start(&redis).await;
    next.until_connected().await;
    let balancer = Balancer::to(&node).await;
    let mut client = Client::connect_to(balancer.port).await;
    next.emit(0).await;
    client.hear(1).await;
    balancer.close();
    while node.server().await.parked_sessions == 0 || node.server().await.records_waiting > 0 {
        tokio::task::yield_now().await;
    }
    next.emit(1).await;
    runtime.shutdown_background();
    balancer.turn_to(&next);
    client.until(|client| client.recovered.len() == 2).await;
    next.emit(2).await;
    assert_eq!(client.hear(3).await, [0, 1, 2]);
    assert_eq!(client.recovered, [false, true]);
}

/// The script runs in Redis itself.
#[tokio::test]
async fn a_session_replaces_only_the_version_that_its_node_knows() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&["--appendonly", "no"]).await;
    let engine = RedisStreams::new(RedisStreamsOptions::new()).unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let sid = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
    let pid = RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap();
    let mut session = StoredSession::new(sid, pid, vec!["r1".into()], Value::null());
    let mut outcomes = Vec::new();
    for (version, replaces) in [(7, Some(6)), (7, None), (u64::MAX, Some(7)), (9, Some(7))] {
        session.version = Some(version);
        let command = engine.store(&session, Duration::from_secs(600), replaces).unwrap();
        let mut cmd = redis::Cmd::new();
        for arg in command.args() {
            cmd.arg(&arg[..]);
        }
        let reply = match cmd.query_async::<redis::Value>(&mut connection).await.unwrap() {
            redis::Value::Int(number) => RedisReply::Int(number),
            other => {
                assert_eq!(other, redis::Value::Okay);
                RedisReply::Status("OK".into())
            }
        };
        outcomes.push(RedisStreams::stored(&reply).unwrap());
    }
    let (stored, superseded) = (StoreOutcome::Stored, StoreOutcome::Superseded);
    assert_eq!(outcomes, [superseded, stored, stored, superseded]);
    let ttl = redis.call("PTTL sio:session:MHb4Fpcq3jbRzad2AAAB").await;
    assert!(matches!(ttl, redis::Value::Int(590_000..=600_000)), "{ttl:?}");
}
