//! The HTTP service in front of a machine.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    Request, Response,
    header::{self, HeaderValue},
};
use socketio_proto::engine::Cors;
use socketio_proto_websocket::http::{add_fields, preflight, websocket_request};

use crate::{
    body::{Aborted, Body},
    endpoint::Endpoint,
    exchange::{self, BodyLimits},
    mount::{Mount, MountLayer, NotFound},
    websocket,
};

/// The default of [`SocketIoService::body_timeout`].
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Socket.IO over HTTP: a `tower` service and a `hyper` service for requests with any body.
///
/// It answers every request that it gets, whatever the path: long-polling requests, and WebSocket
/// handshakes by an HTTP/1.1 upgrade. [`start`](crate::start) and [`spawn`](crate::spawn) create it.
/// A clone belongs to the same server.
///
/// Put it behind a path of your own HTTP server:
///
/// * axum: `Router::new().route_service("/socket.io/", service)`, or as a
///   [`layer`](Self::layer);
/// * hyper: pass it to `serve_connection(…).with_upgrades()`, or call [`answer`](Self::answer) in a
///   `service_fn`;
/// * no HTTP server: [`at`](Self::at) and [`serve`](crate::serve()).
///
/// ```
/// use socketio_proto::server::Server;
/// use socketio_proto_tokio::{entropy, start};
/// # use socketio_proto::server::ServerEvent;
/// # use socketio_proto_tokio::{App, Context};
/// # struct Chat;
/// # impl App for Chat {
/// #     type Data = ();
/// #     fn handle_event(&mut self, _: &mut Context<'_, ()>, _: ServerEvent<()>) {}
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), socketio_proto::ConfigError> {
/// let server = Server::new(Default::default(), entropy)?;
/// let (service, handle) = start(server, Chat);
/// let app: axum::Router = axum::Router::new()
///     .route("/health", axum::routing::get(|| async { "ok" }))
///     .route_service("/socket.io/", service);
/// # Ok(())
/// # }
/// ```
///
/// A client that gets no answer (its session has ended, or the server has) gets a body that fails
/// at once, and hyper closes its connection.
#[derive(Clone)]
pub struct SocketIoService {
    endpoint: Endpoint,
    options: Arc<Options>,
}

#[derive(Clone)]
struct Options {
    limits: BodyLimits,
    cors: Option<Cors>,
}

impl SocketIoService {
    pub(crate) fn new(endpoint: Endpoint, max_payload: usize) -> Self {
        let limits = BodyLimits { bytes: max_payload, time: BODY_TIMEOUT };
        Self { endpoint, options: Arc::new(Options { limits, cors: None }) }
    }

    /// Lets pages of other origins read the answers, and answers their preflight requests. Default:
    /// none.
    ///
    /// **CORS does not keep a page from opening a WebSocket**:
    /// [`ServerConfig::origins`](socketio_proto::ServerConfig::origins) does. A layer around the
    /// service, such as the `CorsLayer` of `tower-http`, can take the place of this.
    ///
    /// ```
    /// use socketio_proto::Origins;
    /// use socketio_proto::engine::Cors;
    /// use socketio_proto_tokio::SocketIoService;
    ///
    /// fn open(service: SocketIoService) -> SocketIoService {
    ///     service.cors(Cors::new(Origins::list(["https://app.example"])).credentials(true))
    /// }
    /// ```
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        Arc::make_mut(&mut self.options).cors = Some(cors);
        self
    }

    /// The time for the body of a POST. A client that takes longer is dropped, and its sockets are
    /// parked. Default: 30 s.
    #[must_use]
    pub fn body_timeout(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.options).limits.time = time;
        self
    }

    /// Mounts the service at a path, without and with a slash at the end. All other requests are
    /// answered with 404, unless [`Mount::or`] says otherwise.
    ///
    /// ```
    /// # use socketio_proto_tokio::{Mount, SocketIoService};
    /// fn mount(service: SocketIoService) -> Mount {
    ///     service.at("/socket.io")
    /// }
    /// ```
    #[must_use]
    pub fn at(self, path: &str) -> Mount {
        Mount::new(self, path, NotFound)
    }

    /// Returns a layer that answers the requests for a path, without and with a slash at the end,
    /// and passes all others on.
    ///
    /// ```
    /// # use socketio_proto_tokio::SocketIoService;
    /// fn mount(service: SocketIoService) -> axum::Router {
    ///     axum::Router::new().layer(service.layer("/socket.io"))
    /// }
    /// ```
    #[must_use]
    pub fn layer(self, path: &str) -> MountLayer {
        MountLayer::new(self, path)
    }

    /// Answers a request.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use hyper::{Request, body::Incoming, service::service_fn};
    /// use hyper_util::rt::TokioIo;
    /// use socketio_proto_tokio::SocketIoService;
    /// use tokio::net::TcpStream;
    ///
    /// async fn serve(service: SocketIoService, stream: TcpStream) -> hyper::Result<()> {
    ///     let service = service_fn(|request: Request<Incoming>| {
    ///         let answer = service.answer(request);
    ///         async { Ok::<_, Infallible>(answer.await) }
    ///     });
    ///     hyper::server::conn::http1::Builder::new()
    ///         .serve_connection(TokioIo::new(stream), service)
    ///         .with_upgrades()
    ///         .await
    /// }
    /// ```
    pub fn answer<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Response<Body>> + Send + use<B>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Send,
    {
        let Self { endpoint, options } = self.clone();
        async move {
            let answered = match &options.cors {
                None => answer(&endpoint, options.limits, request).await,
                Some(cors) => answer_with_cors(&endpoint, options.limits, cors, request).await,
            };
            answered.unwrap_or_else(|Aborted| Response::new(Body::aborted()))
        }
    }
}

impl fmt::Debug for SocketIoService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoService").field("cors", &self.options.cors).finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<Request<B>> for SocketIoService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    /// It is always ready: a busy server makes the response wait.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        ResponseFuture(Box::pin(self.answer(request)))
    }
}

impl<B> hyper::service::Service<Request<B>> for SocketIoService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<B>) -> ResponseFuture {
        ResponseFuture(Box::pin(self.answer(request)))
    }
}

/// The response of [`SocketIoService`].
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<Body>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

async fn answer<B: http_body::Body>(
    endpoint: &Endpoint,
    limits: BodyLimits,
    request: Request<B>,
) -> Result<Response<Body>, Aborted> {
    let connection = endpoint.connection();
    match websocket_request(&request) {
        Some(asked) => websocket::answer(connection, request, asked, limits.bytes).await,
        None => exchange::answer(connection, request, limits).await,
    }
}

async fn answer_with_cors<B: http_body::Body>(
    endpoint: &Endpoint,
    limits: BodyLimits,
    cors: &Cors,
    request: Request<B>,
) -> Result<Response<Body>, Aborted> {
    if let Some(preflight) = preflight(cors, &request) {
        return Ok(preflight.map(Body::new));
    }
    let origin = request.headers().get(header::ORIGIN);
    let fields = cors.fields(origin.map(HeaderValue::as_bytes));
    let mut response = answer(endpoint, limits, request).await?;
    add_fields(response.headers_mut(), fields);
    Ok(response)
}
