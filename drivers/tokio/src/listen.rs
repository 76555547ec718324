//! Listening sockets.

use std::{
    future::{Ready, ready},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Where connections come from: TCP, Unix sockets, TLS.
///
/// It is implemented for the listeners of tokio. A listener with TLS:
///
/// ```
/// use std::io;
///
/// use socketio_proto_tokio::Listener;
/// use tokio::net::{TcpListener, TcpStream};
/// use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};
///
/// struct Tls {
///     listener: TcpListener,
///     acceptor: TlsAcceptor,
/// }
///
/// impl Listener for Tls {
///     type Stream = TlsStream<TcpStream>;
///     type Opening = Accept<TcpStream>;
///
///     async fn accept(&mut self) -> io::Result<Accept<TcpStream>> {
///         let (stream, _) = self.listener.accept().await?;
///         stream.set_nodelay(true)?;
///         Ok(self.acceptor.accept(stream))
///     }
/// }
/// ```
pub trait Listener: Send + 'static {
    /// A connection.
    type Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static;
    /// Opens a connection that was accepted, for example by the handshake of TLS. Other connections
    /// do not wait for it.
    type Opening: Future<Output = io::Result<Self::Stream>> + Send + 'static;

    /// Accepts the next connection. The future may be dropped at any time.
    ///
    /// # Errors
    ///
    /// An error of the operating system. [`serve`](crate::serve()) waits a moment and tries again.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Opening>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Opening = Ready<io::Result<TcpStream>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        Ok(opened(Self::accept(self).await?.0))
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;
    type Opening = Ready<io::Result<Self::Stream>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        Ok(ready(Ok(Self::accept(self).await?.0)))
    }
}

/// How often a port that is free for IPv4 may turn out to be taken for IPv6.
const PORT_TRIES: u32 = 16;

/// Connections that wait to be accepted: all clients come at once when a network is back.
const BACKLOG: u32 = 4096;

/// The loopback addresses, for IPv4 and, where the machine has it, IPv6. A browser may try either of
/// them for `localhost`.
///
/// ```
/// use socketio_proto_tokio::Listeners;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listeners = Listeners::bind(0)?;
/// println!("listening {}", listeners.port());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
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
}

impl Listener for Listeners {
    type Stream = TcpStream;
    type Opening = Ready<io::Result<TcpStream>>;

    async fn accept(&mut self) -> io::Result<Self::Opening> {
        let Some(v6) = &self.v6 else {
            return Ok(opened(self.v4.accept().await?.0));
        };
        let (stream, _) = tokio::select! {
            accepted = self.v4.accept() => accepted?,
            accepted = v6.accept() => accepted?,
        };
        Ok(opened(stream))
    }
}

fn opened(stream: TcpStream) -> Ready<io::Result<TcpStream>> {
    // Without it, small messages wait for the acknowledgement of others.
    stream.set_nodelay(true).ok();
    ready(Ok(stream))
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
