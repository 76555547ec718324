//! Time as a value: the crate never reads a clock.

use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A point in time, in microseconds since an origin that the embedder chooses once.
///
/// By convention the origin is the UNIX epoch: read the wall clock once at the start, and add the
/// monotonic time since then. So a timestamp keeps its meaning across a restart. A test may start
/// at [`Timestamp::ZERO`]. Arithmetic saturates. If `now` runs backwards, the machines use the
/// latest time that they have seen.
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::Timestamp;
///
/// // In a driver: the time since 1970 at the start, and the monotonic time since then.
/// fn now(at_start: Duration, elapsed: Duration) -> Timestamp {
///     Timestamp::ZERO.saturating_add(at_start).saturating_add(elapsed)
/// }
/// let now = now(Duration::from_secs(7), Duration::from_millis(5));
/// assert_eq!(now, Timestamp::from_micros(7_005_000));
///
/// // In a test.
/// let start = Timestamp::from_micros(5);
/// let later = start.saturating_add(Duration::from_secs(1));
/// assert_eq!(later.saturating_since(start), Duration::from_secs(1));
/// assert_eq!(start.saturating_since(later), Duration::ZERO);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(#[serde(deserialize_with = "crate::number::whole")] u64);

impl Timestamp {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than every real moment: "never".
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Makes a timestamp from microseconds since the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Makes a timestamp from milliseconds since the origin. It saturates.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Returns the microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the moment `delay` later, or the latest one that can be expressed.
    #[must_use]
    pub fn saturating_add(self, delay: Duration) -> Self {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Returns the moment `delay` earlier, or the origin if that is before it.
    pub(crate) fn saturating_sub(self, delay: Duration) -> Self {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// Returns the time passed since `earlier`, or zero if that is not earlier.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Turns the internal "never" into the public `None`.
    pub(crate) fn finite(self) -> Option<Self> {
        (self != Self::NEVER).then_some(self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
