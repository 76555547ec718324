//! Settings of connection state recovery.

use core::time::Duration;

use super::error::{ConfigError, check};
use crate::bucket::Rate;

/// Settings of connection state recovery. Each namespace has a log and sessions of its own, so the
/// bounds on them hold per namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryConfig {
    /// How long a session is kept after its link was lost. Default 2 minutes.
    pub max_disconnection: Duration,
    /// Whether a client that recovers is let in without asking the application again. Default
    /// true, as in the reference; set it to false where permission can be withdrawn meanwhile.
    pub skip_authorization: bool,
    /// Whether the missed packets follow the CONNECT answer (default) or precede it.
    pub replay_order: ReplayOrder,
    /// Whether events that ask for an acknowledgement are logged and replayed until they are
    /// acknowledged. Default false, as in the reference.
    pub replay_ack_events: bool,
    /// Whether clients of this crate are told how many of their events have arrived, so that after
    /// a recovery they send again what has not. It adds `"received":N` to the CONNECT answer, which
    /// official clients do not look at. Default false: the answer is the reference's to the byte.
    pub count_events: bool,
    /// Packets kept in the log of a namespace. Default 100,000. The oldest are evicted.
    pub buffer_packets: usize,
    /// Bytes of packets kept in the log of a namespace. Default 64 MiB. The oldest are evicted.
    pub buffer_bytes: usize,
    /// Disconnected sessions kept by a namespace. Default 100,000. The one that has been away
    /// longest is evicted and reported as expired.
    pub parked_sessions: usize,
    /// Bytes that one recovery may replay. Default 64 MiB. A session that missed more is refused.
    pub replay_bytes: usize,
    /// How often in a row a client may be sent the same replay and close its connection at once,
    /// before its session is given up ([`Refusal::PoisonEvent`](crate::recovery::Refusal::PoisonEvent)).
    /// Default 5. Such a client refuses an event of the replay: it would do so for ever, and what
    /// stands behind the event would never reach it.
    ///
    /// It counts if the client has closed in an orderly way (a close frame of WebSocket, a close
    /// packet), within `ping_interval` and `ping_timeout`, after the replay had begun to leave, and
    /// comes back without having processed anything of it. A network that is lost never counts.
    pub replay_attempts: u32,
    /// Room changes remembered per session, as far as the log reaches back. Default 256. Beyond it
    /// the oldest are forgotten, and a client that has yet to get something that was emitted to it
    /// before them may be refused.
    pub memberships: usize,
    /// Recoveries that may be served at once before the rest have to queue. Default 4,096. What is
    /// looked at counts as well, since that is what it costs: 256 packets of the session's rooms,
    /// whether they were withheld from it or not, or 32 rooms, count as one more. Refused ones
    /// count, too, except those that name no session.
    ///
    /// One recovery a session queues. A newer one takes its place, and its link is closed as if the
    /// session had been taken over. The session whose recoveries were given least comes first, so
    /// one that is claimed again and again pays for itself. While it queues, a session does not
    /// expire, nor does what the log has for it.
    pub claim_burst: u32,
    /// Recoveries served per second once the burst is used up. Default 4,096.
    pub claims_per_second: u32,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            max_disconnection: Duration::from_mins(2),
            skip_authorization: true,
            replay_order: ReplayOrder::AfterConnect,
            replay_ack_events: false,
            count_events: false,
            buffer_packets: 100_000,
            buffer_bytes: 64 << 20,
            parked_sessions: 100_000,
            replay_bytes: 64 << 20,
            replay_attempts: 5,
            memberships: 256,
            claim_burst: 4_096,
            claims_per_second: 4_096,
        }
    }
}

impl RecoveryConfig {
    pub(crate) const fn claim_rate(&self) -> Rate {
        Rate { burst: self.claim_burst, per_second: self.claims_per_second }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("recovery.max_disconnection", !self.max_disconnection.is_zero()),
            ("recovery.buffer_packets", self.buffer_packets > 0),
            ("recovery.buffer_bytes", self.buffer_bytes > 0),
            ("recovery.parked_sessions", self.parked_sessions > 0),
            ("recovery.replay_bytes", self.replay_bytes > 0),
            ("recovery.replay_attempts", self.replay_attempts > 0),
            ("recovery.memberships", self.memberships > 0),
            ("recovery.claim_burst", self.claim_burst > 0),
            ("recovery.claims_per_second", self.claims_per_second > 0),
        ])
    }
}

/// Where the missed packets stand on the wire upon recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOrder {
    /// CONNECT, then the missed packets, then live ones: a link that breaks in the middle of the
    /// replay causes neither loss nor duplicates.
    AfterConnect,
    /// The missed packets, then CONNECT: byte for byte what the reference sends. The official
    /// client then delivers them before its `connect` event, and twice if the link breaks between.
    /// One that calls `disconnect()` before the answer and `connect()` right behind may take the
    /// answer without what came before it, and so miss events. Only for a comparison with the
    /// reference.
    BeforeConnect,
}
