//! The paths of the server.

use std::time::Duration;

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderMap, HeaderValue},
    http::request::Parts,
};
use socketio_proto::engine::{Cors, Fields, Query};

use crate::{
    endpoint::{Dropped, Endpoint},
    exchange,
    http::Body,
    peer_limits::PeerLimits,
    websocket,
};

/// Everything that is served on one port.
pub struct Site {
    /// Where Engine.IO is served.
    pub routes: Vec<Route>,
    /// Answers all other requests.
    pub fallback: Fallback,
    /// Limits for peers.
    pub peer_limits: PeerLimits,
}

/// Answers a request. It gets everything except the body.
pub type Fallback = Box<dyn Fn(&Parts) -> Response<Body> + Send + Sync>;

/// Engine.IO under a path.
pub struct Route {
    /// The path without a trailing slash; it matches with and without one.
    pub path: &'static str,
    /// The machine behind it.
    pub endpoint: Endpoint,
    /// Largest body of a POST and largest WebSocket message, in bytes, as the machine has it.
    pub max_payload: usize,
    /// Which pages of other origins may read its answers: none without it.
    pub cors: Option<Cors>,
    /// How long a handshake waits before it is handled. Only tests need this.
    pub delay: Duration,
}

impl Site {
    /// Answers a request. `Err` drops the connection without an answer.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Dropped> {
        let path = request.uri().path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some(route) = self.routes.iter().find(|route| route.path == path) else {
            return Ok((self.fallback)(&request.into_parts().0));
        };
        let Some(cors) = &route.cors else {
            return route.answer(request, &self.peer_limits).await;
        };
        if let Some(preflight) = preflight(&request, cors) {
            return Ok(preflight);
        }
        let origin = request.headers().get(header::ORIGIN);
        let fields = cors.fields(origin.map(HeaderValue::as_bytes));
        let mut response = route.answer(request, &self.peer_limits).await?;
        add(response.headers_mut(), fields);
        Ok(response)
    }
}

impl Route {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer_limits: &PeerLimits,
    ) -> Result<Response<Body>, Dropped> {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        if query.sid.is_none() && !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match websocket::asked_for(&request) {
            Some(asked) => {
                let endpoint = self.endpoint.clone();
                websocket::answer(endpoint, request, asked, self.max_payload).await
            }
            None => {
                exchange::answer(&self.endpoint, request, self.max_payload, peer_limits.body).await
            }
        }
    }
}

/// Makes a plain text response.
pub fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// Answers a preflight request, if this is one.
fn preflight(request: &Request<Incoming>, cors: &Cors) -> Option<Response<Body>> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN)?;
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let names = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).map(HeaderValue::as_bytes);
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    add(response.headers_mut(), cors.preflight(origin.as_bytes(), names));
    Some(response)
}

fn add(headers: &mut HeaderMap, fields: Fields) {
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
