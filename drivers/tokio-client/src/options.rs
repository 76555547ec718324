//! Settings of a client and of its way to the server.

use std::{fmt, sync::Arc, time::Duration};

use hyper::{
    HeaderMap,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
        SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        TRANSFER_ENCODING, UPGRADE,
    },
};
use socketio_proto::client::{Auth, Client, ClientConfig, ClientSnapshot};
#[cfg(feature = "tls")]
use tokio_rustls::rustls::{self, pki_types::CertificateDer};

use crate::{
    OptionsError, Proxy, clock::Clock, connector::Connector, cookies::CookieJar, proxy::Proxies,
    requests::Requests, target::Target, tls::Tls,
};

/// Headers that belong to HTTP and WebSocket.
const RESERVED: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    PROXY_AUTHORIZATION,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Settings of a client and of its way to the server.
///
/// ```
/// use socketio_proto::client::ClientConfig;
/// use socketio_proto_tokio_client::{Options, Proxy};
///
/// let options = Options::new()
///     .config(ClientConfig::new().reconnection_attempts(Some(10)))
///     .header("authorization", "Bearer token")
///     .proxy(Proxy::Direct);
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) auth: Auth,
    pub(crate) event_bytes: usize,
    pub(crate) stall_timeout: Duration,
    config: ClientConfig,
    snapshot: Option<ClientSnapshot>,
    path: String,
    headers: Vec<(String, String)>,
    proxy: Proxy,
    #[cfg(feature = "cookies")]
    keeps_cookies: bool,
    #[cfg(feature = "tls")]
    roots: Vec<CertificateDer<'static>>,
    #[cfg(feature = "tls")]
    tls: Option<rustls::ClientConfig>,
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            auth: Auth::None,
            event_bytes: 16 << 20,
            stall_timeout: Duration::from_secs(10),
            config: ClientConfig::new(),
            snapshot: None,
            path: "/socket.io/".to_owned(),
            headers: Vec::new(),
            proxy: Proxy::default(),
            #[cfg(feature = "cookies")]
            keeps_cookies: false,
            #[cfg(feature = "tls")]
            roots: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The settings of the client itself: transports, reconnection, timeouts, limits. Default:
    /// [`ClientConfig::new`].
    #[must_use]
    pub fn config(mut self, value: ClientConfig) -> Self {
        self.config = value;
        self
    }

    /// The credentials for the namespace that the URL names. Default: none. [`Driver`](crate::Driver) does
    /// not use them.
    #[must_use]
    pub fn auth(mut self, value: Auth) -> Self {
        self.auth = value;
        self
    }

    /// The snapshot of the process before, whose sessions the client continues. Default: none.
    #[must_use]
    pub fn snapshot(mut self, value: ClientSnapshot) -> Self {
        self.snapshot = Some(value);
        self
    }

    /// The path of the server. Default: `/socket.io/`.
    #[must_use]
    pub fn path(mut self, value: impl Into<String>) -> Self {
        self.path = value.into();
        self
    }

    /// Adds a header to each request and to each WebSocket handshake. A proxy that passes on bytes does
    /// not see it.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The proxy. Default: [`Proxy::Environment`].
    #[must_use]
    pub fn proxy(mut self, value: Proxy) -> Self {
        self.proxy = value;
        self
    }

    /// Whether to keep the cookies that the server sets and to send them back, as a balancer with sticky
    /// sessions by cookie needs it. Default: no. At most 50 cookies of 4,096 bytes are kept: a larger one
    /// is ignored, and a server that sets more loses all of them.
    #[cfg(feature = "cookies")]
    #[must_use]
    pub fn cookies(mut self, value: bool) -> Self {
        self.keeps_cookies = value;
        self
    }

    /// Trusts one more root certificate, besides those of the features `webpki-roots` and `native-roots`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn root_certificate(mut self, value: CertificateDer<'static>) -> Self {
        self.roots.push(value);
        self
    }

    /// The TLS settings instead of those of this crate: for client certificates, for example. Roots of
    /// [`root_certificate`](Self::root_certificate) do not count then. ALPN is always `http/1.1`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, value: rustls::ClientConfig) -> Self {
        self.tls = Some(value);
        self
    }

    /// How many bytes of events may wait in [`Events`](crate::Events) for the application. Each event
    /// counts with its text, its attachments and 256 bytes. Default: 16 MiB; at least 64 KiB. Beyond it, nothing more is
    /// read from the server until the application takes an event: the server sees a client that does not
    /// read. Acknowledgements behind that point wait as well.
    #[must_use]
    pub fn event_bytes(mut self, value: usize) -> Self {
        self.event_bytes = value;
        self
    }

    /// How long the application may take no event while there is no room for more
    /// ([`event_bytes`](Self::event_bytes)). After that, calls that wait for the server fail
    /// ([`AckError::Stalled`](crate::AckError::Stalled)). So an application that waits for an answer in the task
    /// that takes the events does not wait forever. Default: 10 s.
    #[must_use]
    pub fn stall_timeout(mut self, value: Duration) -> Self {
        self.stall_timeout = value;
        self
    }

    /// Makes the client, and what its requests have in common.
    pub(crate) fn build(mut self, url: &str) -> Result<(Client, Requests), OptionsError> {
        let target = Arc::new(Target::new(url, &self.path)?);
        let mut config = self.config.clone();
        for (name, value) in form_urlencoded::parse(target.query().as_bytes()) {
            config = config.query_parameter(name, value);
        }
        let mut client = Client::new(config, fill)?;
        if let Some(snapshot) = self.snapshot.take() {
            client.restore(Clock::start().now(), snapshot)?;
        }
        let tls = self.make_tls(&target)?;
        let proxies = Proxies::new(&self.proxy)?;
        let connector = Connector::new(target.clone(), proxies, tls);
        let requests = Requests {
            headers: self.make_headers()?,
            cookies: self.make_cookies(&target),
            proxy_authorization: connector.proxy_authorization(),
            body_limit: client.max_payload(),
            target,
            connector,
        };
        Ok((client, requests))
    }

    fn make_headers(&self) -> Result<HeaderMap, OptionsError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = || OptionsError::Header { name: name.clone() };
            let header = HeaderName::try_from(name).map_err(|_| invalid())?;
            if RESERVED.contains(&header) {
                return Err(invalid());
            }
            let value = HeaderValue::try_from(value).map_err(|_| invalid())?;
            headers.append(header, value);
        }
        Ok(headers)
    }

    #[cfg(feature = "cookies")]
    fn make_cookies(&self, target: &Target) -> Option<CookieJar> {
        self.keeps_cookies.then(|| CookieJar::new(target)).flatten()
    }

    #[cfg(not(feature = "cookies"))]
    #[expect(clippy::unused_self, reason = "as with cookies")]
    fn make_cookies(&self, _: &Target) -> Option<CookieJar> {
        None
    }

    #[cfg(feature = "tls")]
    fn make_tls(&self, _: &Target) -> Result<Tls, OptionsError> {
        match &self.tls {
            Some(config) => Ok(Tls::with_config(config.clone())),
            None => Tls::new(&self.roots),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "as with TLS")]
    fn make_tls(&self, target: &Target) -> Result<Tls, OptionsError> {
        if target.is_secure() { Err(OptionsError::NoTls) } else { Ok(Tls) }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("path", &self.path)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

/// Random bits of the operating system. They spread reconnections, which needs no secret: if there
/// are none, the bits stay as they are.
fn fill(dest: &mut [u8]) {
    getrandom::fill(dest).ok();
}
