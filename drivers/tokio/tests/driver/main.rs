//! The crate over real streams: the service in several HTTP servers, and the handle.

mod cluster;
mod figures;
mod handle;
mod layers;
#[cfg(feature = "tracing")]
mod logs;
mod mounting;
mod router;
mod support;
mod tls;
