//! What is wrong with a row.

use thiserror::Error;

/// A row that this engine has not written, or not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SqliteRowError {
    /// It has other columns, or values of other types.
    #[error("a row of another shape")]
    Shape,
    /// It was overwritten.
    #[error("a row that does not match its checksum")]
    Checksum,
    /// It does not follow the one before.
    #[error("a row is missing")]
    Missing,
}
