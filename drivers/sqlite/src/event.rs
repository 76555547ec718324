//! What happens to a file.

use std::{fmt, path::PathBuf};

/// Something that the operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqliteEvent {
    /// The file could not be continued. It was renamed, and a new one was begun: no client recovers.
    SetAside {
        /// The new name.
        to: PathBuf,
        /// Why.
        reason: SetAsideReason,
    },
    /// The file cannot be used any more. The driver tries again, and tells this again only if the
    /// reason has become another one, until the file [can be used](Self::Resumed) again.
    Failed {
        /// Why: what [`SqliteError`](crate::SqliteError) says.
        reason: String,
    },
    /// The file can be used again.
    Resumed,
}

/// Why a file could not be continued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetAsideReason {
    /// It is damaged.
    Damaged {
        /// What is wrong, for a log.
        what: String,
    },
    /// Transactions are missing whose effects clients may have seen: the file, or its WAL, was cut,
    /// overwritten, or replaced by an earlier copy.
    LostTransactions,
    /// The operating system has crashed, or there was a power loss, and the file is not for that. See
    /// [`Survives`](crate::Survives).
    PowerLoss,
}

impl fmt::Display for SqliteEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { to, reason } => write!(
                f,
                "no session is continued, because {reason}; the file is now {}",
                to.display()
            ),
            Self::Failed { reason } => write!(f, "the server goes on without its file: {reason}"),
            Self::Resumed => f.write_str("the file can be used again"),
        }
    }
}

impl fmt::Display for SetAsideReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { what } => write!(f, "the file is damaged: {what}"),
            Self::LostTransactions => {
                f.write_str("the latest transactions are missing in the file")
            }
            Self::PowerLoss => f.write_str("the operating system did not end properly"),
        }
    }
}
