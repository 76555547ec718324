//! Nodes over real PostgreSQL servers, which are killed, paused, restarted and lied to.

mod contract;
mod entries;
#[path = "../../../../tests/fixtures/live.rs"]
#[expect(dead_code, reason = "each driver uses a part of it")]
mod live;
mod node_js;
mod outages;
#[path = "../../../../tests/fixtures/ports.rs"]
mod ports;
mod support;
mod tls;
