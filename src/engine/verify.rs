//! The verification of requests: a pure function of the request, the configuration and one look-up.

use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use thiserror::Error;

use super::{Query, QuerySid, Response, Transport};
use crate::{EngineId, ServerConfig, Transports, redacted};

/// The parts of an HTTP request that the protocol uses.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: Method,
    /// The raw query string, without the `?`.
    pub query: &'a str,
    /// Whether this is a WebSocket handshake.
    pub upgrade: bool,
    /// The raw value of the `Origin` header.
    pub origin: Option<&'a [u8]>,
    /// Whether the `Content-Type` is exactly `application/octet-stream`.
    pub binary: bool,
}

impl fmt::Debug for RequestHead<'_> {
    /// Does not show the session's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("query", &redacted::Query(self.query))
            .field("upgrade", &self.upgrade)
            .field("origin", &self.origin)
            .field("binary", &self.binary)
            .finish()
    }
}

/// The methods that the protocol distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "closed: `Other` covers the rest")]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// Any other.
    Other,
}

/// A request that passed verification. `T` is what the look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: a request opens a session or belongs to one")]
pub enum Verified<T> {
    /// It opens a session. If the application decides who may open one, it decides now, and refuses
    /// with [`RequestRefusal::forbidden`].
    Handshake {
        /// The transport that the session starts with.
        transport: Transport,
    },
    /// It belongs to this session.
    Session(T),
}

/// Verifies a request by the rules of the reference, in their order. The first rule that fails
/// decides the refusal.
///
/// `find` looks up a session and returns its current transport.
///
/// | rule | code |
/// | --- | --- |
/// | the transport exists and is enabled | 0 |
/// | the origin is a legal header value | 3 |
/// | the origin is one of [`ServerConfig::origins`] | 4 |
/// | the session exists | 1 |
/// | a plain request uses the transport of its session | 3 |
/// | the revision is that of its session | 3 |
/// | a WebSocket for a session has its transport | 3 |
/// | a handshake is a GET | 2 |
/// | a handshake has its transport: a WebSocket `websocket`, a plain request `polling` | 3 |
/// | a handshake asks for revision 4 | 5 |
///
/// The WebSocket header fields of a request are verified separately; see
/// [`WebSocketRequest`](super::WebSocketRequest).
///
/// # Errors
///
/// The [`RequestRefusal`] to send as the response.
///
/// ```
/// use socketio_proto::ServerConfig;
/// use socketio_proto::engine::{ErrorCode, Method, RequestHead, Transport, Verified, verify};
///
/// let config = ServerConfig::new();
/// let mut head = RequestHead {
///     method: Method::Get,
///     query: "EIO=4&transport=polling",
///     upgrade: false,
///     origin: None,
///     binary: false,
/// };
/// let nobody = |_: &_| None::<((), Transport)>;
/// let verified = verify(&head, &config, nobody);
/// assert_eq!(verified, Ok(Verified::Handshake { transport: Transport::Polling }));
///
/// head.query = "EIO=3&transport=polling";
/// let refusal = verify(&head, &config, nobody).unwrap_err();
/// assert_eq!(refusal.code, ErrorCode::UnsupportedVersion);
/// ```
pub fn verify<T>(
    head: &RequestHead<'_>,
    config: &ServerConfig,
    find: impl FnOnce(&EngineId) -> Option<(T, Transport)>,
) -> Result<Verified<T>, RequestRefusal> {
    let query = Query::parse(head.query);
    let Some(transport) = query.transport.filter(|&transport| enabled(config, transport)) else {
        return Err(RequestRefusal::new(ErrorCode::UnknownTransport, "TRANSPORT_UNKNOWN"));
    };
    if head.origin.is_some_and(|origin| !is_legal_header_value(origin)) {
        return Err(RequestRefusal::new(ErrorCode::BadRequest, "INVALID_ORIGIN"));
    }
    if head.origin.is_some_and(|origin| !config.origins.allows(origin)) {
        return Err(RequestRefusal::origin_not_allowed());
    }
    match query.sid {
        Some(sid) => verify_session(head, query.version4, transport, find_sid(sid, find)),
        None => verify_handshake(head, query.version4, transport),
    }
}

fn find_sid<T>(
    sid: QuerySid,
    find: impl FnOnce(&EngineId) -> Option<(T, Transport)>,
) -> Option<(T, Transport)> {
    match sid {
        QuerySid::Id(id) => find(&id),
        QuerySid::Malformed => None,
    }
}

fn verify_session<T>(
    head: &RequestHead<'_>,
    version4: bool,
    transport: Transport,
    found: Option<(T, Transport)>,
) -> Result<Verified<T>, RequestRefusal> {
    let Some((session, current)) = found else {
        return Err(RequestRefusal::unknown_session());
    };
    if !head.upgrade && transport != current {
        return Err(RequestRefusal::new(ErrorCode::BadRequest, "TRANSPORT_MISMATCH"));
    }
    if !version4 {
        return Err(RequestRefusal::new(ErrorCode::BadRequest, "PROTOCOL_MISMATCH"));
    }
    // A session on WebSocket cannot answer a plain request.
    if !head.upgrade && current == Transport::WebSocket {
        return Err(RequestRefusal::new(ErrorCode::BadRequest, "TRANSPORT_HANDSHAKE_ERROR"));
    }
    if head.upgrade && transport == Transport::Polling {
        return Err(not_a_websocket());
    }
    Ok(Verified::Session(session))
}

fn verify_handshake<T>(
    head: &RequestHead<'_>,
    version4: bool,
    transport: Transport,
) -> Result<Verified<T>, RequestRefusal> {
    if head.method != Method::Get {
        return Err(RequestRefusal::new(ErrorCode::BadHandshakeMethod, "BAD_HANDSHAKE_METHOD"));
    }
    if !head.upgrade && transport == Transport::WebSocket {
        return Err(RequestRefusal::new(ErrorCode::BadRequest, "TRANSPORT_HANDSHAKE_ERROR"));
    }
    if head.upgrade && transport == Transport::Polling {
        return Err(not_a_websocket());
    }
    if !version4 {
        return Err(RequestRefusal::new(
            ErrorCode::UnsupportedVersion,
            "UNSUPPORTED_PROTOCOL_VERSION",
        ));
    }
    Ok(Verified::Handshake { transport })
}

fn not_a_websocket() -> RequestRefusal {
    RequestRefusal::new(ErrorCode::BadRequest, "TRANSPORT_MISMATCH")
}

fn enabled(config: &ServerConfig, transport: Transport) -> bool {
    match config.transports {
        Transports::Both => true,
        Transports::PollingOnly => transport == Transport::Polling,
        Transports::WebSocketOnly => transport == Transport::WebSocket,
    }
}

/// Tab, visible ASCII, space and everything beyond ASCII.
fn is_legal_header_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// The error codes of Engine.IO, as numbers on the wire.
///
/// The set is closed: a revision that adds one is another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(clippy::exhaustive_enums, reason = "closed: the error codes of the revision")]
pub enum ErrorCode {
    /// 0: the transport is missing, unknown or not enabled.
    UnknownTransport = 0,
    /// 1: no session has this id.
    UnknownSession = 1,
    /// 2: a handshake that is not a GET.
    BadHandshakeMethod = 2,
    /// 3: anything else that is wrong with the request.
    BadRequest = 3,
    /// 4: the application refused, or the origin is not allowed.
    Forbidden = 4,
    /// 5: not revision 4.
    UnsupportedVersion = 5,
}

impl ErrorCode {
    /// Returns the number on the wire.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Returns the message of the reference.
    pub const fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSession => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }
}

/// A request that failed verification.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} (code {code}, {context})", code = .code.as_u8())]
pub struct RequestRefusal {
    /// The error code that the client gets.
    pub code: ErrorCode,
    /// The message that the client gets.
    pub message: ByteString,
    /// The rule that failed, in the words of the reference where it has some, such as
    /// `TRANSPORT_MISMATCH`. The client does not get it.
    pub context: &'static str,
}

impl RequestRefusal {
    pub(crate) const ORIGIN_NOT_ALLOWED: &str = "ORIGIN_NOT_ALLOWED";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "TOO_MANY_CONNECTIONS";
    pub(crate) const TOO_MANY_HANDSHAKES: &str = "TOO_MANY_HANDSHAKES";
    pub(crate) const WEBSOCKET_METHOD: &str = "WEBSOCKET_METHOD";
    pub(crate) const WEBSOCKET_REQUEST: &str = "WEBSOCKET_REQUEST";
    pub(crate) const WEBSOCKET_VERSION: &str = "WEBSOCKET_VERSION";

    /// The application refuses this client (code 4). The client gets the message.
    ///
    /// ```
    /// use socketio_proto::engine::{ErrorCode, RequestRefusal};
    ///
    /// let refusal = RequestRefusal::forbidden("come back tomorrow");
    /// assert_eq!((refusal.code, refusal.code.as_u8()), (ErrorCode::Forbidden, 4));
    /// assert_eq!(&*refusal.message, "come back tomorrow");
    /// ```
    pub fn forbidden(message: impl Into<ByteString>) -> Self {
        Self { code: ErrorCode::Forbidden, message: message.into(), context: "FORBIDDEN" }
    }

    /// Something is wrong with the request (code 3).
    pub fn bad_request() -> Self {
        Self::new(ErrorCode::BadRequest, "BAD_REQUEST")
    }

    /// No session has this id (code 1).
    pub fn unknown_session() -> Self {
        Self::new(ErrorCode::UnknownSession, "UNKNOWN_SID")
    }

    /// The origin is not one of [`ServerConfig::origins`] (code 4).
    pub fn origin_not_allowed() -> Self {
        let message = ByteString::from_static("Origin not allowed");
        Self { code: ErrorCode::Forbidden, message, context: Self::ORIGIN_NOT_ALLOWED }
    }

    /// [`Limits::connections`](crate::Limits::connections) is reached (code 3).
    pub fn too_many_connections() -> Self {
        Self::new(ErrorCode::BadRequest, Self::TOO_MANY_CONNECTIONS)
    }

    /// Handshakes come faster than [`Limits::handshakes_per_second`](crate::Limits::handshakes_per_second) (code 3).
    pub fn too_many_handshakes() -> Self {
        Self::new(ErrorCode::BadRequest, Self::TOO_MANY_HANDSHAKES)
    }

    /// Returns the response: JSON for a plain request, the bare message for a WebSocket handshake.
    /// A request for another revision of Engine.IO always gets JSON.
    ///
    /// ```
    /// use socketio_proto::engine::RequestRefusal;
    ///
    /// let response = RequestRefusal::forbidden("not you").response(false);
    /// assert_eq!(response.status, 403);
    /// assert_eq!(response.body, r#"{"code":4,"message":"not you"}"#);
    /// ```
    pub fn response(&self, upgrade: bool) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            code: u8,
            message: &'a str,
        }

        if upgrade && self.code != ErrorCode::UnsupportedVersion {
            let body = self.message.as_bytes().clone();
            return match self.context {
                Self::WEBSOCKET_METHOD => Response::not_a_get(body),
                Self::WEBSOCKET_VERSION => Response::other_version(body),
                Self::ORIGIN_NOT_ALLOWED => Response::refused_upgrade(403, body),
                _ => Response::refused_upgrade(400, body),
            };
        }
        let status = if self.code == ErrorCode::Forbidden { 403 } else { 400 };
        let body = Body { code: self.code.as_u8(), message: &self.message };
        // A number and a string: nothing here can fail to be JSON.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let json = Bytes::from(json.into_boxed_slice());
        if upgrade { Response::last_json(status, json) } else { Response::json(status, json) }
    }

    fn new(code: ErrorCode, context: &'static str) -> Self {
        Self { code, message: ByteString::from_static(code.message()), context }
    }
}
