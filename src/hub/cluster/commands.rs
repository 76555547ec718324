//! What the store is asked.

use crate::id::{RecoveryKey, SocketKey};

/// What the store was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Store(SocketKey),
    /// Take the record of a session of this node.
    Recall(SocketKey),
    /// Replace the record of a parked session, which has changed.
    Rewrite(SocketKey),
    /// See whether it has the record of a session of this node.
    Look(SocketKey),
    /// Fetch the record for a claim.
    Fetch(u64),
    /// Take the record for a claim, which had this version.
    Take(u64, Option<u64>),
    /// Take a record with this version in order to forget it.
    Discard(RecoveryKey, u64),
    /// Store a record again that was taken in vain.
    PutBack,
    /// Write the record of a session ahead.
    Write(SocketKey),
    /// Ask which version of such a record is there.
    Check(SocketKey),
    /// Replace the record for a claim, so that nobody else does.
    Replace(u64),
}

/// What to ask the store next.
pub(super) enum Next {
    Store(SocketKey),
    /// Replace the record of a session.
    Replace(SocketKey),
    /// Take the record of a session, which has this version.
    Recall {
        socket: SocketKey,
        version: u64,
        number: u64,
    },
    Look {
        socket: SocketKey,
        number: u64,
    },
    Discard {
        key: RecoveryKey,
        version: u64,
        number: u64,
    },
    Fetch {
        claim: u64,
        number: u64,
    },
}

impl Command {
    /// Whether it is about a record of this node.
    pub(super) const fn is_own(&self) -> bool {
        match self {
            Self::Store(_)
            | Self::Recall(_)
            | Self::Rewrite(_)
            | Self::Look(_)
            | Self::Discard(..)
            | Self::Write(_)
            | Self::Check(_) => true,
            Self::Fetch(_) | Self::Take(..) | Self::PutBack | Self::Replace(_) => false,
        }
    }
}
