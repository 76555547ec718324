//! What the tests share.

pub mod certificates;
pub mod proxy;
pub mod raw;
pub mod server;

use std::{future::Future, time::Duration};

use socketio_proto::{client::ClientConfig, engine::Transport};
use socketio_proto_tokio_client::{Options, Proxy};

/// Far longer than anything takes: for a failure instead of a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub const TRANSPORTS: [&[Transport]; 3] =
    [&[Transport::Polling], &[Transport::WebSocket], &[Transport::Polling, Transport::WebSocket]];

pub async fn in_time<R>(future: impl Future<Output = R>) -> R {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Settings that do not depend on the machine, and reconnect soon.
pub fn options(transports: &[Transport]) -> Options {
    Options::new().config(config(transports)).proxy(Proxy::Direct)
}

pub fn config(transports: &[Transport]) -> ClientConfig {
    ClientConfig::new()
        .transports(transports)
        .reconnection_delay(Duration::from_millis(20))
        .reconnection_delay_max(Duration::from_millis(100))
}
