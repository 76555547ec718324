//! The systems that carry what nodes say, as plain data: commands to send, and replies to read.
//!
//! Nothing here opens a connection. A driver does, with the client of its choice.

pub mod mongodb;
pub mod postgres;
mod redis_number;
pub mod redis_pubsub;
pub mod redis_sharded;
pub mod redis_streams;
pub mod sqlite;
