//! Nodes over a server that speaks the protocol of MongoDB, which is killed, cut off and restarted.

mod contract;
mod documents;
#[path = "../../../../tests/fixtures/live.rs"]
#[expect(dead_code, reason = "each driver uses a part of it")]
mod live;
mod outages;
#[path = "../../../../tests/fixtures/ports.rs"]
mod ports;
mod proxy;
mod refusals;
mod secantus;
mod sessions;
mod support;
