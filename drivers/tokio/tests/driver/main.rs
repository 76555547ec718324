//! The crate over real streams: the service in several HTTP servers, and the handle.

mod handle;
mod mounting;
mod support;
