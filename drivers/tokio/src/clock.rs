//! The clock behind timestamps.

use socketio_proto::Timestamp;
use tokio::time::{Duration, Instant};

/// The UNIX epoch, read once, plus monotonic time elapsed since.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    origin: Timestamp,
}

impl Clock {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place where the world is asked")]
        let now = std::time::SystemTime::now();
        let since_epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { start: Instant::now(), origin: Timestamp::ZERO.saturating_add(since_epoch) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.origin.saturating_add(self.start.elapsed())
    }

    /// The moment of a timestamp; `None` if it is too far away to be waited for.
    pub(crate) fn instant(&self, timestamp: Timestamp) -> Option<Instant> {
        self.start.checked_add(timestamp.saturating_since(self.origin))
    }
}
