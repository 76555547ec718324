//! Opens connections to the server: names, TCP, proxies, TLS.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Uri, header::HeaderValue};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tower_service::Service;

use crate::{
    WireError,
    failures::connect_error,
    proxy::{self, Proxies, Via},
    resolver::Resolver,
    stream::Stream,
    target::Target,
    tls::Tls,
};

/// How long all addresses of a host may take together. The client gives an attempt up later
/// ([`open_timeout`](socketio_proto::client::ClientConfig::open_timeout)), so that a dead address does
/// not keep it from the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections. As a service, it opens them for HTTP requests.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector<Resolver>,
    target: Arc<Target>,
    proxies: Arc<Proxies>,
    tls: Tls,
}

impl Connector {
    pub(crate) fn new(target: Arc<Target>, proxies: Proxies, tls: Tls) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { tcp, target, proxies: Arc::new(proxies), tls }
    }

    /// The credentials for a proxy that reads the requests. Another proxy gets them when it is asked for
    /// a tunnel.
    pub(crate) fn proxy_authorization(&self) -> Option<HeaderValue> {
        let via = self.proxies.find(&self.target).filter(|_| !self.target.is_secure());
        via?.authorization().cloned()
    }

    /// Opens a connection for a WebSocket. No proxy reads what passes.
    pub(crate) async fn open_websocket(&self) -> Result<Stream, WireError> {
        self.open(true).await
    }

    async fn open_http(&self) -> Result<Stream, WireError> {
        self.open(self.target.is_secure()).await
    }

    /// Opens a connection to the server. If there is a proxy, `tunnels` says whether it is to pass on
    /// bytes instead of requests.
    async fn open(&self, tunnels: bool) -> Result<Stream, WireError> {
        let target = &*self.target;
        let stream = match self.proxies.find(target) {
            None => self.open_tcp(target.host(), target.port()).await?,
            Some(via) => {
                let stream = self.open_proxy(&via).await?;
                if !tunnels {
                    return Ok(stream.at_proxy());
                }
                proxy::tunnel(stream, &via, target.host(), target.port()).await?
            }
        };
        if target.is_secure() { self.tls.wrap(target.host(), stream).await } else { Ok(stream) }
    }

    async fn open_proxy(&self, via: &Via) -> Result<Stream, WireError> {
        via.check()?;
        let opened = async {
            let stream = self.open_tcp(via.host(), via.port()).await?;
            if via.is_secure() { self.tls.wrap(via.host(), stream).await } else { Ok(stream) }
        };
        opened.await.map_err(|error| via.unreachable(error))
    }

    async fn open_tcp(&self, host: &str, port: u16) -> Result<Stream, WireError> {
        // The scheme does not matter: there is a port.
        let uri = Uri::builder().scheme("http").authority(format!("{host}:{port}"));
        let uri = uri.path_and_query("/").build();
        let uri = uri.map_err(|error| WireError::InvalidResponse { source: error.into() })?;
        let opened = self.tcp.clone().call(uri).await;
        let stream = opened.map_err(|error| connect_error(host, &error))?;
        Ok(Stream::new(stream.into_inner()))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Arc<WireError>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    /// All requests go to the same server.
    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.open_http().await.map(TokioIo::new).map_err(Arc::new) })
    }
}
