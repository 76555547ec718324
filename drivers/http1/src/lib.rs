#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod endpoint;
mod head;
mod limits;
mod stream;

pub use self::{
    endpoint::{Endpoint, EndpointOutput, StreamId},
    limits::StreamLimits,
};
