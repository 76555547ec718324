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
mod output;
mod stream;
mod streams;
mod writing;

pub use self::{
    endpoint::Endpoint, limits::StreamLimits, output::EndpointOutput, streams::StreamId,
};
