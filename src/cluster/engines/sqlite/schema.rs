//! The tables, and how the tables of an earlier version become those of this one.

use thiserror::Error;

use super::SqliteStatement;

/// What `PRAGMA application_id` says of a file of this engine: `SIOP` in ASCII.
pub const APPLICATION_ID: i64 = 0x5349_4f50;

/// The version of the tables, in `PRAGMA user_version`. 0 is an empty file.
pub const SCHEMA_VERSION: i64 = 1;

/// The tables of each version, made of those of the version before. What is published is not changed
/// any more: a later version gets an item of its own.
const STEPS: [&str; 1] = ["
    CREATE TABLE channel (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        epoch INTEGER NOT NULL,
        head INTEGER NOT NULL,
        trimmed INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        published INTEGER NOT NULL,
        commits INTEGER NOT NULL,
        sessions INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entries (
        row INTEGER PRIMARY KEY,
        bytes INTEGER NOT NULL,
        at INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        message BLOB NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        pid TEXT NOT NULL UNIQUE,
        expires INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        session BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_expiry ON sessions (expires);
    CREATE TABLE published (
        row INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        process INTEGER NOT NULL,
        node TEXT,
        message BLOB NOT NULL
    ) STRICT;
    CREATE TABLE processes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        socket TEXT NOT NULL
    ) STRICT;
"];

/// The file cannot be used by this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A later version of this crate has written it.
    #[error(
        "the file has version {version} of the tables, and this program knows {SCHEMA_VERSION}"
    )]
    Newer {
        /// The version in the file.
        version: i64,
    },
    /// It is a database of another program.
    #[error("the file is a database of another application")]
    OtherApplication,
}

/// Returns the scripts that make the tables of this version, in order. Run them in one transaction,
/// and set `application_id` and `user_version` in it.
///
/// `application_id` and `version` are what the two pragmas say. `tables` is how many tables there are.
///
/// # Errors
///
/// [`SchemaError`]. Nothing may be changed in the file then.
///
/// ```
/// use socketio_proto::cluster::engines::sqlite::{
///     APPLICATION_ID, SCHEMA_VERSION, SchemaError, migrate,
/// };
///
/// assert_eq!(migrate(0, 0, 0)?.len(), 1, "a new file");
/// assert_eq!(migrate(APPLICATION_ID, SCHEMA_VERSION, 5)?.len(), 0, "nothing to do");
/// assert_eq!(migrate(0, 0, 3), Err(SchemaError::OtherApplication));
/// assert_eq!(migrate(APPLICATION_ID, 9, 5), Err(SchemaError::Newer { version: 9 }));
/// # Ok::<(), SchemaError>(())
/// ```
pub fn migrate(
    application_id: i64,
    version: i64,
    tables: u64,
) -> Result<&'static [&'static str], SchemaError> {
    migrate_by(&STEPS, (application_id, version, tables))
}

/// The same with any steps. Each makes the tables of the next version.
fn migrate_by<'a>(
    steps: &'a [&'a str],
    (application_id, version, tables): (i64, i64, u64),
) -> Result<&'a [&'a str], SchemaError> {
    let is_new = application_id == 0 && version == 0 && tables == 0;
    if !is_new && application_id != APPLICATION_ID {
        return Err(SchemaError::OtherApplication);
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    steps.get(done..).ok_or(SchemaError::Newer { version })
}

/// Asks how many tables there are.
pub fn count_tables() -> SqliteStatement {
    SqliteStatement::new("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_the_steps_that_it_has_not_had() {
        let steps = ["to 1", "to 2", "to 3"];
        let migrate = |version| migrate_by(&steps, (APPLICATION_ID, version, 5));
        assert_eq!(migrate_by(&steps, (0, 0, 0)), Ok(&steps[..]), "a new file");
        assert_eq!(migrate(1), Ok(&steps[1..]));
        assert_eq!(migrate(2), Ok(&steps[2..]));
        assert_eq!(migrate(3), Ok(&steps[3..]));
        for newer in [4, i64::MAX, -1] {
            assert_eq!(migrate(newer), Err(SchemaError::Newer { version: newer }));
        }
    }

    #[test]
    fn the_last_step_makes_the_tables_of_this_version() {
        assert_eq!(i64::try_from(STEPS.len()), Ok(SCHEMA_VERSION));
    }
}
