//! What rows mean.

use core::time::Duration;

use bytestring::ByteString;
use thiserror::Error;

use super::{Postgres, PostgresPlace, PostgresValue};
use crate::{
    cluster::message::{Addressed, Message, MessageError, StoredSession},
    recovery::Offset,
};

/// A row of another shape than the statement returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("a row of another shape")]
pub struct PostgresRowError;

/// Where the channel begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresHead {
    /// The first number of each position. Another channel has another one, so that offsets of one are
    /// refused in the other.
    pub epoch: u64,
    /// The entries up to this one were deleted.
    pub trimmed: u64,
    /// The latest entry, and the second number of its position. 0 if there was none yet.
    pub head: u64,
}

impl PostgresHead {
    /// Reads the row of [`Postgres::head`].
    ///
    /// # Errors
    ///
    /// [`PostgresRowError`].
    pub fn from_row(row: &[PostgresValue]) -> Result<Self, PostgresRowError> {
        let [epoch, trimmed, head] = row else { return Err(PostgresRowError) };
        let number = |value: &PostgresValue| value.as_number().ok_or(PostgresRowError);
        Ok(Self { epoch: number(epoch)?, trimmed: number(trimmed)?, head: number(head)? })
    }

    /// Every entry after this position can be read.
    pub const fn oldest(&self) -> Offset {
        Offset::pair(self.epoch, self.trimmed)
    }

    /// The position of the latest entry.
    pub const fn latest(&self) -> Offset {
        Offset::pair(self.epoch, self.head)
    }

    /// Returns the entry at a position, if everything after it can be read.
    pub fn entry_at(&self, position: Offset) -> Option<u64> {
        let (epoch, entry) = position.numbers()?;
        (epoch == self.epoch && (self.trimmed..=self.head).contains(&entry)).then_some(entry)
    }
}

/// An entry of the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresEntry {
    /// Its number.
    pub entry: u64,
    /// What it says, or why this version cannot read it. Its position counts all the same.
    pub message: Result<Message, MessageError>,
    /// Bytes of the message.
    pub len: usize,
    /// If it was imported: where it was heard, and the node that has imported it.
    pub origin: Option<(PostgresPlace, ByteString)>,
}

/// A session of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresSession {
    /// Its private id.
    pub pid: ByteString,
    /// The session, or why this version cannot read it.
    pub session: Result<StoredSession, MessageError>,
    /// How long it is kept. `None` if it has expired.
    pub expires_in: Option<Duration>,
}

impl Postgres {
    /// Reads a row of [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// [`PostgresRowError`]. An entry that cannot be read is not an error here.
    pub fn row(&self, row: &[PostgresValue]) -> Result<PostgresEntry, PostgresRowError> {
        let [entry, message, origin, importer] = row else { return Err(PostgresRowError) };
        let message = message.as_bytes().ok_or(PostgresRowError)?;
        let read = || Ok(Addressed::read(message, None)?.message);
        let origin = origin.as_text().and_then(|origin| PostgresPlace::read(origin));
        Ok(PostgresEntry {
            entry: entry.as_number().ok_or(PostgresRowError)?,
            message: self.check_len(message.len()).and_then(|()| read()),
            len: message.len(),
            origin: origin.zip(importer.as_text().cloned()),
        })
    }

    /// Reads a row of [`fetch`](Self::fetch) or [`take`](Self::take).
    ///
    /// # Errors
    ///
    /// [`PostgresRowError`]. A session that cannot be read is not an error here.
    pub fn session(&self, row: &[PostgresValue]) -> Result<PostgresSession, PostgresRowError> {
        let [pid, value, ms] = row else { return Err(PostgresRowError) };
        let PostgresValue::Int8(ms) = ms else { return Err(PostgresRowError) };
        let value = value.as_bytes().ok_or(PostgresRowError)?;
        let session = self.check_len(value.len()).and_then(|()| StoredSession::from_msgpack(value));
        let expires_in = u64::try_from(*ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        Ok(PostgresSession {
            pid: pid.as_text().ok_or(PostgresRowError)?.clone(),
            session,
            expires_in,
        })
    }

    /// Reads the first number of a row.
    ///
    /// # Errors
    ///
    /// [`PostgresRowError`].
    pub fn number(row: &[PostgresValue]) -> Result<u64, PostgresRowError> {
        row.first().and_then(PostgresValue::as_number).ok_or(PostgresRowError)
    }

    /// Reads the row of [`lineage`](Self::lineage).
    ///
    /// # Errors
    ///
    /// [`PostgresRowError`].
    pub fn text(row: &[PostgresValue]) -> Result<&ByteString, PostgresRowError> {
        row.first().and_then(PostgresValue::as_text).ok_or(PostgresRowError)
    }
}
