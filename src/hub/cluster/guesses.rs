//! How often a connection may make its node ask the others for a session.
//!
//! Each claim of a session that is not here costs an entry of the channel, which every node reads. A client
//! claims at most one session in each namespace when it has connected. So a connection may ask as often
//! as it may have namespaces, and then once a second: that bounds who makes private ids up, and nobody
//! else.

use alloc::collections::BTreeMap;
use core::{mem, time::Duration};

use crate::{
    bucket::{Bucket, Rate},
    id::ConnectionId,
    time::Timestamp,
};

/// How many claims a connection may make in a second once its burst is used up.
const PER_SECOND: u32 = 1;

/// More connections than this are not remembered by each half.
const CONNECTIONS_MAX: usize = 65_536;

/// What connections have asked for lately.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    burst: u32,
    /// Those that have asked since `turned`, and in the time before that.
    latest: BTreeMap<ConnectionId, Bucket>,
    earlier: BTreeMap<ConnectionId, Bucket>,
    turned: Timestamp,
}

impl Guesses {
    /// Each connection may have so many namespaces.
    pub(super) fn new(namespaces: usize) -> Self {
        let burst = u32::try_from(namespaces).unwrap_or(u32::MAX).max(1);
        Self { burst, ..Self::default() }
    }

    /// Whether a connection may ask now. If it may, that counts.
    pub(super) fn may_ask(&mut self, now: Timestamp, connection: ConnectionId) -> bool {
        let rate = Rate { burst: self.burst, per_second: PER_SECOND };
        // Whoever has not asked for so long may ask as often as at first.
        let refill = Duration::from_secs(self.burst.div_ceil(PER_SECOND).into());
        let is_old = now.saturating_since(self.turned) > refill;
        if is_old || self.latest.len() >= CONNECTIONS_MAX {
            self.earlier = mem::take(&mut self.latest);
            self.turned = now;
        }
        let earlier = self.earlier.remove(&connection).unwrap_or_default();
        self.latest.entry(connection).or_insert(earlier).try_take(now, rate, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn asked(guesses: &mut Guesses, seconds: u64, connection: u64) -> usize {
        let connection = ConnectionId::from_raw(connection);
        (0..100).filter(|_| guesses.may_ask(at(seconds), connection)).count()
    }

    #[test]
    fn a_connection_asks_once_for_each_namespace_and_then_once_a_second() {
        let mut guesses = Guesses::new(3);
        assert_eq!(asked(&mut guesses, 0, 1), 3);
        assert_eq!(asked(&mut guesses, 0, 2), 3, "others are not held up");
        for second in 1..20 {
            assert_eq!(asked(&mut guesses, second, 1), 1, "{second}");
        }
        assert_eq!(asked(&mut guesses, 40, 1), 3);
        assert_eq!(guesses.earlier.len() + guesses.latest.len(), 1, "the other is forgotten");
    }

    #[test]
    fn connections_that_have_gone_are_forgotten() {
        let mut guesses = Guesses::new(64);
        for connection in 0..3 * CONNECTIONS_MAX as u64 {
            assert!(guesses.may_ask(at(0), ConnectionId::from_raw(connection)));
        }
        assert!(guesses.earlier.len() + guesses.latest.len() <= 2 * CONNECTIONS_MAX);
        guesses.may_ask(at(100), ConnectionId::from_raw(0));
        guesses.may_ask(at(200), ConnectionId::from_raw(0));
        assert_eq!(guesses.earlier.len() + guesses.latest.len(), 1);
    }
}
