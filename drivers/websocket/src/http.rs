//! Requests and responses of the [`http`] crate in the terms of the core, for drivers with hyper or
//! another HTTP server that uses its types.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
    request::Parts,
};
use socketio_proto::engine::{
    self, Cors, Fields, RequestHead, WebSocketRequest, WebSocketResponse,
};
use tungstenite::handshake::derive_accept_key;

/// Returns what the core looks at of a request. `upgrade` says whether it asks for a WebSocket
/// ([`websocket_request`]).
///
/// ```
/// use socketio_proto::engine::Method;
/// use socketio_proto_websocket::http::request_head;
///
/// let request = http::Request::post("/socket.io/?EIO=4&transport=polling&sid=x").body(())?;
/// let (parts, ()) = request.into_parts();
/// let head = request_head(&parts, false);
/// assert_eq!(head.method, Method::Post);
/// assert_eq!(head.query, "EIO=4&transport=polling&sid=x");
/// # Ok::<(), http::Error>(())
/// ```
pub fn request_head(parts: &Parts, upgrade: bool) -> RequestHead<'_> {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    RequestHead {
        method: method(&parts.method),
        query: parts.uri.query().unwrap_or_default(),
        upgrade,
        origin: parts.headers.get(header::ORIGIN).map(HeaderValue::as_bytes),
        binary: content_type.is_some_and(|value| value == "application/octet-stream"),
    }
}

/// Returns the header fields of a request that asks for a WebSocket; `None` for any other request.
/// [`Server::verify_websocket`](socketio_proto::server::Server::verify_websocket) takes them.
pub fn websocket_request<B>(request: &Request<B>) -> Option<WebSocketRequest> {
    let is_http11 = request.version() >= Version::HTTP_11;
    let fields = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    WebSocketRequest::read(method(request.method()), is_http11, fields)
}

/// Returns the response that completes a WebSocket handshake (status 101).
///
/// ```
/// use socketio_proto::engine::WebSocketResponse;
/// use socketio_proto_websocket::http::switching_protocols;
///
/// let verified = WebSocketResponse { key: "dGhlIHNhbXBsZSBub25jZQ==".into(), protocol: None };
/// let response = switching_protocols(&verified);
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn switching_protocols(verified: &WebSocketResponse) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::try_from(derive_accept_key(verified.key.as_bytes()));
    headers.extend(accept.ok().map(|accept| (header::SEC_WEBSOCKET_ACCEPT, accept)));
    let protocol = verified.protocol.as_deref().and_then(|name| name.try_into().ok());
    headers.extend(protocol.map(|name| (header::SEC_WEBSOCKET_PROTOCOL, name)));
    response
}

/// Returns a response of the core.
///
/// If it [opens a session](engine::Response::opened_session) of long-polling, its extensions contain
/// the [`EngineId`](socketio_proto::EngineId).
///
/// ```
/// use socketio_proto::engine;
/// use socketio_proto_websocket::http::to_response;
///
/// let headers = &[("content-type", "text/html")];
/// let response = to_response(engine::Response { status: 200, headers, body: "ok".into() });
/// assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"ok"[..]));
/// assert_eq!(response.headers()["content-type"], "text/html");
/// ```
pub fn to_response(response: engine::Response) -> Response<Bytes> {
    let opened = response.opened_session();
    let engine::Response { status, headers, body } = response;
    let mut response = Response::new(body);
    if let Some(id) = opened {
        response.extensions_mut().insert(id);
    }
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        response.headers_mut().append(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns the response to a preflight request of CORS (status 204); `None` for any other request.
/// Such a request must not get to the core.
///
/// ```
/// use http::{Method, Request, header};
/// use socketio_proto::{Origins, engine::Cors};
/// use socketio_proto_websocket::http::preflight;
///
/// let cors = Cors::new(Origins::list(["https://app.example"]));
/// let request = Request::builder()
///     .method(Method::OPTIONS)
///     .header(header::ORIGIN, "https://app.example")
///     .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
///     .body(())?;
/// let response = preflight(&cors, &request).unwrap();
/// assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
/// # Ok::<(), http::Error>(())
/// ```
pub fn preflight<B>(cors: &Cors, request: &Request<B>) -> Option<Response<Bytes>> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN)?;
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let names = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).map(HeaderValue::as_bytes);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    add_fields(response.headers_mut(), cors.preflight(origin.as_bytes(), names));
    Some(response)
}

/// Adds header fields, such as those of [`Cors::fields`]. They replace those of the same name.
pub fn add_fields(headers: &mut HeaderMap, fields: Fields) {
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

fn method(method: &Method) -> engine::Method {
    match *method {
        Method::GET => engine::Method::Get,
        Method::POST => engine::Method::Post,
        _ => engine::Method::Other,
    }
}
