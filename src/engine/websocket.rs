//! The WebSocket handshake of RFC 6455, as far as header fields decide about it.

use alloc::vec::Vec;

use bytestring::ByteString;

use super::{ErrorCode, Method, Refusal};
use crate::ServerConfig;

/// A request that asks for a WebSocket: what RFC 6455 (4.2.1) looks at of its head.
///
/// It is read before anything is decided. [`verify`](super::verify) decides about the query, and
/// [`answer`](Self::answer) about this; [`Server::verify_websocket`] does both.
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
pub struct WebSocketRequest {
    is_get: bool,
    is_http11: bool,
    is_version13: bool,
    key: Option<ByteString>,
    /// `None` if the field is malformed.
    protocols: Option<Vec<ByteString>>,
}

/// What goes into the answer that switches to the WebSocket protocol (status 101), beside its
/// `Upgrade: websocket` and `Connection: Upgrade`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketResponse {
    /// The `Sec-WebSocket-Key` of the request, from which `Sec-WebSocket-Accept` is derived.
    pub key: ByteString,
    /// The value of `Sec-WebSocket-Protocol`; without one the answer has no such field.
    pub protocol: Option<ByteString>,
}

impl WebSocketRequest {
    /// Reads the header fields of a request. `None` if it does not ask for a WebSocket, which takes
    /// `Upgrade: websocket` and `Connection: Upgrade`: then it is a plain request.
    ///
    /// `is_http11` tells HTTP/1.1 from HTTP/1.0. A name may be in any case, and a field may come
    /// several times.
    pub fn read<'a>(
        method: Method,
        is_http11: bool,
        fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Option<Self> {
        let (mut has_connection, mut has_upgrade) = (false, false);
        let (mut versions, mut keys) = (Field::Missing, Field::Missing);
        let mut protocols = Some(Vec::new());
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("connection") {
                has_connection |= has_word(value, "upgrade");
            } else if name.eq_ignore_ascii_case("upgrade") {
                has_upgrade |= has_word(value, "websocket");
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
            key: keys.single().and_then(read_key),
            protocols,
        })
    }

    /// Decides whether the handshake can be completed, and with which sub-protocol.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with: status 405 unless it is a GET, 400 over HTTP/1.0, 426 for
    /// another version of the WebSocket protocol than 13, and 400 for a key or a list of
    /// sub-protocols that is malformed.
    pub fn answer(&self, config: &ServerConfig) -> Result<WebSocketResponse, Refusal> {
        if !self.is_get {
            return Err(refusal(Refusal::WEBSOCKET_METHOD, "A WebSocket handshake is a GET"));
        }
        if !self.is_http11 {
            return Err(refusal(
                Refusal::WEBSOCKET_REQUEST,
                "A WebSocket needs HTTP/1.1, and the client or a proxy before it uses HTTP/1.0",
            ));
        }
        if !self.is_version13 {
            let text = "Sec-WebSocket-Version must be 13";
            return Err(refusal(Refusal::WEBSOCKET_VERSION, text));
        }
        let Some(key) = self.key.clone() else {
            let text = "Sec-WebSocket-Key must be 16 bytes in base64";
            return Err(refusal(Refusal::WEBSOCKET_REQUEST, text));
        };
        let Some(protocols) = &self.protocols else {
            let text = "Sec-WebSocket-Protocol must be a list of different tokens";
            return Err(refusal(Refusal::WEBSOCKET_REQUEST, text));
        };
        let protocol = config.subprotocols.choose(protocols);
        Ok(WebSocketResponse { key, protocol: protocol.cloned() })
    }
}

fn refusal(context: &'static str, text: &'static str) -> Refusal {
    let message = ByteString::from_static(text);
    Refusal { code: ErrorCode::BadRequest, message, context }
}

/// A field that may come once.
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

/// Looks for a word in a comma-separated list.
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

/// Adds the sub-protocols of one field: different tokens, as `ws` has it.
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

/// More than any client has; looking for duplicates takes the square of it.
const MOST_PROTOCOLS: usize = 64;

fn text(value: &[u8]) -> Option<ByteString> {
    core::str::from_utf8(value).ok().map(ByteString::from)
}

/// A character of a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
