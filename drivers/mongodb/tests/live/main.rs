//! Nodes over a server that speaks the protocol of MongoDB, which is killed, cut off and restarted.

mod clock;
mod contract;
mod documents;
#[path = "../../../../tests/fixtures/live.rs"]
#[expect(dead_code, reason = "each driver uses a part of it")]
mod live;
#[path = "../../../../tests/fixtures/moves.rs"]
mod moves;
mod outages;
#[path = "../../../../tests/fixtures/ports.rs"]
mod ports;
#[path = "../../../../tests/fixtures/proxy.rs"]
mod proxy;
mod refusals;
mod secantus;
mod sessions;
mod support;
