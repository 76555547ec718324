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
        Self::polling(database, POLL)
    }

    /// With a socket, it looks as often as this.
    fn polling(database: &Path, poll: Duration) -> Self {
        let socket = socket::Socket::bind(database);
        let mut ticks = interval(if socket.is_some() { poll } else { POLL_ALONE });
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;
    use crate::{
        error::SqliteError,
        tests::{Folder, Process, news},
    };

    /// A test that waits for longer has failed.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Two processes that read, and what wakes the second one, from its second look on.
    async fn two(folder: &Folder, mut wake: Wake) -> (Process, Process, Wake) {
        let mut processes = (folder.start("a"), folder.start_with("b", &wake.name()));
        assert_eq!((processes.0.read().len(), processes.1.read().len()), (0, 0));
        wake.woken().await;
        (processes.0, processes.1, wake)
    }

    #[tokio::test]
    async fn a_process_that_writes_wakes_the_others() {
        let folder = Folder::new();
        // It is not the poll that does it.
        let wake = Wake::polling(&folder.file(""), 60 * PATIENCE);
        let (mut a, mut b, mut wake) = two(&folder, wake).await;
        for text in ["1", "2", "3"] {
            // The first one finds the second one when it is woken itself, or looks.
            a.look();
            let append = a.append(text);
            a.do_all([append]);
            timeout(PATIENCE, wake.woken()).await.expect("in time");
            assert_eq!(news(&b.look()).len(), 1);
        }
    }

    #[tokio::test]
    async fn a_process_that_was_not_woken_looks_all_the_same() {
        let folder = Folder::new();
        let wake = Wake::new(&folder.file(""));
        let (mut a, mut b, mut wake) = two(&folder, wake).await;
        // Here the wake-up is lost: the first one does not know of the second one.
        let append = a.append("1");
        a.do_all([append]);
        timeout(PATIENCE, wake.woken()).await.expect("in time");
        assert_eq!(news(&b.look()).len(), 1);
    }

    #[tokio::test]
    async fn a_process_without_a_socket_looks_all_the_time() {
        let folder = Folder::new();
        let long = folder.0.join("x".repeat(120)).join("sessions.db");
        fs::create_dir(long.parent().unwrap()).unwrap();
        let mut wake = Wake::new(&long);
        assert_eq!((wake.name().as_str(), wake.ticks.period()), ("", POLL_ALONE));
        for _ in 0..3 {
            timeout(PATIENCE, wake.woken()).await.expect("in time");
        }
    }

    /// Otherwise nothing would be published for it any more, and nobody would know.
    #[tokio::test]
    async fn a_process_whose_socket_is_gone_learns_that_it_is_taken_for_dead() {
        let folder = Folder::new();
        let wake = Wake::new(&folder.file(""));
        let (mut a, mut b, wake) = two(&folder, wake).await;
        a.look();
        fs::remove_file(wake.name()).unwrap();
        assert_eq!(b.look(), []);
        let append = a.append("1");
        a.do_all([append]);
        let looked = b.try_look();
        assert!(matches!(looked, Err(SqliteError::TakenForDead)), "{looked:?}");

        drop(b);
        let mut again = folder.start_with("b", &Wake::new(&folder.file("")).name());
        assert_eq!(again.read().len(), 1, "nothing is lost");
    }
}
