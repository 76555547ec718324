//! What can go wrong, in typed form.

use std::{error::Error, io, sync::Arc};

use socketio_proto::{
    ConfigError,
    client::{self, ClientAckFailure, ClientRestoreError, JoinError},
    engine::ClientCloseReason,
    socket::{EncodeError, NamespaceName},
};
use thiserror::Error;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request or a WebSocket failed.
///
/// [`Driver::cause`](crate::Driver::cause) and [`Events::cause`](crate::Events::cause) return it for the
/// event that follows from it.
///
/// ```
/// use socketio_proto_tokio_client::{ProxyError, WireError};
///
/// fn advice(error: &WireError) -> &'static str {
///     match error {
///         WireError::Resolve { .. } => "check the name of the server",
///         WireError::Tls { .. } => "check the certificate of the server",
///         WireError::Proxy { cause: ProxyError::Refused { status: 407 }, .. } => "log in at the proxy",
///         WireError::Status { status: 401 | 403 } => "check the token",
///         _ => "try again later",
///     }
/// }
/// assert_eq!(advice(&WireError::Status { status: 401 }), "check the token");
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The name of the host could not be resolved.
    #[error("the host {host} could not be resolved")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No TCP connection could be opened.
    #[error("no connection to {host}")]
    Connect {
        /// The host.
        host: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The TLS handshake failed: for example, the certificate is not valid for the host. With rustls,
    /// the inner error of `source` is a `rustls::Error`.
    #[error("no TLS connection to {host}")]
    Tls {
        /// The host.
        host: String,
        /// What the TLS library says.
        source: io::Error,
    },
    /// The way through the proxy failed.
    #[error("the proxy {proxy} cannot be used")]
    Proxy {
        /// The host of the proxy.
        proxy: String,
        /// The reason.
        #[source]
        cause: ProxyError,
    },
    /// The server answered with a status other than 200, or, for a WebSocket, other than 101. Redirects
    /// are not followed.
    #[error("the server answered with status {status}")]
    Status {
        /// The status code.
        status: u16,
    },
    /// A response or a message is larger than
    /// [`ClientLimits::max_payload`](socketio_proto::client::ClientLimits::max_payload). The rest was
    /// not read.
    #[error("more than {limit} bytes at once")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What came is not HTTP, does not complete the WebSocket handshake, or breaks the WebSocket
    /// protocol.
    #[error("the answer is not valid HTTP or WebSocket")]
    InvalidResponse {
        /// What the HTTP or WebSocket library says.
        source: BoxError,
    },
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost {
        /// What the library or the operating system says.
        source: BoxError,
    },
    /// The server closed the WebSocket with a close frame.
    #[error("the server closed the WebSocket with code {code}")]
    Closed {
        /// The status code of the frame; 1005 if it had none.
        code: u16,
    },
    /// [`cut`](crate::Driver::cut) or [`set_online(false)`](crate::Driver::set_online) was called.
    #[error("the application has switched the network off")]
    Offline,
}

/// Why a proxy cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy cannot be reached.
    #[error("it cannot be reached")]
    Unreachable(#[source] Box<WireError>),
    /// The proxy did not open a tunnel. 407 means that it wants other credentials.
    #[error("it answered CONNECT with status {status}")]
    Refused {
        /// The status code.
        status: u16,
    },
    /// Proxies with this scheme are not supported. `http` is, and `https` with the feature `tls`.
    #[error("proxies with the scheme {scheme} are not supported")]
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
    },
}

/// Why a client cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The URL needs the form `http://host:port/namespace`, with `http`, `https`, `ws` or `wss`, and
    /// without a user or a password.
    #[error("not the URL of a server: {url}")]
    Url {
        /// The URL.
        url: String,
    },
    /// The path does not begin with a slash, or it is not a valid path.
    #[error("not a valid path: {path}")]
    Path {
        /// The path.
        path: String,
    },
    /// A header has an invalid name or value, or the client sets this header itself.
    #[error("the header {name} cannot be set")]
    Header {
        /// The name.
        name: String,
    },
    /// The URL of the proxy cannot be used. It needs the form `http://user:password@host:port`.
    #[error("not the URL of a proxy")]
    Proxy,
    /// The URL needs TLS, and this crate was built without the feature `tls`.
    #[error("this build has no TLS")]
    NoTls,
    /// The TLS settings cannot be used.
    #[error("the TLS settings cannot be used")]
    Tls(#[source] BoxError),
    /// A setting of the client is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The snapshot cannot be restored.
    #[error(transparent)]
    Restore(#[from] ClientRestoreError),
    /// The namespace or the credentials are invalid.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The call was not made within a tokio runtime.
    #[error("there is no tokio runtime")]
    NoRuntime,
}

/// Why a namespace was not joined.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client cannot be made.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The namespace or the credentials are invalid, or there is no room.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The server answered, but not with a session: see [`client::ConnectError`].
    #[error("the server does not let this client in: {0:?}")]
    Refused(client::ConnectError),
    /// There is no connection.
    #[error("no connection: {reason}")]
    Connection {
        /// What the client says.
        reason: ClientCloseReason,
        /// The request or the WebSocket that failed, if one did.
        #[source]
        cause: Option<Arc<WireError>>,
    },
    /// The application took no event for [`Options::stall_timeout`](crate::Options::stall_timeout) while
    /// there was no room for more. The client goes on trying; events tell the outcome.
    #[error("the application takes no events")]
    Stalled,
    /// The namespace was left before the server answered.
    #[error("the namespace {0} was left")]
    Left(NamespaceName),
    /// The client has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why an event was not emitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The name or the arguments are invalid.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The client does not take the event, for example because a buffer is full.
    #[error(transparent)]
    Client(#[from] client::ClientEmitError),
    /// The client has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why there is no acknowledgement.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AckError {
    /// The event was not emitted.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// No answer comes: see [`ClientAckFailure`].
    #[error("no acknowledgement: {0:?}")]
    Failed(ClientAckFailure),
    /// The application took no event for [`Options::stall_timeout`](crate::Options::stall_timeout) while
    /// there was no room for more, and the answer may be behind these. It comes as an event
    /// ([`Acked`](client::ClientEvent::Acked)).
    #[error("the application takes no events")]
    Stalled,
    /// The client has ended before the answer came.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// The client has ended: it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client has ended")]
pub struct Ended;
