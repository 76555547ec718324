//! What every engine has to do.

use socketio_proto_redis::{
    RedisEngine, RedisPubSubEngine, RedisPubSubOptions, RedisShardedEngine, RedisShardedOptions,
    RedisStreamsOptions, SubscriptionMode,
};
use socketio_proto_tokio::cluster::contract::{EngineUnderTest, check};

use crate::support::{PATIENCE, Redis, have_redis};

pub struct Streams(pub Redis, pub RedisStreamsOptions);

impl EngineUnderTest for Streams {
    type Engine = RedisEngine;

    fn open(&self) -> RedisEngine {
        let engine = RedisEngine::open(self.0.url(), self.1.clone()).unwrap();
        engine.answer_timeout(PATIENCE)
    }

    async fn break_connections(&self) {
        break_connections(&self.0).await;
    }

    async fn damage(&self) {
        for entry in ["x y", "uid a nsp / type 3 data {", "type 99999999999999999999"] {
            self.0.call(&format!("XADD socket.io * {entry}")).await;
        }
        let publish = if self.1.use_sharded_pub_sub { "SPUBLISH" } else { "PUBLISH" };
        self.0.call(&format!("{publish} socket.io#/# damaged")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_keep_the_contract_of_engines() {
    if have_redis() {
        let redis = Redis::start(&[]).await;
        check(&Streams(redis, RedisStreamsOptions::new())).await.unwrap();
    }
}

pub struct PubSub(pub Redis);

impl EngineUnderTest for PubSub {
    type Engine = RedisPubSubEngine;

    fn open(&self) -> RedisPubSubEngine {
        let engine = RedisPubSubEngine::open(self.0.url(), RedisPubSubOptions::new()).unwrap();
        engine.answer_timeout(PATIENCE)
    }

    async fn break_connections(&self) {
        break_connections(&self.0).await;
    }

    async fn damage(&self) {
        for channel in ["", "#/#", "#/#r#", "-request#/#", "-request#", "-response#/#", "-node#/#"]
        {
            for payload in ["{", "{}", "damaged"] {
                self.0.call(&format!("PUBLISH socket.io{channel} {payload}")).await;
            }
        }
    }

    fn has_log(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pubsub_keeps_the_contract_of_engines() {
    if have_redis() {
        check(&PubSub(Redis::start(&[]).await)).await.unwrap();
    }
}

pub struct Sharded(pub Redis);

impl EngineUnderTest for Sharded {
    type Engine = RedisShardedEngine;

    fn open(&self) -> RedisShardedEngine {
        let options = RedisShardedOptions::new().subscription_mode(SubscriptionMode::Static);
        RedisShardedEngine::open(self.0.url(), options).unwrap().answer_timeout(PATIENCE)
    }

    async fn break_connections(&self) {
        break_connections(&self.0).await;
    }

    async fn damage(&self) {
        for channel in ["", "#/#", "#/#r#", "#socketio-proto#", "#socketio-proto#/#"] {
            for payload in ["{", "{}", "damaged", "{\"seq\":1}", "{\"seq\":1,\"type\":65,}"] {
                self.0.call(&format!("SPUBLISH socket.io{channel} {payload}")).await;
            }
        }
    }

    fn has_log(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sharded_pubsub_keeps_the_contract_of_engines() {
    if have_redis() {
        check(&Sharded(Redis::start(&[]).await)).await.unwrap();
    }
}

async fn break_connections(redis: &Redis) {
    for kind in ["normal", "pubsub"] {
        redis.call(&format!("CLIENT KILL TYPE {kind}")).await;
    }
}
