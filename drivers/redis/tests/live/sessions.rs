//! Sessions go on at another node when theirs is gone.

use std::time::Duration;

use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::{
        StoreOutcome,
        engines::redis_streams::{RedisReply, RedisStreams},
        message::{StoredSession, Value},
    },
};
use socketio_proto_redis::{RedisStreamsOptions, redis};

use crate::{
    moves,
    support::{Node, Redis, have_redis},
};

#[tokio::test]
async fn a_node_that_is_shut_down_leaves_its_sessions_to_the_others() {
    if have_redis() {
        let redis = Redis::start(&[]).await;
        moves::a_node_that_is_shut_down_leaves_its_sessions(|| Node::start(&redis)).await;
    }
}

#[tokio::test]
async fn a_session_that_was_parked_outlives_its_node() {
    if !have_redis() {
        return;
    }
    let redis = Redis::start(&[]).await;
    let url = redis.url();
    moves::a_parked_session_outlives_its_node(|| {
        let url = url.clone();
        async move { Node::with(&url, RedisStreamsOptions::new()).await }
    })
    .await;
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
            cmd.arg(arg);
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
