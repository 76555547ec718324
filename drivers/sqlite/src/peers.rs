//! Wakes the other processes.

use std::{io::ErrorKind, path::Path};

use socketio_proto::cluster::engines::sqlite::SqliteProcess;

/// Wakes other processes through their sockets.
pub(crate) struct Peers {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    list: Vec<SqliteProcess>,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(unix)]
            socket: std::os::unix::net::UnixDatagram::unbound().ok().filter(|socket| {
                // A process whose socket is full is going to look anyway.
                socket.set_nonblocking(true).is_ok()
            }),
            list: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, list: Vec<SqliteProcess>) {
        self.list = list;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Wakes all of them. Returns those that are dead.
    pub(crate) fn wake(&self) -> Vec<SqliteProcess> {
        let is_dead = |process: &&SqliteProcess| match self.send(&process.socket) {
            Err(ErrorKind::ConnectionRefused | ErrorKind::NotFound) => true,
            // What cannot be sent now need not be: the other one looks anyway, a little later.
            _ => false,
        };
        self.list.iter().filter(is_dead).cloned().collect()
    }

    #[cfg(unix)]
    fn send(&self, socket: &str) -> Result<(), ErrorKind> {
        match &self.socket {
            Some(own) if !socket.is_empty() => {
                own.send_to(b"w", Path::new(socket)).map(drop).map_err(|error| error.kind())
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _socket: &str) -> Result<(), ErrorKind> {
        Ok(())
    }
}
