//! One application on one port: all that most programs need.

use std::{error::Error, time::Duration};

use hyper::StatusCode;
use socketio_proto::server::Server;
use tokio::sync::mpsc;

use crate::{
    actor::spawn,
    endpoint::Endpoint,
    hosted::{App, Hosted},
    listen::{Listeners, serve},
    peer_limits::PeerLimits,
    signal::{Shutdown, shutdown_on_signal},
    site::{Route, Site, plain},
};

/// Serves an application at `/socket.io` on the loopback addresses, until Ctrl-C or SIGTERM. Prints
/// `listening` and the port.
///
/// # Errors
///
/// If the port cannot be listened on.
pub async fn run<A: App>(port: u16, server: Server<A::Data>, app: A) -> Result<(), Box<dyn Error>> {
    let max_payload = server.config().payload_limit();
    let shutdown: Shutdown = shutdown_on_signal();
    // The application has no tasks that could send it messages.
    let (_, messages) = mpsc::channel(1);
    let machine = Hosted::new(server, app);
    let (endpoint, task): (Endpoint, _) = spawn(machine, messages, shutdown.clone());
    let path = "/socket.io";
    let route = Route { path, endpoint, max_payload, cors: None, delay: Duration::ZERO };
    let site = Site {
        routes: vec![route],
        fallback: Box::new(|_| plain(StatusCode::NOT_FOUND, "Not found")),
        peer_limits: PeerLimits::default(),
    };
    let listeners = Listeners::bind(port)?;
    println!("listening {}", listeners.port());
    serve(listeners, site, vec![task], shutdown).await;
    Ok(())
}
