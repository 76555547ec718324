//! Nodes over real Redis servers, which are killed, paused, restarted, filled and lied about.

mod black_hole;
mod connections;
mod contract;
mod entries;
mod lies;
#[path = "../../../../tests/fixtures/live.rs"]
#[expect(dead_code, reason = "each driver uses a part of it")]
mod live;
#[path = "../../../../tests/fixtures/moves.rs"]
mod moves;
mod outages;
mod permissions;
mod pieces;
#[path = "../../../../tests/fixtures/ports.rs"]
mod ports;
#[path = "../../../../tests/fixtures/proxy.rs"]
mod proxy;
mod pubsub;
mod pubsub_away;
mod refusals;
mod sessions;
mod subscriptions;
mod support;
#[cfg(feature = "tls")]
mod tls;
