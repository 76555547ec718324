//! Responses to HTTP requests, without the header fields that only the embedder knows.

use core::fmt;

use bytes::Bytes;

use crate::redacted;

/// The response to a plain HTTP request, or to a WebSocket handshake that is refused.
///
/// `Content-Length`, cookies and compression belong to the embedder. [`Cors`](super::Cors) has the
/// header fields of CORS.
///
/// ```
/// use socketio_proto::engine::RequestRefusal;
///
/// let response = RequestRefusal::unknown_session().response(false);
/// assert_eq!(response.status, 400);
/// assert_eq!(response.body, r#"{"code":1,"message":"Session ID unknown"}"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and their values. A name may come twice.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Response {
    /// Does not show packets that carry a secret id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &redacted::Body(&self.body))
            .finish()
    }
}

impl Response {
    /// The packets that a GET was waiting for.
    pub(super) fn packets(body: Bytes) -> Self {
        Self {
            status: 200,
            headers: &[
                ("content-type", "text/plain; charset=UTF-8"),
                // Shared caches have served one client's packets to another.
                ("cache-control", "no-store"),
            ],
            body,
        }
    }

    /// A POST was accepted.
    pub(super) fn ok() -> Self {
        Self {
            status: 200,
            headers: &[("content-type", "text/html"), ("cache-control", "no-store")],
            body: Bytes::from_static(b"ok"),
        }
    }

    /// A response with a status and without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: &[], body: Bytes::new() }
    }

    /// A refused plain request.
    pub(super) fn json(status: u16, body: Bytes) -> Self {
        Self { status, headers: &[("content-type", "application/json")], body }
    }

    /// A refused WebSocket handshake, with a JSON body that says why.
    pub(super) fn last_json(status: u16, body: Bytes) -> Self {
        let headers = &[("connection", "close"), ("content-type", "application/json")];
        Self { status, headers, body }
    }

    /// A WebSocket handshake that is not a GET.
    pub(super) fn not_a_get(body: Bytes) -> Self {
        let headers = &[("allow", "GET"), ("connection", "close"), ("content-type", "text/html")];
        Self { status: 405, headers, body }
    }

    /// A WebSocket handshake of a version other than 13. A response with `Upgrade` must name it in
    /// `Connection` (RFC 9110, 7.8).
    pub(super) fn other_version(body: Bytes) -> Self {
        let headers = &[
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("connection", "upgrade"),
            ("connection", "close"),
            ("content-type", "text/html"),
        ];
        Self { status: 426, headers, body }
    }

    /// A refused WebSocket handshake.
    pub(super) fn refused_upgrade(status: u16, body: Bytes) -> Self {
        Self { status, headers: &[("connection", "close"), ("content-type", "text/html")], body }
    }
}
