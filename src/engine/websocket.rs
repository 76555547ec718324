//! The header fields of the WebSocket handshake (RFC 6455).

use alloc::vec::Vec;

use bytestring::ByteString;

use super::{ErrorCode, Method, RequestRefusal};
use crate::ServerConfig;

/// A request that asks for a WebSocket: the header fields that RFC 6455 (4.2.1) uses.
///
/// Read it first. Then [`verify`](super::verify) checks the query, and [`answer`](Self::answer)
/// checks these fields; [`Server::verify_websocket`] does both.
///
/// ```
/// use socketio_proto::ServerConfig;
/// use socketio_proto::engine::{Method, WebSocketRequest};
///
/// let fields: [(&str, &[u8]); 5] = [
///     ("Connection", b"keep-alive, Upgrade"),
///     ("Upgrade", b"websocket"),
///     ("Sec-WebSocket-Version", b"13"),
///     ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Protocol", b"mcu.v1, mcu.v2"),
/// ];
/// let request = WebSocketRequest::read(Method::Get, true, fields).ok_or("a plain request")?;
/// let response = request.answer(&ServerConfig::new())?;
/// assert_eq!(response.key, "dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(response.protocol.as_deref(), Some("mcu.v1"));
///
/// assert!(WebSocketRequest::read(Method::Get, true, []).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Server::verify_websocket`]: crate::server::Server::verify_websocket
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a requirement of its own")]
pub struct WebSocketRequest {
    is_get: bool,
    is_http11: bool,
    is_version13: bool,
    has_body: bool,
    key: Option<ByteString>,
    /// `None` if the field is malformed.
    protocols: Option<Vec<ByteString>>,
}

/// The values for the response that switches to the WebSocket protocol (status 101). It also has
/// `Upgrade: websocket` and `Connection: Upgrade`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketResponse {
    /// The `Sec-WebSocket-Key` of the request, from which `Sec-WebSocket-Accept` is derived.
    pub key: ByteString,
    /// The value of `Sec-WebSocket-Protocol`. If `None`, the response has no such field.
    pub protocol: Option<ByteString>,
}

impl WebSocketRequest {
    /// Reads the header fields of a request. Returns `None` if it is a plain request: a request
    /// asks for a WebSocket only with both `Upgrade: websocket` and `Connection: Upgrade`.
    ///
    /// `is_http11` is false for HTTP/1.0. Names may be in upper or lower case, and a field may
    /// occur several times.
    pub fn read<'a>(
        method: Method,
        is_http11: bool,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Option<Self> {
        let (mut has_connection, mut has_upgrade, mut has_body) = (false, false, false);
        let (mut versions, mut keys) = (Field::Missing, Field::Missing);
        let mut protocols = Some(Vec::new());
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("connection") {
                has_connection |= has_word(value, "upgrade");
            } else if name.eq_ignore_ascii_case("upgrade") {
                has_upgrade |= has_word(value, "websocket");
            } else if name.eq_ignore_ascii_case("content-length") {
                has_body |= value.trim_ascii() != b"0";
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                has_body = true;
            } else if name.eq_ignore_ascii_case("sec-websocket-version") {
                versions = versions.and(value);
            } else if name.eq_ignore_ascii_case("sec-websocket-key") {
                keys = keys.and(value);
            } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
                protocols = protocols.and_then(|read| read_protocols(read, value));
            }
        }
        if !has_connection || !has_upgrade {
            return None;
        }
        Some(Self {
            is_get: method == Method::Get,
            is_http11,
            is_version13: versions.single() == Some(b"13"),
            has_body,
            key: keys.single().and_then(read_key),
            protocols,
        })
    }

    /// Checks whether the handshake can be completed, and chooses the sub-protocol.
    ///
    /// # Errors
    ///
    /// The [`RequestRefusal`] to send as the response: status 405 unless it is a GET, 400 over HTTP/1.0,
    /// 426 for a version of the WebSocket protocol other than 13, and 400 for a malformed key or
    /// list of sub-protocols, and for a request with a body. Its bytes could be taken for frames, or a
    /// proxy could take frames for the body.
    pub fn answer(&self, config: &ServerConfig) -> Result<WebSocketResponse, RequestRefusal> {
        if !self.is_get {
            return Err(refusal(
                RequestRefusal::WEBSOCKET_METHOD,
                "A WebSocket handshake is a GET",
            ));
        }
        if !self.is_http11 {
            return Err(refusal(
                RequestRefusal::WEBSOCKET_REQUEST,
                "A WebSocket needs HTTP/1.1, and the client or a proxy before it uses HTTP/1.0",
            ));
        }
        if !self.is_version13 {
            let text = "Sec-WebSocket-Version must be 13";
            return Err(refusal(RequestRefusal::WEBSOCKET_VERSION, text));
        }
        if self.has_body {
            let text = "A WebSocket handshake has no body";
            return Err(refusal(RequestRefusal::WEBSOCKET_REQUEST, text));
        }
        let Some(key) = self.key.clone() else {
            let text = "Sec-WebSocket-Key must be 16 bytes in base64";
            return Err(refusal(RequestRefusal::WEBSOCKET_REQUEST, text));
        };
        let Some(protocols) = &self.protocols else {
            let text = "Sec-WebSocket-Protocol must be a list of different tokens";
            return Err(refusal(RequestRefusal::WEBSOCKET_REQUEST, text));
        };
        let protocol = config.subprotocols.choose(protocols);
        Ok(WebSocketResponse { key, protocol: protocol.cloned() })
    }
}

fn refusal(context: &'static str, text: &'static str) -> RequestRefusal {
    let message = ByteString::from_static(text);
    RequestRefusal { code: ErrorCode::BadRequest, message, context }
}

/// A field that may occur only once.
#[derive(Clone, Copy)]
enum Field<'a> {
    Missing,
    Single(&'a [u8]),
    Repeated,
}

impl<'a> Field<'a> {
    fn and(self, value: &'a [u8]) -> Self {
        match self {
            Self::Missing => Self::Single(value.trim_ascii()),
            Self::Single(_) | Self::Repeated => Self::Repeated,
        }
    }

    fn single(self) -> Option<&'a [u8]> {
        match self {
            Self::Single(value) => Some(value),
            Self::Missing | Self::Repeated => None,
        }
    }
}

/// Searches for a word in a comma-separated list.
fn has_word(list: &[u8], word: &str) -> bool {
    let mut words = list.split(|&byte| byte == b',');
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// 16 bytes in base64 are 22 characters of its alphabet and two of padding.
fn read_key(value: &[u8]) -> Option<ByteString> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = value.strip_suffix(b"==")?;
    (digits.len() == 22 && digits.iter().all(is_base64)).then(|| text(value))?
}

/// Adds the sub-protocols of one field. They must be different tokens, as in the package `ws`.
fn read_protocols(mut read: Vec<ByteString>, value: &[u8]) -> Option<Vec<ByteString>> {
    for name in value.split(|&byte| byte == b',') {
        let name = name.trim_ascii();
        if name.is_empty() || !name.iter().copied().all(is_token) || read.len() >= MOST_PROTOCOLS {
            return None;
        }
        let name = text(name)?;
        if read.contains(&name) {
            return None;
        }
        read.push(name);
    }
    Some(read)
}

/// More than any client offers. The search for duplicates takes the square of it.
const MOST_PROTOCOLS: usize = 64;

fn text(value: &[u8]) -> Option<ByteString> {
    core::str::from_utf8(value).ok().map(ByteString::from)
}

/// A character of a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
