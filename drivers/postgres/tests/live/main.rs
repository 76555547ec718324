//! Nodes over real PostgreSQL servers, which are killed, paused, restarted and lied to.

mod contract;
mod entries;
mod node_js;
mod outages;
mod support;
