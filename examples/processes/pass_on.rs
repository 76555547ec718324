//! Passes requests on to the worker that knows their session.
//!
//! An id of a session does not say which worker has made it. So a worker that does not know it asks the
//! others, one after another: with few workers this is simple, and cheap enough for long-polling. A
//! WebSocket that begins a session needs none of this. A load balancer with sticky sessions in front of
//! workers with ports of their own does not need it either.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::http1,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use socketio_proto::{ServerConfig, engine::Query};
use socketio_proto_tokio::Mount;
use tokio::{io::copy_bidirectional, net::UnixStream};
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What is in the answer to a request for a session that is not known.
const UNKNOWN: &[u8] = b"Session ID unknown";
/// The answers of servers that are looked into are not larger than this.
const REFUSAL_BYTES: usize = 1_000;

/// The site of a worker, with the sites of the others behind it.
#[derive(Clone)]
pub struct PassOn {
    own: Mount,
    others: Arc<[PathBuf]>,
    max_payload: usize,
}

impl PassOn {
    pub fn new(own: Mount, others: Arc<[PathBuf]>) -> Self {
        Self { own, others, max_payload: ServerConfig::new().payload_limit() }
    }

    async fn answer(mut self, request: Request<Incoming>) -> Response<Body> {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        if query.sid.is_none() {
            let Ok(answer) = self.own.call(request).await;
            return boxed(answer);
        }
        let (parts, body) = request.into_parts();
        // It may have to be sent several times.
        let Ok(body) = Limited::new(body, self.max_payload).collect().await else {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        let request = Request::from_parts(parts.clone(), Full::new(body.clone()));
        let Ok(own) = self.own.call(request).await;
        let mut refused = match knows_session(boxed(own)).await {
            Ok(answer) => return answer,
            Err(refused) => refused,
        };
        for other in &*self.others {
            // A worker that has just ended does not answer.
            let Ok(answer) = ask(other, &parts, body.clone()).await else { continue };
            match knows_session(answer).await {
                Ok(answer) => return answer,
                Err(answer) => refused = answer,
            }
        }
        refused
    }
}

impl Service<Request<Incoming>> for PassOn {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let site = self.clone();
        Box::pin(async { Ok(site.answer(request).await) })
    }
}

/// Returns the answer, or as an error if it says that the session is not known.
async fn knows_session(answer: Response<Body>) -> Result<Response<Body>, Response<Body>> {
    if answer.status() != StatusCode::BAD_REQUEST {
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let Ok(body) = Limited::new(body, REFUSAL_BYTES).collect().await else {
        return Ok(refusal(StatusCode::BAD_GATEWAY));
    };
    let body = body.to_bytes();
    let is_unknown = body.windows(UNKNOWN.len()).any(|part| part == UNKNOWN);
    let answer = boxed(Response::from_parts(parts, Full::new(body)));
    if is_unknown { Err(answer) } else { Ok(answer) }
}

/// Asks another worker.
async fn ask(worker: &Path, parts: &Parts, body: Bytes) -> Result<Response<Body>, BoxError> {
    let stream = UnixStream::connect(worker).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    let mut answer = sender.send_request(request).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let client = parts.extensions.get::<OnUpgrade>().cloned();
        let client = client.ok_or_else(|| io::Error::other("not a request for an upgrade"))?;
        let worker = upgrade::on(&mut answer);
        tokio::spawn(async {
            let (client, worker) = tokio::try_join!(client, worker)?;
            let (mut client, mut worker) = (TokioIo::new(client), TokioIo::new(worker));
            copy_bidirectional(&mut client, &mut worker).await?;
            Ok::<_, BoxError>(())
        });
    }
    Ok(boxed(answer))
}

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    response.map(|body| body.map_err(io::Error::other).boxed_unsync())
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = boxed(Response::new(Full::default()));
    *response.status_mut() = status;
    response
}
