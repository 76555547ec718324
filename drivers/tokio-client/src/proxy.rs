//! Proxies.

use http_body_util::Empty;
use hyper::{
    Request, Uri,
    client::conn::http1,
    header::{HOST, HeaderValue, PROXY_AUTHORIZATION},
};
use hyper_util::{
    client::proxy::matcher::{Intercept, Matcher},
    rt::TokioIo,
};
use tokio::task::JoinSet;

use crate::{
    OptionsError, ProxyError, WireError, failures::http_error, stream::Stream, target::Target,
};

/// Which proxy a client uses.
///
/// ```
/// use socketio_proto_tokio_client::{Options, Proxy};
///
/// let options = Options::new().proxy(Proxy::Url("http://user:password@localhost:3128".into()));
/// # let _ = options;
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// The proxy that the environment names, as for curl: `HTTPS_PROXY` for `https` and `wss`,
    /// `HTTP_PROXY` for `http` and `ws`, `ALL_PROXY` for both, and none for the hosts in `NO_PROXY`. The
    /// variables may also be in lower case.
    #[default]
    Environment,
    /// None.
    Direct,
    /// This proxy: `http://host:port` or `https://host:port`, with `user:password@` before the host if it
    /// wants credentials.
    Url(String),
}

impl std::fmt::Debug for Proxy {
    /// Shows no credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url(..)",
        })
    }
}

/// The rules that say which proxy is used.
pub(crate) struct Proxies(Option<Matcher>);

impl Proxies {
    pub(crate) fn new(proxy: &Proxy) -> Result<Self, OptionsError> {
        let matcher = match proxy {
            Proxy::Direct => return Ok(Self(None)),
            Proxy::Environment => Matcher::from_env(),
            Proxy::Url(url) => Matcher::builder().all(url).build(),
        };
        let any = Uri::from_static("http://host/");
        if matches!(proxy, Proxy::Url(_)) && matcher.intercept(&any).is_none() {
            return Err(OptionsError::Proxy);
        }
        Ok(Self(Some(matcher)))
    }

    pub(crate) fn find(&self, target: &Target) -> Option<Via> {
        // The matcher knows only the schemes of HTTP.
        let uri = target.http("").parse().ok()?;
        self.0.as_ref()?.intercept(&uri).map(Via)
    }
}

/// A proxy on the way to the server.
pub(crate) struct Via(Intercept);

impl Via {
    /// The host, an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        self.0.uri().host().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        let default = if self.is_secure() { 443 } else { 80 };
        self.0.uri().port_u16().unwrap_or(default)
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.0.uri().scheme_str() == Some("https")
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.0.basic_auth()
    }

    pub(crate) fn check(&self) -> Result<(), WireError> {
        match self.0.uri().scheme_str() {
            Some("http" | "https") => Ok(()),
            scheme => {
                let scheme = scheme.unwrap_or_default().to_owned();
                Err(self.failed(ProxyError::UnsupportedScheme { scheme }))
            }
        }
    }

    pub(crate) fn unreachable(&self, error: WireError) -> WireError {
        self.failed(ProxyError::Unreachable(Box::new(error)))
    }

    fn failed(&self, cause: ProxyError) -> WireError {
        WireError::Proxy { proxy: self.host().to_owned(), cause }
    }
}

/// Asks a proxy to pass on bytes.
pub(crate) async fn tunnel(
    stream: Stream,
    via: &Via,
    host: &str,
    port: u16,
) -> Result<Stream, WireError> {
    let failed = |error: hyper::Error| via.unreachable(http_error(error));
    let authority = format!("{host}:{port}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the answer. If this future is dropped before, the task is aborted.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection.with_upgrades());
    let mut request = Request::connect(&authority).header(HOST, &authority);
    if let Some(authorization) = via.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<&[u8]>::new());
    let request = request.map_err(|error| WireError::InvalidResponse { source: error.into() })?;
    let response = sender.send_request(request).await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(via.failed(ProxyError::Refused { status: response.status().as_u16() }));
    }
    let tunnel = hyper::upgrade::on(response).await.map_err(failed)?;
    Ok(Stream::new(TokioIo::new(tunnel)))
}
