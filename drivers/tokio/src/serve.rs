//! Serving connections, for applications without another HTTP server.

use std::{any::Any, error::Error, future::poll_fn, io, pin::pin, time::Duration};

use http::{Request, Response, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    listen::Listener,
    peer_limits::{LimitedStream, PeerLimits},
    peers::{Peers, Place},
    stream::{Opened, Opener, Stream},
};

/// The largest head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// How long connections may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after an error of the system: it is out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type BoxError = Box<dyn Error + Send + Sync>;

/// Serves HTTP/1.1 connections until `shutdown` is ready. Then it accepts no more, and waits until
/// the connections have ended, for five seconds at most.
///
/// `service` is a `tower` service, for example [`SocketIoService::at`](crate::SocketIoService::at) or
/// the router of axum. Long-polling requests and WebSockets end only when the Socket.IO server closes
/// them. So pass [`Handle::closing`](crate::Handle::closing) as `shutdown`, and end both servers with
/// [`Handle::shutdown`](crate::Handle::shutdown).
///
/// `peers` are the [`PeerLimits`], or [`Peers`] to share them and to get figures.
///
/// ```no_run
/// use std::io;
///
/// use socketio_proto_tokio::{Handle, PeerLimits, SocketIoService, serve, shutdown_signal};
/// use tokio::net::TcpListener;
/// # use socketio_proto_tokio::App;
///
/// async fn run(service: SocketIoService, handle: Handle<impl App>) -> io::Result<()> {
///     let listener = TcpListener::bind("0.0.0.0:3000").await?;
///     let site = service.at("/socket.io");
///     let serving = serve(listener, site, PeerLimits::default(), handle.closing());
///     let serving = tokio::spawn(serving);
///     shutdown_signal().await;
///     handle.shutdown().await.ok();
///     serving.await?;
///     Ok(())
/// }
/// ```
pub async fn serve<L, S, R>(
    mut listener: L,
    service: S,
    peers: impl Into<Peers>,
    shutdown: impl Future<Output = ()> + Send,
) where
    L: Listener,
    S: tower_service::Service<Request<Incoming>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let peers = peers.into();
    let limits = peers.limits;
    let connections = TaskTracker::new();
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&mut listener, &peers) => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((opening, place)) => {
                let (service, stopped, peers) = (service.clone(), stopped.clone(), peers.clone());
                connections.spawn(async move {
                    // Errors of a connection concern only its peer.
                    let stream = match timeout(limits.head, opening).await {
                        Ok(Ok(stream)) => stream,
                        Ok(Err(error)) => return peers.count_not_opened(&error),
                        Err(elapsed) => return peers.count_not_opened(&elapsed),
                    };
                    let stream = LimitedStream::new(stream, place, limits.write);
                    if let Err(error) = serve_connection(stream, service, limits, stopped).await {
                        peers.count_failed(&error);
                    }
                });
            }
            Err(error) => {
                peers.count_accept_error(&error);
                tokio::select! {
                    () = sleep(ACCEPT_PAUSE) => {}
                    () = &mut shutdown => break,
                }
            }
        }
    }
    drop((listener, stop));
    connections.close();
    timeout(END_TIMEOUT, connections.wait()).await.ok();
}

/// Surplus connections wait in the operating system, where they cost nothing.
async fn accept<L: Listener>(listener: &mut L, peers: &Peers) -> io::Result<(L::Opening, Place)> {
    let place = peers.place().await?;
    let opening = listener.accept().await?;
    Ok((opening, peers.take(place)))
}

async fn serve_connection<I, S, R>(
    stream: LimitedStream<I>,
    service: S,
    limits: PeerLimits,
    mut stopped: watch::Receiver<()>,
) -> hyper::Result<()>
where
    I: Stream,
    S: tower_service::Service<Request<Incoming>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        if request.headers().contains_key(header::UPGRADE) {
            request.extensions_mut().insert::<Opener>(open::<I>);
        }
        let mut service = service.clone();
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        served = &mut connection => served,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// Opens the stream below a WebSocket. It has no timeout for writes from now on: the machine holds
/// frames back from a peer that does not read.
fn open<I: Stream>(upgraded: Upgraded) -> Option<Opened> {
    let parts = upgraded.downcast::<TokioIo<LimitedStream<I>>>().ok()?;
    let LimitedStream { stream, place, .. } = parts.io.into_inner();
    let mut stream = Some(stream);
    let tcp = (&mut stream as &mut dyn Any).downcast_mut::<Option<TcpStream>>();
    let opened = match tcp.and_then(Option::take) {
        Some(tcp) => Opened::tcp(tcp, parts.read_buf, Some(place)),
        None => Opened::any(Box::new(stream?), parts.read_buf, Some(place)),
    };
    Some(opened)
}
