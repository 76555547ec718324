//! A user of Redis who may use the commands that the README lists, and no others.

use socketio_proto_redis::RedisStreamsOptions;
use socketio_proto_tokio::cluster::contract::check;

use crate::{
    contract::{PubSub, Sharded, Streams},
    pubsub::Kind,
    support::{Node, Redis, have_redis},
};

/// What the table says of the engine whose row begins with this.
fn listed(row: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let (_, behind) = readme.split_once("| engine | commands |").unwrap();
    let mut cells = behind.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let (_, commands) = cells.find(|(engine, _)| engine.starts_with(row)).unwrap();
    let odd = commands.split('`').skip(1).step_by(2);
    odd.map(str::to_owned).collect()
}

async fn redis_for(row: &str) -> Option<Redis> {
    if !have_redis() {
        return None;
    }
    let mut redis = Redis::start(&[]).await;
    redis.permit(&listed(row)).await;
    Some(redis)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_need_only_the_commands_that_the_readme_lists() {
    if let Some(redis) = redis_for("[`RedisEngine`]").await {
        check(&Streams(redis, RedisStreamsOptions::new())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_with_sharded_pubsub_need_only_the_commands_that_the_readme_lists() {
    if let Some(redis) = redis_for("the same with [`use_sharded_pub_sub`]").await {
        let options = RedisStreamsOptions::new().use_sharded_pub_sub(true);
        check(&Streams(redis, options)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pubsub_needs_only_the_commands_that_the_readme_lists() {
    if let Some(redis) = redis_for("[`RedisPubSubEngine`]").await {
        check(&PubSub(redis)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sharded_pubsub_needs_only_the_commands_that_the_readme_lists() {
    if let Some(redis) = redis_for("[`RedisShardedEngine`]").await {
        check(&Sharded(redis)).await.unwrap();
    }
}

/// A Redis whose user may not use one of the commands that are listed.
async fn redis_without(row: &str, command: &str) -> Option<Redis> {
    if !have_redis() {
        return None;
    }
    let mut redis = Redis::start(&[]).await;
    let mut commands = listed(row);
    commands.retain(|listed| listed != command);
    redis.permit(&commands).await;
    Some(redis)
}

/// Redis confirms each channel of a subscription, but it refuses all of them at once.
#[tokio::test]
async fn a_subscription_that_is_refused_is_told() {
    for command in ["PSUBSCRIBE", "SUBSCRIBE"] {
        if let Some(redis) = redis_without("[`RedisPubSubEngine`]", command).await {
            Kind::Plain.open(&redis.url()).await.until_failed_with("NOPERM").await;
        }
    }
    if let Some(redis) = redis_without("[`RedisShardedEngine`]", "SSUBSCRIBE").await {
        Kind::Sharded.open(&redis.url()).await.until_failed_with("NOPERM").await;
    }
    if let Some(redis) = redis_without("[`RedisEngine`]", "SUBSCRIBE").await {
        Node::start(&redis).await.until_failed_with("NOPERM").await;
    }
}
