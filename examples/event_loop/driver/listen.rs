//! The socket that listens.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use mio::net::TcpListener;
use socket2::{Domain, Socket, Type};

/// Connections that wait to be accepted: all clients come at once when a network is back.
const BACKLOG: i32 = 4096;

/// Listens on 127.0.0.1; port 0 lets the system choose one.
///
/// # Errors
///
/// If the port is taken, for example.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}
