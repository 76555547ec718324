//! HTTP requests and responses in the terms of the protocol.

use http::{
    HeaderMap, Method, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN},
    request::Parts,
};
use socketio_proto::engine::{self, Fields, RequestHead};

use crate::body::Body;

/// What the protocol looks at of a request, and whether that asks for a WebSocket.
pub(crate) fn head(parts: &Parts, upgrade: bool) -> RequestHead<'_> {
    let content_type = parts.headers.get(CONTENT_TYPE);
    RequestHead {
        method: method(&parts.method),
        query: parts.uri.query().unwrap_or_default(),
        upgrade,
        origin: parts.headers.get(ORIGIN).map(HeaderValue::as_bytes),
        binary: content_type.is_some_and(|value| value == "application/octet-stream"),
    }
}

pub(crate) fn method(method: &Method) -> engine::Method {
    match *method {
        Method::GET => engine::Method::Get,
        Method::POST => engine::Method::Post,
        _ => engine::Method::Other,
    }
}

pub(crate) fn to_http(response: engine::Response) -> Response<Body> {
    let engine::Response { status, headers, body } = response;
    let mut response = Response::new(Body::new(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(name, value);
    }
    response
}

/// Adds header fields, which replace those of the same name.
pub(crate) fn add_fields(headers: &mut HeaderMap, fields: Fields) {
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
