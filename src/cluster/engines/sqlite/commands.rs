//! What a node does, as statements.

use core::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::{SqliteHead, SqliteOptions, SqliteStatement, SqliteValue, checksum::checksum};
use crate::{
    ConfigError, Entropy, RecoveryKey,
    cluster::{
        ClusterConfig, Durability,
        message::{Message, MessageError, NodeId, StoredSession},
    },
};

/// Makes statements and reads rows. Times are milliseconds since the UNIX epoch, by the clock of the
/// system, which all processes share.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pub(super) options: SqliteOptions,
}

impl Sqlite {
    /// Makes it with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a limit is zero.
    pub fn new(options: SqliteOptions) -> Result<Self, ConfigError> {
        options.validate()?;
        Ok(Self { options })
    }

    /// Returns the default settings of a node over SQLite, with a random name. They are those of
    /// [`ClusterConfig::from_entropy`], but with [`Durability::OnChange`]: a write costs little here, and a
    /// crash of the process loses no session.
    ///
    /// ```
    /// use socketio_proto::cluster::{Durability, engines::sqlite::Sqlite};
    ///
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7); // Use a real generator in production.
    /// let config = Sqlite::cluster_config(&mut entropy);
    /// assert_eq!(config.durability, Durability::OnChange);
    /// ```
    pub fn cluster_config(entropy: &mut dyn Entropy) -> ClusterConfig {
        ClusterConfig::from_entropy(entropy).durability(Durability::OnChange)
    }

    /// Returns the options.
    pub const fn options(&self) -> &SqliteOptions {
        &self.options
    }

    /// Appends an entry to the channel, in a transaction that has read `head` and writes it in the
    /// end. The position of the entry is then [`head.latest()`](SqliteHead::latest).
    ///
    /// # Errors
    ///
    /// Report each of them to the node with
    /// [`ClusterInput::Rejected`](crate::cluster::ClusterInput::Rejected). `head` is as before.
    ///
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 128 deep.
    /// * [`MessageError::TooLarge`] if it is larger than
    ///   [`max_message_bytes`](SqliteOptions::max_message_bytes).
    pub fn append(
        &self,
        head: &mut SqliteHead,
        now: u64,
        message: &Message,
    ) -> Result<SqliteStatement, MessageError> {
        let message = message.to_msgpack()?;
        self.check_len(message.len())?;
        head.head = head.head.saturating_add(1);
        head.bytes = head.bytes.saturating_add(message.len() as u64);
        let (row, bytes) = (head.head, head.bytes);
        let sum = checksum([head.epoch, row, bytes, now], &message);
        let sql =
            "INSERT INTO entries (row, bytes, at, checksum, message) VALUES (?1, ?2, ?3, ?4, ?5)";
        Ok(SqliteStatement::new(
            sql,
            [
                SqliteValue::number(row),
                SqliteValue::number(bytes),
                SqliteValue::number(now),
                SqliteValue::bits(sum),
                SqliteValue::Blob(message),
            ],
        ))
    }

    /// Reads the entries behind a row, in order. Read each row with
    /// [`entry`](Self::entry), and stop when it is enough for one step.
    pub fn read(after: u64) -> SqliteStatement {
        let sql =
            "SELECT row, bytes, at, checksum, message FROM entries WHERE row > ?1 ORDER BY row";
        SqliteStatement::new(sql, [SqliteValue::number(after)])
    }

    /// Asks for the first entry that is kept. If there is no row, only the latest one is. It looks at
    /// no more entries than [`trim`](Self::trim) then deletes.
    pub fn first_kept(&self, head: &SqliteHead, now: u64) -> SqliteStatement {
        let SqliteOptions { max_len, max_bytes, max_age, .. } = self.options;
        let sql = "SELECT row FROM entries
            WHERE row > ?1 AND row > ?2 AND bytes > ?3 AND at >= ?4 ORDER BY row LIMIT 1";
        SqliteStatement::new(
            sql,
            [
                SqliteValue::number(head.trimmed),
                SqliteValue::number(head.head.saturating_sub(max_len)),
                SqliteValue::number(head.bytes.saturating_sub(max_bytes)),
                SqliteValue::number(now.saturating_sub(ms(max_age))),
            ],
        )
    }

    /// Deletes the entries before this row. The latest one stays. `None` if there is nothing to
    /// delete.
    pub fn trim(head: &mut SqliteHead, first_kept: Option<u64>) -> Option<SqliteStatement> {
        let first_kept = first_kept.unwrap_or(head.head).min(head.head);
        let trimmed = first_kept.checked_sub(1).filter(|row| *row > head.trimmed)?;
        head.trimmed = trimmed;
        let sql = "DELETE FROM entries WHERE row <= ?1";
        Some(SqliteStatement::new(sql, [SqliteValue::number(trimmed)]))
    }

    /// Stores a session, which expires after `expires_in`. If `replaces` is a version, replaces this
    /// one only: if the statement then returns no row, the session was superseded. Ask for
    /// [`stored`](Self::stored) before, and give both rows to
    /// [`SqliteHead::note_session`].
    ///
    /// # Errors
    ///
    /// [`MessageError::TooDeep`] and [`MessageError::TooLarge`], as with [`append`](Self::append).
    pub fn store(
        &self,
        now: u64,
        session: &StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> Result<SqliteStatement, MessageError> {
        let value = session.to_msgpack()?;
        self.check_len(value.len())?;
        let expires = now.saturating_add(ms(expires_in).max(1));
        let sum = checksum([expires], &value);
        if let Some(replaced) = replaces {
            let sql = "UPDATE sessions SET expires = ?1, checksum = ?2, session = ?3
                WHERE pid = ?4 AND expires > ?5 AND substr(session, -9) = ?6
                RETURNING checksum";
            let end = StoredSession::version_end(replaced);
            return Ok(SqliteStatement::new(
                sql,
                [
                    SqliteValue::number(expires),
                    SqliteValue::bits(sum),
                    SqliteValue::Blob(value),
                    text(session.pid.expose()),
                    SqliteValue::number(now),
                    SqliteValue::Blob(end.to_vec().into()),
                ],
            ));
        }
        let sql = "INSERT INTO sessions (pid, expires, checksum, session) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (pid) DO UPDATE SET
            expires = excluded.expires, checksum = excluded.checksum, session = excluded.session
            RETURNING checksum";
        Ok(SqliteStatement::new(
            sql,
            [
                text(session.pid.expose()),
                SqliteValue::number(expires),
                SqliteValue::bits(sum),
                SqliteValue::Blob(value),
            ],
        ))
    }

    /// Asks for what [`store`](Self::store) may replace. There is no row if there is no such session.
    pub fn stored(pid: &RecoveryKey) -> SqliteStatement {
        let sql = "SELECT checksum FROM sessions WHERE pid = ?1";
        SqliteStatement::new(sql, [text(pid.expose())])
    }

    /// Reads a session, and leaves it where it is. Read the row, if there is one, with
    /// [`session`](Self::session).
    pub fn fetch(pid: &RecoveryKey) -> SqliteStatement {
        let sql = "SELECT pid, expires, checksum, session FROM sessions WHERE pid = ?1";
        SqliteStatement::new(sql, [text(pid.expose())])
    }

    /// Removes a session if it has this version, and reads it as [`fetch`](Self::fetch) does. Of several
    /// nodes that try, one gets it. If there is no row, it has another version, or there is none.
    /// Give the row to [`SqliteHead::note_session`], too.
    pub fn take(pid: &RecoveryKey, version: Option<u64>) -> SqliteStatement {
        let Some(version) = version else {
            let sql = "DELETE FROM sessions WHERE pid = ?1 AND substr(session, -30, 21) <> ?2
                RETURNING pid, expires, checksum, session";
            let mark = Bytes::from_static(StoredSession::VERSION_MARK);
            return SqliteStatement::new(sql, [text(pid.expose()), SqliteValue::Blob(mark)]);
        };
        let sql = "DELETE FROM sessions WHERE pid = ?1 AND substr(session, -9) = ?2
            RETURNING pid, expires, checksum, session";
        let end = StoredSession::version_end(version).to_vec();
        SqliteStatement::new(sql, [text(pid.expose()), SqliteValue::Blob(end.into())])
    }

    /// Removes sessions that have expired, up to 1,000 at a time. Give each row to
    /// [`SqliteHead::note_session`].
    pub fn sweep_sessions(now: u64) -> SqliteStatement {
        let sql = "DELETE FROM sessions WHERE id IN
            (SELECT id FROM sessions WHERE expires <= ?1 ORDER BY expires LIMIT 1000)
            RETURNING checksum";
        SqliteStatement::new(sql, [SqliteValue::number(now)])
    }

    /// Reads all sessions, to check them. Read each row with [`session`](Self::session), and add all of
    /// them up with [`SqliteHead::note_session`].
    pub fn all_sessions() -> SqliteStatement {
        SqliteStatement::new("SELECT pid, expires, checksum, session FROM sessions", [])
    }

    /// Publishes a message to all other processes, or to the node `to`, in a transaction that has
    /// read `head` and writes it in the end. Without other processes it need not be written.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn publish(
        &self,
        head: &mut SqliteHead,
        now: u64,
        process: u64,
        (to, message): (Option<&NodeId>, &Message),
    ) -> Result<SqliteStatement, MessageError> {
        let message = message.to_msgpack()?;
        self.check_len(message.len())?;
        head.published = head.published.saturating_add(1);
        let sql =
            "INSERT INTO published (row, at, process, node, message) VALUES (?1, ?2, ?3, ?4, ?5)";
        Ok(SqliteStatement::new(
            sql,
            [
                SqliteValue::number(head.published),
                SqliteValue::number(now),
                SqliteValue::number(process),
                to.map_or(SqliteValue::Null, |node| text(node.as_str())),
                SqliteValue::Blob(message),
            ],
        ))
    }

    /// Reads the published messages behind a row, in order. Read each row with
    /// [`published`](Self::published).
    pub fn read_published(after: u64) -> SqliteStatement {
        let sql = "SELECT row, process, node, message FROM published WHERE row > ?1 ORDER BY row";
        SqliteStatement::new(sql, [SqliteValue::number(after)])
    }

    /// Deletes published messages that have waited long enough.
    pub fn sweep_published(&self, head: &SqliteHead, now: u64) -> SqliteStatement {
        let SqliteOptions { published_len, published_age, .. } = self.options;
        let sql = "DELETE FROM published WHERE row <= ?1 OR row <
            coalesce((SELECT row FROM published WHERE at >= ?2 ORDER BY row LIMIT 1), ?3)";
        SqliteStatement::new(
            sql,
            [
                SqliteValue::number(head.published.saturating_sub(published_len)),
                SqliteValue::number(now.saturating_sub(ms(published_age))),
                SqliteValue::number(head.published.saturating_add(1)),
            ],
        )
    }

    /// Adds a process, which others wake through this socket. Returns a row with its number, which
    /// no other process gets later.
    pub fn enter(socket: &str) -> SqliteStatement {
        SqliteStatement::new(
            "INSERT INTO processes (socket) VALUES (?1) RETURNING id",
            [text(socket)],
        )
    }

    /// Removes a process.
    pub fn leave(process: u64) -> SqliteStatement {
        let process = SqliteValue::number(process);
        SqliteStatement::new("DELETE FROM processes WHERE id = ?1", [process])
    }

    /// Removes all processes. For one that knows that it is alone.
    pub fn leave_all() -> SqliteStatement {
        SqliteStatement::new("DELETE FROM processes", [])
    }

    /// Reads the processes. Read each row with [`process`](Self::process).
    pub fn processes() -> SqliteStatement {
        SqliteStatement::new("SELECT id, socket FROM processes", [])
    }

    pub(super) fn check_len(&self, len: usize) -> Result<(), MessageError> {
        let limit = self.options.max_message_bytes;
        if len > limit { Err(MessageError::TooLarge { limit }) } else { Ok(()) }
    }
}

fn text(text: &str) -> SqliteValue {
    SqliteValue::Text(ByteString::from(text))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
