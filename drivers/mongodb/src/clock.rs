//! The clock of MongoDB. All nodes go by it, so that theirs may be wrong.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{error::MongodbEngineError, setup::Store};

/// How often MongoDB is asked again. Its clock may be set, and this process may be paused.
const INTERVAL: Duration = Duration::from_secs(5);

/// What the clock of MongoDB says.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// What it said at the start, in milliseconds since the UNIX epoch.
    origin: AtomicU64,
}

impl Clock {
    /// A clock that nobody has set. It is set before it is read.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), origin: AtomicU64::new(0) }
    }

    /// MongoDB says that it is this time.
    pub(crate) fn set(&self, unix_ms: u64) {
        self.origin.store(unix_ms.saturating_sub(self.elapsed()), Relaxed);
    }

    /// Milliseconds since the UNIX epoch.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.origin.load(Relaxed).saturating_add(self.elapsed())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Sets the clock again and again.
pub(crate) async fn follow(store: &Store) -> Result<Infallible, MongodbEngineError> {
    loop {
        sleep(INTERVAL).await;
        store.hello().await?;
    }
}
