//! Names of hosts.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use thiserror::Error;
use tower_service::Service;

/// The resolver of the operating system. Its errors can be told from those of TCP.
#[derive(Clone)]
pub(crate) struct Resolver(GaiResolver);

impl Resolver {
    pub(crate) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct ResolveError(pub(crate) io::Error);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let mut resolver = self.0.clone();
        Box::pin(async move { Ok(resolver.call(name).await.map_err(ResolveError)?) })
    }
}
