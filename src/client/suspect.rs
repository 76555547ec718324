//! The event that is suspected of a refusal by the server. [`undeliverable`](super::undeliverable)
//! decides about it.

/// The event that may be the reason why the server closed the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Its number among all sent events.
    pub(super) serial: u64,
    /// Its name, if it was emitted with retries and no other event can be the reason.
    pub(super) only_retry: Option<u64>,
}
