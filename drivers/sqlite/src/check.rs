//! Checks a whole file, so that a damaged one is never used half.

use std::ops::ControlFlow;

use socketio_proto::cluster::engines::sqlite::{Sqlite, SqliteHead, SqliteValue};

use crate::{clock::unix_ms, database::Database, error::SqliteError};

/// Reads everything that is in the file. Takes about 3 seconds per gigabyte.
pub(crate) fn check(
    database: &Database,
    sqlite: &Sqlite,
    head: &SqliteHead,
) -> Result<(), SqliteError> {
    let structure: String =
        database.0.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if structure != "ok" {
        return Err(SqliteError::Damaged { what: structure });
    }
    let mut last = head.trimmed;
    database.query(&Sqlite::read(head.trimmed), |row| {
        last = sqlite.entry(head, last, row)?.row;
        Ok(ControlFlow::Continue(()))
    })?;
    if last != head.head {
        return Err(SqliteError::Damaged { what: "entries are missing".into() });
    }
    let now = unix_ms();
    let mut found = *head;
    found.sessions = 0;
    database.query(&Sqlite::all_sessions(), |row: &[SqliteValue]| {
        sqlite.session(now, row)?;
        found.note_session(None, Some(row))?;
        Ok(ControlFlow::Continue(()))
    })?;
    if found.sessions != head.sessions {
        // Each is as it was written, but not all of them are the latest.
        return Err(SqliteError::Damaged { what: "sessions are of another time".into() });
    }
    Ok(())
}
