#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod actor;
mod calls;
mod client;
mod clock;
mod connector;
mod cookies;
mod driver;
mod error;
mod events;
mod failures;
mod http;
mod options;
mod proxy;
mod report;
mod requests;
mod resolver;
mod socket;
mod stream;
mod target;
mod tls;
mod websocket;

pub use self::{
    client::{Client, connect, start},
    driver::Driver,
    error::{AckError, ConnectError, EmitError, Ended, OptionsError, ProxyError, WireError},
    events::Events,
    options::Options,
    proxy::Proxy,
    socket::{Session, Socket},
};

pub use socketio_proto;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
