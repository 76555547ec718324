//! The wire of the classic `@socket.io/redis-adapter`.

mod damage;
mod order;
mod traces;

#[path = "../redis_streams/monitor.rs"]
mod monitor;
