//! The client over real sockets: the way to the server, the handles, and servers that misbehave.

mod cookies;
mod handles;
mod hostile;
mod names;
mod pressure;
mod proxies;
mod support;
mod tls;
