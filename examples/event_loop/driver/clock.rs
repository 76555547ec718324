//! The one place that looks at a clock.

use std::time::{Instant, SystemTime, SystemTimeError, UNIX_EPOCH};

use socketio_proto::Timestamp;

/// The UNIX epoch, read once, plus monotonic time elapsed since.
pub struct Clock {
    start: Instant,
    origin: Timestamp,
}

#[expect(clippy::disallowed_methods, reason = "the clock belongs to the embedder, and here it is")]
impl Clock {
    /// Reads the time of day.
    ///
    /// # Errors
    ///
    /// If it is before 1970.
    pub fn new() -> Result<Self, SystemTimeError> {
        let origin = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self { start: Instant::now(), origin: Timestamp::ZERO.saturating_add(origin) })
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.origin.saturating_add(self.start.elapsed())
    }
}
