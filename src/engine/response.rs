//! Responses to HTTP requests, without the header fields that only the embedder knows.

use core::fmt;

use bytes::Bytes;

use crate::{id::EngineId, redacted};

/// How a payload with the open packet begins.
const OPEN: &[u8] = br#"0{"sid":""#;

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
    /// Returns the id of the session that this response opens. `None` unless it answers the
    /// handshake of a long-polling session.
    ///
    /// A cookie with the id lets a load balancer send all requests of a session to the same server,
    /// as the option `cookie` of the reference does. The id is enough to act as the client: do not
    /// log it.
    ///
    /// ```
    /// use socketio_proto::engine::{Method, RequestHead};
    /// use socketio_proto::server::{Server, ServerInput, ServerOutput};
    /// use socketio_proto::{ServerConfig, Timestamp, WireId};
    ///
    /// let config = ServerConfig::new();
    /// let mut server = Server::<()>::new(config, |dest: &mut [u8]| dest.fill(7))?;
    /// let query = "EIO=4&transport=polling";
    /// let head = RequestHead { method: Method::Get, query, upgrade: false, origin: None, binary: false };
    /// let wire = WireId(0);
    /// server.handle_input(Timestamp::ZERO, ServerInput::Request { wire, head, body: None });
    /// while let Some(output) = server.poll_output() {
    ///     if let ServerOutput::Respond { response, .. } = output {
    ///         let id = response.opened_session().unwrap();
    ///         let cookie = format!("io={}; Path=/; HttpOnly; SameSite=Lax", id.as_str());
    ///         assert!(cookie.starts_with("io=BwcHBwcH"));
    ///     }
    /// }
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn opened_session(&self) -> Option<EngineId> {
        // Only a handshake is answered with an open packet, and `Open::encode` begins it like this.
        let rest = self.body.strip_prefix(OPEN).filter(|_| self.status == 200)?;
        let id = rest.split(|byte| *byte == b'"').next()?;
        EngineId::parse(core::str::from_utf8(id).ok()?)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_packet_opens_a_session() {
        let open = r#"0{"sid":"abcdefghij0123456789","upgrades":["websocket"]}"#;
        let id = EngineId::parse("abcdefghij0123456789");
        assert_eq!(Response::packets(open.into()).opened_session(), id);
        for body in [
            "ok",
            "",
            "0",
            r#"0{"sid":""#,
            r#"0{"sid":"short","upgrades":[]}"#,
            r#"4{"sid":"abcdefghij0123456789"}"#,
            r#"40{"sid":"abcdefghij0123456789"}"#,
        ] {
            assert_eq!(Response::packets(body.into()).opened_session(), None, "{body}");
        }
        assert_eq!(Response::json(400, open.into()).opened_session(), None);
    }
}
