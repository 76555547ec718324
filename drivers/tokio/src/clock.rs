//! The clock behind timestamps, and the timer for deadlines.

use socketio_proto::Timestamp;
use tokio::time::{Duration, Instant};

/// The timers of the runtime are late by a millisecond on average. So they are set this much
/// earlier, and deadlines within this time count as reached.
const EARLY: Duration = Duration::from_millis(1);
/// A timer this far away never fires in practice.
pub(crate) const FAR: Duration = Duration::from_secs(24 * 3600);

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

    /// When to set a timer for a deadline.
    pub(crate) fn due(&self, deadline: Option<Timestamp>) -> Instant {
        let far = Instant::now() + FAR;
        let due = deadline.and_then(|deadline| self.instant(deadline));
        due.map_or(far, |due| (due.checked_sub(EARLY).unwrap_or(due)).min(far))
    }

    /// The time that a timer has reached: that of the deadline if it is due.
    pub(crate) fn reached(&self, deadline: Option<Timestamp>) -> Timestamp {
        let now = self.now();
        let due = deadline.filter(|deadline| deadline.saturating_since(now) <= EARLY);
        due.map_or(now, |due| now.max(due))
    }

    /// The moment of a timestamp; `None` if it is too far away to be waited for.
    fn instant(&self, timestamp: Timestamp) -> Option<Instant> {
        self.start.checked_add(timestamp.saturating_since(self.origin))
    }
}
