//! What rows mean.

use core::time::Duration;

use bytestring::ByteString;

use super::{Sqlite, SqliteHead, SqliteRowError, SqliteValue, checksum::checksum};
use crate::{
    cluster::message::{Message, MessageError, StoredSession},
    recovery::Offset,
};

/// An entry of the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteEntry {
    /// Its row.
    pub row: u64,
    /// Its position, which is the offset of its event.
    pub position: Offset,
    /// What it says, or why this version cannot read it. Its position counts all the same.
    pub message: Result<Message, MessageError>,
    /// Bytes of the message.
    pub len: usize,
}

/// A message that another process has published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlitePublished {
    /// Its row.
    pub row: u64,
    /// The process that has sent it.
    pub process: u64,
    /// The node that it is for; `None` if it is for all.
    pub node: Option<ByteString>,
    /// What it says, or why this version cannot read it.
    pub message: Result<Message, MessageError>,
}

/// A session of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteSession {
    /// The session, or why this version cannot read it.
    pub session: Result<StoredSession, MessageError>,
    /// How long it is kept.
    pub expires_in: Duration,
}

/// A process that uses the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteProcess {
    /// Its number.
    pub id: u64,
    /// The name of the socket that wakes it.
    pub socket: ByteString,
}

impl Sqlite {
    /// Reads a row of [`read`](Self::read). `after` is the row before it, or the one that was asked
    /// for.
    ///
    /// # Errors
    ///
    /// [`SqliteRowError`] if the file is damaged. Nothing of it can be trusted then.
    pub fn entry(
        &self,
        head: &SqliteHead,
        after: u64,
        columns: &[SqliteValue],
    ) -> Result<SqliteEntry, SqliteRowError> {
        let [row, bytes, at, sum, message] = columns else { return Err(SqliteRowError::Shape) };
        let number = |value: &SqliteValue| value.as_number().ok_or(SqliteRowError::Shape);
        let (row, bytes, at) = (number(row)?, number(bytes)?, number(at)?);
        let message = message.as_blob().ok_or(SqliteRowError::Shape)?;
        if sum.as_bits() != Some(checksum([head.epoch, row, bytes, at], message)) {
            return Err(SqliteRowError::Checksum);
        }
        if after.checked_add(1) != Some(row) {
            return Err(SqliteRowError::Missing);
        }
        Ok(SqliteEntry {
            row,
            position: Offset::pair(head.epoch, row),
            message: self.check_len(message.len()).and_then(|()| Message::from_msgpack(message)),
            len: message.len(),
        })
    }

    /// Reads a row of [`fetch`](Self::fetch) or [`take`](Self::take). `None` if the session has
    /// expired.
    ///
    /// # Errors
    ///
    /// As [`entry`](Self::entry).
    pub fn session(
        &self,
        now: u64,
        columns: &[SqliteValue],
    ) -> Result<Option<SqliteSession>, SqliteRowError> {
        let [pid, expires, sum, session] = columns else { return Err(SqliteRowError::Shape) };
        let pid = pid.as_text().ok_or(SqliteRowError::Shape)?;
        let expires = expires.as_number().ok_or(SqliteRowError::Shape)?;
        let session = session.as_blob().ok_or(SqliteRowError::Shape)?;
        if sum.as_bits() != Some(checksum([expires], session)) {
            return Err(SqliteRowError::Checksum);
        }
        let session =
            self.check_len(session.len()).and_then(|()| StoredSession::from_msgpack(session));
        if session.as_ref().is_ok_and(|session| session.pid.expose() != pid) {
            return Err(SqliteRowError::Checksum);
        }
        let left = expires.checked_sub(now).filter(|left| *left > 0);
        let expires_in = left.map(Duration::from_millis);
        Ok(expires_in.map(|expires_in| SqliteSession { session, expires_in }))
    }

    /// Reads a row of [`read_published`](Self::read_published).
    ///
    /// # Errors
    ///
    /// [`SqliteRowError::Shape`].
    pub fn published(&self, columns: &[SqliteValue]) -> Result<SqlitePublished, SqliteRowError> {
        let [row, process, node, message] = columns else { return Err(SqliteRowError::Shape) };
        let message = message.as_blob().ok_or(SqliteRowError::Shape)?;
        Ok(SqlitePublished {
            row: row.as_number().ok_or(SqliteRowError::Shape)?,
            process: process.as_number().ok_or(SqliteRowError::Shape)?,
            node: node.as_text().map(ByteString::from),
            message: self.check_len(message.len()).and_then(|()| Message::from_msgpack(message)),
        })
    }

    /// Reads a row of [`processes`](Self::processes).
    ///
    /// # Errors
    ///
    /// [`SqliteRowError::Shape`].
    pub fn process(columns: &[SqliteValue]) -> Result<SqliteProcess, SqliteRowError> {
        let [id, socket] = columns else { return Err(SqliteRowError::Shape) };
        Ok(SqliteProcess {
            id: id.as_number().ok_or(SqliteRowError::Shape)?,
            socket: socket.as_text().ok_or(SqliteRowError::Shape)?.into(),
        })
    }

    /// Reads a row with one number.
    ///
    /// # Errors
    ///
    /// [`SqliteRowError::Shape`].
    pub fn number(columns: &[SqliteValue]) -> Result<u64, SqliteRowError> {
        match columns {
            [number] => number.as_number().ok_or(SqliteRowError::Shape),
            _ => Err(SqliteRowError::Shape),
        }
    }
}
