//! Where the channel of a file begins and ends.

use super::{SqliteRowError, SqliteStatement, SqliteValue, checksum::checksum};
use crate::recovery::Offset;

/// Where the channel of a file begins and ends. The file has one, and each transaction that writes
/// reads it first, and writes it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteHead {
    /// Tells this file from every other, so that offsets of another file are refused. Drawn when the
    /// file is made. The first number of each position.
    pub epoch: u64,
    /// The row of the latest entry, and the second number of its position. 0 if there was none yet.
    pub head: u64,
    /// The entries up to this row were deleted.
    pub trimmed: u64,
    /// The size of all entries that there have ever been.
    pub bytes: u64,
    /// The row of the latest message that was published.
    pub published: u64,
    /// How many transactions have written to the file. If a file has fewer than it had, its latest
    /// transactions are lost.
    pub commits: u64,
    /// The checksums of all sessions in the file, added up. If those in the file have another sum,
    /// some of them are of another time than the rest of the file.
    pub sessions: u64,
}

impl SqliteHead {
    /// The head of a new file, with eight random bytes.
    pub fn new(random: [u8; 8]) -> Self {
        // 40 bits: the epoch is in every event that clients receive.
        let epoch = u64::from_le_bytes(random) >> 24;
        Self { epoch, head: 0, trimmed: 0, bytes: 0, published: 0, commits: 0, sessions: 0 }
    }

    /// Every entry after this position can be read.
    pub const fn oldest(&self) -> Offset {
        Offset::pair(self.epoch, self.trimmed)
    }

    /// The position of the latest entry.
    pub const fn latest(&self) -> Offset {
        Offset::pair(self.epoch, self.head)
    }

    /// Returns the row at a position, if everything after it can be read.
    pub fn row_of(&self, position: Offset) -> Option<u64> {
        let (epoch, row) = position.numbers()?;
        (epoch == self.epoch && (self.trimmed..=self.head).contains(&row)).then_some(row)
    }

    /// Reads the head. There is one row.
    pub fn read() -> SqliteStatement {
        let sql = "SELECT epoch, head, trimmed, bytes, published, commits, sessions, checksum
            FROM channel";
        SqliteStatement::new(sql, [])
    }

    /// Reads the row that [`read`](Self::read) returns.
    ///
    /// # Errors
    ///
    /// [`SqliteRowError`] if it is damaged. Nothing in the file can be trusted then.
    pub fn from_row(row: &[SqliteValue]) -> Result<Self, SqliteRowError> {
        let [epoch, head, trimmed, bytes, published, commits, sessions, sum] = row else {
            return Err(SqliteRowError::Shape);
        };
        let number = |value: &SqliteValue| value.as_number().ok_or(SqliteRowError::Shape);
        let read = Self {
            epoch: number(epoch)?,
            head: number(head)?,
            trimmed: number(trimmed)?,
            bytes: number(bytes)?,
            published: number(published)?,
            commits: number(commits)?,
            sessions: sessions.as_bits().ok_or(SqliteRowError::Shape)?,
        };
        if sum.as_bits() != Some(read.checksum()) || read.trimmed > read.head {
            return Err(SqliteRowError::Checksum);
        }
        Ok(read)
    }

    /// Writes the head: the last statement of each transaction that has changed something.
    pub fn write(&mut self) -> SqliteStatement {
        self.commits = self.commits.saturating_add(1);
        let sql = "INSERT OR REPLACE INTO channel
            (id, epoch, head, trimmed, bytes, published, commits, sessions, checksum)
            VALUES (0, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let [epoch, head, trimmed, bytes, published, commits, sessions] = self.numbers();
        SqliteStatement::new(
            sql,
            [
                SqliteValue::number(epoch),
                SqliteValue::number(head),
                SqliteValue::number(trimmed),
                SqliteValue::number(bytes),
                SqliteValue::number(published),
                SqliteValue::number(commits),
                SqliteValue::bits(sessions),
                SqliteValue::bits(self.checksum()),
            ],
        )
    }

    /// Notes what has happened to a session in this transaction. `before` is the row of
    /// [`stored`](super::Sqlite::stored) before that, `after` the row that
    /// [`store`](super::Sqlite::store) has returned. Each row that [`take`](super::Sqlite::take) or
    /// [`sweep_sessions`](super::Sqlite::sweep_sessions) returns is one before, with nothing after it.
    ///
    /// # Errors
    ///
    /// [`SqliteRowError::Shape`].
    pub fn note_session(
        &mut self,
        before: Option<&[SqliteValue]>,
        after: Option<&[SqliteValue]>,
    ) -> Result<(), SqliteRowError> {
        let sum = |row: Option<&[SqliteValue]>| row.map_or(Ok(0), session_checksum);
        let (before, after) = (sum(before)?, sum(after)?);
        self.sessions = self.sessions.wrapping_sub(before).wrapping_add(after);
        Ok(())
    }

    const fn numbers(&self) -> [u64; 7] {
        let Self { epoch, head, trimmed, bytes, published, commits, sessions } = *self;
        [epoch, head, trimmed, bytes, published, commits, sessions]
    }

    fn checksum(&self) -> u64 {
        checksum(self.numbers(), b"")
    }
}

/// Reads the checksum of a session, from any row that has one.
fn session_checksum(columns: &[SqliteValue]) -> Result<u64, SqliteRowError> {
    match columns {
        [sum] | [_, _, sum, _] => sum.as_bits().ok_or(SqliteRowError::Shape),
        _ => Err(SqliteRowError::Shape),
    }
}
