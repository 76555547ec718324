//! The wire of the sharded adapter of `@socket.io/redis-adapter`, and the log beside it.

mod damage;
mod order;
mod redis;
mod traces;

#[path = "../redis_streams/monitor.rs"]
mod monitor;
