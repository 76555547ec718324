//! Listening sockets, and accepted connections.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    peer_limits::LimitedStream,
    signal::{Shutdown, requested},
    site::Site,
};

/// The largest head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// How long connections may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a port that is free for IPv4 may turn out to be taken for IPv6.
const PORT_TRIES: u32 = 16;

/// Connections that wait to be accepted: all clients come at once when a network is back.
const BACKLOG: u32 = 4096;

/// The loopback addresses, for IPv4 and, where the machine has it, IPv6.
pub struct Listeners {
    v4: TcpListener,
    v6: Option<TcpListener>,
    port: u16,
}

impl Listeners {
    /// Listens on 127.0.0.1 and `::1`. Port 0 chooses a free one.
    ///
    /// # Errors
    ///
    /// If the port is taken, or may not be used.
    pub fn bind(port: u16) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on port {port}: {error}"))
        };
        Self::try_bind(port).map_err(named)
    }

    /// Returns the port, which is the same for both addresses.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn try_bind(port: u16) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            let v4 = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
            let actual = v4.local_addr()?.port();
            let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), actual);
            let v6 = match listen(address) {
                Ok(listener) => Some(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if port == 0 && tries < PORT_TRIES {
                        continue;
                    }
                    return Err(error);
                }
                // A machine without IPv6.
                Err(_) => None,
            };
            return Ok(Self { v4, v6, port: actual });
        }
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        let Some(v6) = &self.v6 else {
            return Ok(self.v4.accept().await?.0);
        };
        let (stream, _) = tokio::select! {
            accepted = self.v4.accept() => accepted?,
            accepted = v6.accept() => accepted?,
        };
        Ok(stream)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As for `TcpListener::bind`, but for the connections that may wait to be accepted.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections and serves them until the program has to end. Then it waits until the
/// connections and the `tasks` of the machines have ended, for five seconds at most.
pub async fn serve(
    listeners: Listeners,
    site: Site,
    mut tasks: Vec<JoinHandle<()>>,
    shutdown: Shutdown,
) {
    accept(listeners, site, shutdown).await;
    let all = async {
        for task in &mut tasks {
            task.await.ok();
        }
    };
    if timeout(END_TIMEOUT, all).await.is_err() {
        for task in tasks.into_iter().filter(|task| !task.is_finished()) {
            task.abort();
            task.await.ok();
        }
    }
}

async fn accept(listeners: Listeners, site: Site, mut shutdown: Shutdown) {
    let site = Arc::new(site);
    let places = Arc::new(Semaphore::new(site.peer_limits.connections.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            accepted = async {
                // Surplus connections wait in the operating system, where they cost nothing.
                let permit = places.clone().acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((listeners.accept().await?, permit))
            } => accepted,
            () = requested(&mut shutdown) => return,
        };
        match accepted {
            Ok((stream, permit)) => {
                stream.set_nodelay(true).ok();
                let stream = LimitedStream::new(stream, permit, site.peer_limits.write);
                tokio::spawn(serve_connection(stream, site.clone(), shutdown.clone()));
            }
            // Out of file descriptors, most likely: some will be free again.
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    () = requested(&mut shutdown) => return,
                }
            }
        }
    }
}

async fn serve_connection(stream: LimitedStream, site: Arc<Site>, mut shutdown: Shutdown) {
    let service = service_fn(|request| site.answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.peer_limits.head)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // Errors of a connection concern only its peer.
    tokio::select! {
        result = &mut connection => result.ok(),
        () = requested(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await.ok()
        }
    };
}
