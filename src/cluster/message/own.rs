//! The messages between nodes of this crate.

/// A kind of message that only nodes of this crate send and read.
///
/// The numbers are those on the wire. Official nodes ignore every number above 13, both in a stream
/// and in a channel, and take the position of such an entry for a valid offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OwnKind {
    /// A node takes a session over. Its position in the log is where the earlier owner gives the
    /// session up.
    Claim = 64,
    /// A position in the log, and nothing else. A server does not write it yet.
    Marker = 65,
    /// Asks whether another node has a session. A server does not write it yet.
    RecordRequest = 66,
    /// The answer to a [`Claim`](Self::Claim): the session, or why it stays where it is.
    RecordResponse = 67,
    /// A client that was asked with a [`Broadcast`](super::Body::Broadcast) has gone, and will not answer.
    ClientGone = 68,
    /// A node has read a [`Claim`](Self::Claim) and does not have the session.
    RecordAbsent = 69,
    /// Up to here, official nodes may have emitted something in the namespace that is not in the log,
    /// because no node of this crate was there to hear it. Engines write it that hear them by namespace.
    Unheard = 70,
}

impl OwnKind {
    /// Returns the number on the wire.
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// Returns the kind with this number on the wire, if there is one.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            64 => Some(Self::Claim),
            65 => Some(Self::Marker),
            66 => Some(Self::RecordRequest),
            67 => Some(Self::RecordResponse),
            68 => Some(Self::ClientGone),
            69 => Some(Self::RecordAbsent),
            70 => Some(Self::Unheard),
            _ => None,
        }
    }
}
