#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod driver;
mod http;
mod websocket;

pub use self::{driver::Driver, http::Site};

pub use socketio_proto;
