//! One plain HTTP request, and its answer.

use std::{error, fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderName, HeaderValue, ORIGIN},
    http::request::Parts,
};
use socketio_proto::{
    WireId,
    engine::{self, RequestHead},
};
use tokio::sync::oneshot;

use super::{
    actor::{Command, Endpoint, next_wire},
    site::{Body, Route},
};

/// There is no answer: the connection is to be dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the exchange was dropped")
    }
}

impl error::Error for Dropped {}

/// Hands a request to the machine and waits for its answer. A POST is announced before its body is
/// read, so that overlapping and aborted ones are recognised.
pub(super) async fn answer(
    route: &Route,
    request: Request<Incoming>,
    body_timeout: Duration,
) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let has_body = parts.method == Method::POST;
    let wire = next_wire();
    let (answer, mut answered) = oneshot::channel();
    let parts = Box::new(parts);
    route.endpoint.send(Command::Request { wire, parts, answer }).await?;
    let guard = Guard { wire, endpoint: &route.endpoint, is_answered: false };
    let mut response = None;
    if has_body {
        tokio::select! {
            early = &mut answered => response = Some(early),
            body = read(body, route.max_payload, body_timeout) => {
                let body = body?;
                route.endpoint.send(Command::Body { wire, body }).await?;
            }
        }
    }
    let response = match response {
        Some(response) => response,
        None => answered.await,
    };
    guard.disarm();
    Ok(to_http(response.map_err(|_| Dropped)?))
}

/// What the protocol looks at of a request, and whether that asks for a WebSocket.
pub(super) fn head(parts: &Parts, upgrade: bool) -> RequestHead<'_> {
    let content_type = parts.headers.get(hyper::header::CONTENT_TYPE);
    RequestHead {
        method: method(&parts.method),
        query: parts.uri.query().unwrap_or_default(),
        upgrade,
        origin: parts.headers.get(ORIGIN).map(HeaderValue::as_bytes),
        binary: content_type.is_some_and(|value| value == "application/octet-stream"),
    }
}

pub(super) fn method(method: &Method) -> engine::Method {
    match *method {
        Method::GET => engine::Method::Get,
        Method::POST => engine::Method::Post,
        _ => engine::Method::Other,
    }
}

pub(super) fn to_http(response: engine::Response) -> Response<Body> {
    let engine::Response { status, headers, body } = response;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(name, value);
    }
    response
}

/// Reads a body that comes in time, or one byte more of it than the limit, which suffices for it to be refused.
async fn read(mut body: Incoming, limit: usize, patience: Duration) -> Result<Bytes, Dropped> {
    let mut read = BytesMut::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Dropped)?.into_data() else {
                continue;
            };
            let room = limit.saturating_add(1).saturating_sub(read.len());
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
            if data.len() >= room {
                break;
            }
        }
        Ok(())
    };
    match tokio::time::timeout(patience, all).await {
        Ok(Ok(())) => Ok(read.freeze()),
        Ok(Err(Dropped)) | Err(_) => Err(Dropped),
    }
}

/// Reports an exchange as lost if its future is dropped, which hyper does when the client goes.
struct Guard<'a> {
    wire: WireId,
    endpoint: &'a Endpoint,
    is_answered: bool,
}

impl Guard<'_> {
    fn disarm(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.endpoint.report_lost(self.wire);
        }
    }
}
