//! One application and nothing else: all that many programs need.

use socketio_proto::server::Server;

use crate::{
    app::App,
    cluster::Engine,
    handle::{Handle, start, start_clustered},
    listen::Listener,
    peer_limits::PeerLimits,
    serve::serve,
    service::SocketIoService,
    signal::shutdown_signal,
};

/// Serves an application at `/socket.io` until Ctrl-C or SIGTERM, and then shuts it down.
///
/// ```no_run
/// use socketio_proto::server::{Server, ServerEvent};
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_tokio::{App, Context, entropy, run};
/// use tokio::net::TcpListener;
///
/// struct Echo;
///
/// impl App for Echo {
///     type Data = ();
///
///     fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
///         match event {
///             ServerEvent::ConnectRequested { request, .. } => {
///                 cx.at().accept(request);
///             }
///             ServerEvent::Received { event, ack: Some(token), .. } => {
///                 cx.at().ack(token, &event.args());
///             }
///             _ => {}
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ServerConfig::new().recovery(RecoveryConfig::new());
/// let mut server = Server::new(config, entropy)?;
/// server.at(Timestamp::ZERO).add_namespace("/")?;
/// run(TcpListener::bind("127.0.0.1:3000").await?, server, Echo).await;
/// # Ok(())
/// # }
/// ```
pub async fn run<A: App>(listener: impl Listener, server: Server<A::Data>, app: A) {
    run_started(listener, start(server, app)).await;
}

/// Serves an application on a server that is a node of a cluster, as [`run`] does.
pub async fn run_clustered<A: App>(
    listener: impl Listener,
    server: Server<A::Data>,
    app: A,
    engine: impl Engine,
) {
    run_started(listener, start_clustered(server, app, engine)).await;
}

async fn run_started<A: App>(
    listener: impl Listener,
    (service, handle): (SocketIoService, Handle<A>),
) {
    let site = service.at("/socket.io");
    let serving = serve(listener, site, PeerLimits::default(), handle.closing());
    let ending = async {
        tokio::select! {
            () = shutdown_signal() => drop(handle.shutdown().await),
            () = handle.ended() => {}
        }
    };
    tokio::join!(serving, ending);
}
