//! The service at a path, beside another service.

use std::{
    convert::Infallible,
    error::Error,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use http::{
    Request, Response, StatusCode,
    header::{self, HeaderValue},
};
use http_body_util::Either;

use crate::{body::Body, service::SocketIoService};

/// A [`SocketIoService`] at a path, and another service for all other requests.
#[derive(Clone, Debug)]
pub struct Mount<S = NotFound> {
    service: SocketIoService,
    /// Without a slash at the end.
    path: Arc<str>,
    others: S,
}

impl<S> Mount<S> {
    pub(crate) fn new(service: SocketIoService, path: &str, others: S) -> Self {
        Self { service, path: path.trim_end_matches('/').into(), others }
    }

    /// Passes all other requests to this service.
    ///
    /// ```
    /// use socketio_proto_tokio::{Mount, SocketIoService};
    ///
    /// fn mount(first: SocketIoService, second: SocketIoService) -> Mount<Mount> {
    ///     first.at("/socket.io").or(second.at("/admin/socket.io"))
    /// }
    /// ```
    #[must_use]
    pub fn or<T>(self, others: T) -> Mount<T> {
        Mount { service: self.service, path: self.path, others }
    }

    fn is_ours(&self, path: &str) -> bool {
        path.strip_suffix('/').unwrap_or(path) == &*self.path
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, B, R> tower_service::Service<Request<B>> for Mount<S>
where
    S: tower_service::Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<Either<Body, R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.is_ours(request.uri().path()) {
            let answer = self.service.answer(request);
            Box::pin(async { Ok(answer.await.map(Either::Left)) })
        } else {
            let answer = self.others.call(request);
            Box::pin(async { Ok(answer.await?.map(Either::Right)) })
        }
    }
}

/// Makes a [`Mount`] of any service. Created by [`SocketIoService::layer`].
#[derive(Clone, Debug)]
pub struct MountLayer {
    service: SocketIoService,
    path: Arc<str>,
}

impl MountLayer {
    pub(crate) fn new(service: SocketIoService, path: &str) -> Self {
        Self { service, path: path.into() }
    }
}

impl<S> tower_layer::Layer<S> for MountLayer {
    type Service = Mount<S>;

    fn layer(&self, others: S) -> Mount<S> {
        Mount::new(self.service.clone(), &self.path, others)
    }
}

/// A service that answers every request with 404.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NotFound;

impl<B> tower_service::Service<Request<B>> for NotFound {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Body::new("Not found".into()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        ready(Ok(response))
    }
}
