//! What a node does, as statements.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    PostgresOptions, PostgresSchema, PostgresStatement, PostgresValue, sql::Sql, value::int8,
};
use crate::{
    ConfigError, RecoveryKey,
    cluster::message::{MessageError, NodeId, StoredSession},
};

/// Makes statements, and reads rows and notifications.
#[derive(Clone, Debug)]
pub struct Postgres {
    pub(super) options: PostgresOptions,
    sql: Sql,
}

/// A session on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresStore {
    pub(super) pid: ByteString,
    value: Bytes,
    ms: u64,
    version: u64,
    replaces: Option<u64>,
}

impl PostgresStore {
    /// Whether it replaces only a certain version.
    pub const fn is_conditional(&self) -> bool {
        self.replaces.is_some()
    }
}

impl Postgres {
    /// Makes it with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a limit is zero, the prefix of the channels is empty or longer
    /// than 32 bytes, or the name of a table is too long or needs quotes.
    pub fn new(options: PostgresOptions) -> Result<Self, ConfigError> {
        options.validate()?;
        let sql = Sql::new(&options);
        Ok(Self { options, sql })
    }

    /// Returns the options.
    pub const fn options(&self) -> &PostgresOptions {
        &self.options
    }

    /// Returns what makes the tables.
    pub fn schema(&self) -> PostgresSchema {
        PostgresSchema::new(&self.options)
    }

    /// Asks which history of which database this is. A copy of it, and a standby that was promoted,
    /// have others. Returns a row with a text.
    pub fn lineage() -> PostgresStatement {
        let sql = ByteString::from_static(
            "SELECT system_identifier || '-' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
            FROM pg_control_system()",
        );
        PostgresStatement::new(&sql, [])
    }

    /// Makes the channel if there is none, and makes it anew if it is of another history: its
    /// positions then begin with another number. Give it eight random bytes. Run both statements.
    pub fn begin(&self, random: [u8; 8], lineage: &str) -> [PostgresStatement; 2] {
        // 40 bits: the epoch is in every event that clients receive.
        let epoch = u64::from_le_bytes(random) >> 24;
        [&self.sql.begin, &self.sql.renew].map(|sql| {
            let parameters = [PostgresValue::number(epoch), PostgresValue::text(lineage)];
            PostgresStatement::new(sql, parameters)
        })
    }

    /// Asks where the channel begins and ends. Read the row with
    /// [`PostgresHead::from_row`](super::PostgresHead::from_row).
    pub fn head(&self) -> PostgresStatement {
        PostgresStatement::new(&self.sql.head, [])
    }

    /// Reads the entries behind this one, in order. Read each row with [`row`](Self::row).
    pub fn read(&self, after: u64) -> PostgresStatement {
        PostgresStatement::new(&self.sql.read, [PostgresValue::number(after)])
    }

    /// Sets a mark in the order of the notifications, from which on nodes count those of others.
    /// Returns a row that begins with its number, or none if the channel was made anew. See
    /// [`PostgresNotification::Woken`](super::PostgresNotification::Woken).
    pub fn anchor(&self, epoch: u64) -> PostgresStatement {
        let parameters = [PostgresValue::number(epoch), PostgresValue::text(&self.wake_channel())];
        PostgresStatement::new(&self.sql.anchor, parameters)
    }

    /// Deletes the entries that are kept no longer.
    pub fn trim(&self) -> PostgresStatement {
        let PostgresOptions { max_len, max_bytes, max_age, .. } = self.options;
        let limits = [max_len, max_bytes, ms(max_age)];
        PostgresStatement::new(&self.sql.trim, limits.map(PostgresValue::number))
    }

    /// Deletes what was attached to notifications, after 30 seconds, as official nodes do.
    pub fn sweep_attachments(&self) -> PostgresStatement {
        PostgresStatement::new(&self.sql.sweep_attachments, [])
    }

    /// Deletes sessions that have expired, up to 1,000 at a time.
    pub fn sweep_sessions(&self) -> PostgresStatement {
        PostgresStatement::new(&self.sql.sweep_sessions, [])
    }

    /// Prepares a session, which expires after `expires_in`. If `replaces` is a version, it is to
    /// [replace](Self::replace) this one only.
    ///
    /// # Errors
    ///
    /// [`MessageError::TooDeep`] and [`MessageError::TooLarge`].
    pub fn to_store(
        &self,
        session: &StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> Result<PostgresStore, MessageError> {
        let value = session.to_msgpack()?;
        self.check_len(value.len())?;
        let pid = session.pid.expose().into();
        // The session has no version if an official node has written it, and none of those does.
        let version = session.version.unwrap_or_default();
        Ok(PostgresStore { pid, value, ms: stored_ms(expires_in), version, replaces })
    }

    /// Stores sessions, whatever is there. No two have the same private id.
    pub fn store(&self, sessions: &[PostgresStore]) -> PostgresStatement {
        PostgresStatement::new(&self.sql.store, stored(sessions))
    }

    /// Replaces exactly the versions that the sessions name. No two have the same private id. Returns a
    /// row with its private id for each that was stored. The others were superseded.
    pub fn replace(&self, sessions: &[PostgresStore]) -> PostgresStatement {
        let [pids, times, values, versions] = stored(sessions);
        let replaced = sessions.iter().map(|it| it.replaces.unwrap_or_default().cast_signed());
        let replaced = PostgresValue::Int8Array(replaced.collect());
        PostgresStatement::new(&self.sql.replace, [pids, times, values, versions, replaced])
    }

    /// Reads sessions, and leaves them where they are. Read each row with
    /// [`session`](Self::session). There is none for a session that is not there.
    pub fn fetch(&self, keys: &[RecoveryKey]) -> PostgresStatement {
        PostgresStatement::new(&self.sql.fetch, [pids(keys)])
    }

    /// Removes the sessions that have these versions, and reads them as [`fetch`](Self::fetch) does. Of
    /// several nodes that try, one gets each. There is no row for a session that has another version.
    pub fn take(&self, sessions: &[(RecoveryKey, Option<u64>)]) -> PostgresStatement {
        let (keys, versions): (Vec<_>, Vec<_>) = sessions.iter().copied().unzip();
        let versions = versions.into_iter().map(|it| it.unwrap_or_default().cast_signed());
        let versions = PostgresValue::Int8Array(versions.collect());
        PostgresStatement::new(&self.sql.take, [pids(&keys), versions])
    }

    /// Reads what was attached to a notification. Read the row with
    /// [`attached`](Self::attached).
    pub fn attachment(&self, id: u64) -> PostgresStatement {
        PostgresStatement::new(&self.sql.attachment, [PostgresValue::number(id)])
    }

    /// Asks which connection this is: its number, and when it was made.
    pub fn connection() -> PostgresStatement {
        let sql = "SELECT pid::bigint, backend_start::text FROM pg_stat_activity
            WHERE pid = pg_backend_pid()";
        PostgresStatement::new(&ByteString::from_static(sql), [])
    }

    /// Ends an earlier connection, and waits up to 5 seconds until it has ended. What it has sent
    /// takes effect before that, or never. Returns no row if there is no such connection any longer.
    pub fn end_connection(id: u64, made: &str) -> PostgresStatement {
        let sql = "SELECT pg_terminate_backend(pid, 5000)::int::bigint FROM pg_stat_activity
            WHERE pid = $1::bigint AND backend_start::text = $2";
        let parameters = [PostgresValue::number(id), PostgresValue::text(made)];
        PostgresStatement::new(&ByteString::from_static(sql), parameters)
    }

    pub(super) fn append_statement<const N: usize>(
        &self,
        parameters: [PostgresValue; N],
    ) -> PostgresStatement {
        PostgresStatement::new(&self.sql.append, parameters)
    }

    pub(super) fn import_statement<const N: usize>(
        &self,
        parameters: [PostgresValue; N],
    ) -> PostgresStatement {
        PostgresStatement::new(&self.sql.import, parameters)
    }

    pub(super) fn notify_statement<const N: usize>(
        &self,
        parameters: [PostgresValue; N],
    ) -> PostgresStatement {
        PostgresStatement::new(&self.sql.notify, parameters)
    }

    pub(super) fn check_len(&self, len: usize) -> Result<(), MessageError> {
        let limit = self.options.max_message_bytes;
        if len > limit { Err(MessageError::TooLarge { limit }) } else { Ok(()) }
    }

    /// Whether a message is for this node.
    pub(super) fn is_for(to: Option<&ByteString>, node: &NodeId) -> bool {
        to.is_none_or(|to| **to == *node.as_str())
    }
}

fn pids(keys: &[RecoveryKey]) -> PostgresValue {
    PostgresValue::TextArray(keys.iter().map(|key| Some(key.expose().into())).collect::<Vec<_>>())
}

fn stored(sessions: &[PostgresStore]) -> [PostgresValue; 4] {
    let values = sessions.iter().map(|it| Some(it.value.clone()));
    // All bits of a version count, so its sign does not.
    let versions = sessions.iter().map(|it| it.version.cast_signed());
    [
        PostgresValue::TextArray(sessions.iter().map(|it| Some(it.pid.clone())).collect()),
        PostgresValue::Int8Array(sessions.iter().map(|it| int8(it.ms)).collect()),
        PostgresValue::ByteaArray(values.collect()),
        PostgresValue::Int8Array(versions.collect()),
    ]
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// At least one, and no more than PostgreSQL can count from now on.
fn stored_ms(duration: Duration) -> u64 {
    ms(duration).clamp(1, u64::from(u32::MAX) * 1000)
}
