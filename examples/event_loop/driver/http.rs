//! HTTP/1.1 as far as a Socket.IO server needs it: request heads in, responses out. No I/O.

use bytes::BytesMut;
use socketio_proto::engine::{
    Cors, Fields, Method, RequestHead, Response, WebSocketRequest, WebSocketResponse,
};
use tungstenite::handshake::derive_accept_key;

/// Largest head of a request, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Head,
    Post,
    Other,
}

impl Verb {
    fn known(self) -> Method {
        match self {
            Self::Get => Method::Get,
            Self::Post => Method::Post,
            Self::Head | Self::Other => Method::Other,
        }
    }
}

/// The head of a request.
#[derive(Debug)]
pub struct Request {
    method: Verb,
    target: String,
    /// What it says if it asks for a WebSocket.
    pub websocket: Option<WebSocketRequest>,
    origin: Option<Vec<u8>>,
    /// The header fields that a preflight request asks for, perhaps none.
    preflight: Option<Vec<u8>>,
    is_binary: bool,
    /// Header fields to add to the response.
    pub added: Fields,
    /// Bytes of the body.
    pub content_length: usize,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether another request may follow.
    pub keep_alive: bool,
}

impl Request {
    /// Reads a head. `None` if it is not complete yet; otherwise also the number of its bytes.
    ///
    /// # Errors
    ///
    /// The status to answer with before the connection is closed.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, u16> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let len = match head.parse(input) {
            Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD => len,
            Ok(httparse::Status::Partial) if input.len() < MAX_HEAD => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(431),
            Err(_) => return Err(400),
        };
        let headers = Headers(head.headers);
        let method = match head.method {
            Some("GET") => Verb::Get,
            Some("HEAD") => Verb::Head,
            Some("POST") => Verb::Post,
            _ => Verb::Other,
        };
        let is_http11 = head.version == Some(1);
        let request = Self {
            method,
            target: head.path.unwrap_or_default().to_owned(),
            websocket: headers.websocket(method, is_http11),
            origin: headers.get("origin").map(<[u8]>::to_vec),
            preflight: (head.method == Some("OPTIONS")).then(|| headers.preflight()).flatten(),
            is_binary: headers.get("content-type") == Some(b"application/octet-stream"),
            added: Fields::new(),
            content_length: headers.content_length()?,
            expects_continue: is_http11 && headers.has_token("expect", "100-continue"),
            keep_alive: is_http11 && !headers.has_token("connection", "close"),
        };
        Ok(Some((request, len)))
    }

    /// The path, and what the protocol looks at.
    pub fn split(&self) -> (&str, RequestHead<'_>) {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let head = RequestHead {
            method: self.method.known(),
            query,
            upgrade: self.websocket.is_some(),
            origin: self.origin.as_deref(),
            binary: self.is_binary,
        };
        (path, head)
    }

    /// Notes what CORS adds to the answer. Returns whether that is the whole answer: the request is
    /// a preflight one.
    pub fn apply(&mut self, cors: &Cors) -> bool {
        if let (Some(origin), Some(names)) = (&self.origin, &self.preflight) {
            self.added = cors.preflight(origin, Some(names));
            return true;
        }
        self.added = cors.fields(self.origin.as_deref());
        false
    }

    /// Whether the body goes to the core. Only the body of a POST has a meaning.
    pub fn has_body(&self) -> bool {
        self.method == Verb::Post
    }

    /// Whether the answer must not have a body.
    pub fn is_head(&self) -> bool {
        self.method == Verb::Head
    }
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }

    fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Looks for a word in comma-separated lists.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Two lengths that differ, or a length and an encoding, are how requests are smuggled past
    /// proxies.
    fn content_length(&self) -> Result<usize, u16> {
        if self.get("transfer-encoding").is_some() {
            // Clients of this protocol always know the length. 411: "send it".
            return Err(411);
        }
        let mut values = self.all("content-length");
        let Some(first) = values.next() else { return Ok(0) };
        if values.any(|other| other != first) || !first.iter().all(u8::is_ascii_digit) {
            return Err(400);
        }
        str::from_utf8(first).ok().and_then(|digits| digits.parse().ok()).ok_or(400)
    }

    fn preflight(&self) -> Option<Vec<u8>> {
        self.get("access-control-request-method")?;
        Some(self.get("access-control-request-headers").unwrap_or_default().to_vec())
    }

    fn websocket(&self, method: Verb, is_http11: bool) -> Option<WebSocketRequest> {
        let fields = self.0.iter().map(|header| (header.name, header.value));
        WebSocketRequest::read(method.known(), is_http11, fields)
    }
}

/// Writes a response of the core, with additional header fields.
pub fn write_response(
    output: &mut BytesMut,
    response: &Response,
    added: &Fields,
    keep_alive: bool,
    is_head: bool,
) {
    write_head(output, response.status);
    for (name, value) in response.headers {
        write_header(output, name, value);
    }
    for (name, value) in added {
        write_header(output, name, value);
    }
    if !keep_alive && !closes(response) {
        write_header(output, "connection", "close");
    }
    write_header(output, "content-length", &response.body.len().to_string());
    output.extend_from_slice(b"\r\n");
    if !is_head {
        output.extend_from_slice(&response.body);
    }
}

/// Whether an answer of the core is the last one on its connection.
pub fn closes(response: &Response) -> bool {
    response.headers.contains(&("connection", "close"))
}

/// Writes an answer to a request that never gets to the core, the last one on its connection.
pub fn write_error(output: &mut BytesMut, status: u16) {
    write_head(output, status);
    write_header(output, "connection", "close");
    write_header(output, "content-length", "0");
    output.extend_from_slice(b"\r\n");
}

/// Writes the answer to a preflight request.
pub fn write_preflight(output: &mut BytesMut, fields: &Fields, keep_alive: bool) {
    write_head(output, 204);
    for (name, value) in fields {
        write_header(output, name, value);
    }
    if !keep_alive {
        write_header(output, "connection", "close");
    }
    output.extend_from_slice(b"\r\n");
}

/// Writes what a client waits for before it sends a body.
pub fn write_continue(output: &mut BytesMut) {
    output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Writes the answer that completes a WebSocket handshake.
pub fn write_switching_protocols(output: &mut BytesMut, switching: &WebSocketResponse) {
    write_head(output, 101);
    write_header(output, "upgrade", "websocket");
    write_header(output, "connection", "Upgrade");
    write_header(output, "sec-websocket-accept", &derive_accept_key(switching.key.as_bytes()));
    if let Some(protocol) = &switching.protocol {
        write_header(output, "sec-websocket-protocol", protocol);
    }
    output.extend_from_slice(b"\r\n");
}

fn write_head(output: &mut BytesMut, status: u16) {
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(status.to_string().as_bytes());
    output.extend_from_slice(b" ");
    output.extend_from_slice(reason(status).as_bytes());
    output.extend_from_slice(b"\r\n");
}

fn write_header(output: &mut BytesMut, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        output.extend_from_slice(part.as_bytes());
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Payload Too Large",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        _ => "",
    }
}
