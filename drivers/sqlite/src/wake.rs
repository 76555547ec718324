//! How other processes wake this one: through a Unix datagram socket beside the file.

use std::{path::Path, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often a process looks whether there is something new, in case that a wake-up is lost.
const POLL: Duration = Duration::from_millis(250);
/// How often it looks if nobody can wake it: the system has no such sockets, or the path is too long
/// for one.
const POLL_ALONE: Duration = Duration::from_millis(10);

/// Waits until there may be something new in the file.
pub(crate) struct Wake {
    socket: Option<socket::Socket>,
    ticks: Interval,
}

impl Wake {
    /// Binds the socket of this process. Call this within a runtime.
    pub(crate) fn new(database: &Path) -> Self {
        let socket = socket::Socket::bind(database);
        let mut ticks = interval(if socket.is_some() { POLL } else { POLL_ALONE });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, ticks }
    }

    /// The name of the socket for other processes. Empty if there is none.
    pub(crate) fn name(&self) -> String {
        self.socket.as_ref().map(|socket| socket.name().to_owned()).unwrap_or_default()
    }

    /// Waits for the next time to look. It loses nothing if it is dropped.
    pub(crate) async fn woken(&mut self) {
        let Some(socket) = &self.socket else {
            self.ticks.tick().await;
            return;
        };
        tokio::select! {
            () = socket.woken() => {}
            _ = self.ticks.tick() => {}
        }
    }
}

#[cfg(unix)]
mod socket {
    use std::{fs, path::Path};

    use socketio_proto_tokio::entropy;
    use tokio::net::UnixDatagram;

    use crate::paths::{SOCKET, beside};

    pub(super) struct Socket {
        socket: UnixDatagram,
        name: String,
    }

    impl Socket {
        pub(super) fn bind(database: &Path) -> Option<Self> {
            let mut random = [0; 8];
            entropy(&mut random);
            let database = std::path::absolute(database).ok()?;
            let name = beside(&database, &format!("-{:016x}{SOCKET}", u64::from_le_bytes(random)));
            let name = name.into_os_string().into_string().ok()?;
            let socket = UnixDatagram::bind(&name).ok()?;
            Some(Self { socket, name })
        }

        pub(super) fn name(&self) -> &str {
            &self.name
        }

        pub(super) async fn woken(&self) {
            let mut byte = [0; 1];
            if self.socket.recv(&mut byte).await.is_err() {
                // The poll goes on.
                std::future::pending::<()>().await;
            }
            // One look is enough for all that have come in.
            while self.socket.try_recv(&mut byte).is_ok() {}
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            fs::remove_file(&self.name).ok();
        }
    }
}

#[cfg(not(unix))]
mod socket {
    use std::path::Path;

    /// There is none.
    pub(super) enum Socket {}

    impl Socket {
        pub(super) fn bind(_database: &Path) -> Option<Self> {
            None
        }

        pub(super) fn name(&self) -> &str {
            match *self {}
        }

        pub(super) async fn woken(&self) {
            match *self {}
        }
    }
}
