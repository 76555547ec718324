//! The crate over real streams: the service in several HTTP servers, and the handle.

mod handle;
mod layers;
mod mounting;
mod support;
