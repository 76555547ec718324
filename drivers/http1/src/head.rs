//! Heads of requests in, responses out.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
};

/// The largest head of a request, in bytes. It has at most 64 header fields.
pub(crate) const HEAD_BYTES: usize = 16 << 10;
const FIELDS: usize = 64;

/// The head of a request.
pub(crate) struct Head {
    pub(crate) request: Request<()>,
    pub(crate) framing: Framing,
}

/// What the head of a request says about the stream behind it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they have nothing to do with each other")]
pub(crate) struct Framing {
    pub(crate) is_post: bool,
    pub(crate) is_head: bool,
    /// Bytes of the body.
    pub(crate) content_length: usize,
    /// Whether the client waits for [`write_continue`] before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether another request may follow.
    pub(crate) keep_alive: bool,
}

/// Takes the head of a request from `input`. Returns `None` if it is not complete.
///
/// # Errors
///
/// The status to answer with before the connection is closed: 400 for what is not HTTP/1, 411 for a
/// body of unknown length, and 431 for more than [`HEAD_BYTES`].
pub(crate) fn read_head(input: &mut BytesMut) -> Result<Option<Head>, StatusCode> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let len = match parsed.parse(input) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES => len,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        Err(_) => return Err(StatusCode::BAD_REQUEST),
    };
    let request = to_request(&parsed).ok_or(StatusCode::BAD_REQUEST)?;
    input.advance(len);
    let is_http11 = request.version() == Version::HTTP_11;
    let headers = request.headers();
    let framing = Framing {
        is_post: request.method() == Method::POST,
        is_head: request.method() == Method::HEAD,
        content_length: content_length(headers)?,
        expects_continue: is_http11 && has_word(headers, &header::EXPECT, "100-continue"),
        keep_alive: is_http11 && !has_word(headers, &header::CONNECTION, "close"),
    };
    Ok(Some(Head { request, framing }))
}

/// Writes what a client waits for before it sends a body.
pub(crate) fn write_continue(output: &mut BytesMut) {
    output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// A response that says no more than its status.
pub(crate) fn empty_response(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Writes a response, with its length. `is_head` says that the method was HEAD: then the body is not
/// sent. Returns whether another request may follow: `keep_alive`, unless the response says
/// `connection: close` itself.
pub(crate) fn write_response(
    output: &mut BytesMut,
    response: &Response<Bytes>,
    is_head: bool,
    keep_alive: bool,
) -> bool {
    let (status, headers) = (response.status(), response.headers());
    let reason = status.canonical_reason().unwrap_or_default();
    write(output, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
    for (name, value) in headers {
        write(output, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    let closes = has_word(headers, &header::CONNECTION, "close");
    if !keep_alive && !closes {
        output.extend_from_slice(b"connection: close\r\n");
    }
    let body = response.body();
    // RFC 9110, 8.6: these have no body, and must not have a length.
    let is_bare = status.is_informational() || status == StatusCode::NO_CONTENT;
    if !is_bare {
        write(output, &[b"content-length: ", body.len().to_string().as_bytes(), b"\r\n"]);
    }
    output.extend_from_slice(b"\r\n");
    if !is_head && !is_bare {
        output.extend_from_slice(body);
    }
    keep_alive && !closes
}

fn to_request(parsed: &httparse::Request<'_, '_>) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(parsed.path?).ok()?;
    let is_http11 = parsed.version == Some(1);
    *request.version_mut() = if is_http11 { Version::HTTP_11 } else { Version::HTTP_10 };
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(request)
}

/// Two lengths that differ, or a length and an encoding, are how requests are smuggled past proxies.
fn content_length(headers: &HeaderMap) -> Result<usize, StatusCode> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // Clients of Socket.IO always know the length.
        return Err(StatusCode::LENGTH_REQUIRED);
    }
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(0) };
    if values.any(|other| other != first) || !first.as_bytes().iter().all(u8::is_ascii_digit) {
        return Err(StatusCode::BAD_REQUEST);
    }
    first.to_str().ok().and_then(|digits| digits.parse().ok()).ok_or(StatusCode::BAD_REQUEST)
}

/// Looks for a word in comma-separated lists.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

fn write(output: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        output.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
