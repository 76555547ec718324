//! Runs statements.

use std::ops::ControlFlow;

use rusqlite::{
    CachedStatement, Connection, Row, ToSql,
    types::{ToSqlOutput, ValueRef},
};
use socketio_proto::cluster::engines::sqlite::{Sqlite, SqliteHead, SqliteStatement, SqliteValue};

use crate::error::SqliteError;

/// A connection that runs what the engine says.
pub(crate) struct Database(pub(crate) Connection);

/// What a query wants after a row.
pub(crate) type Next = Result<ControlFlow<()>, SqliteError>;

impl Database {
    /// Runs a statement that returns nothing. Returns how many rows it has changed.
    pub(crate) fn execute(&self, statement: &SqliteStatement) -> Result<usize, SqliteError> {
        let mut prepared = self.prepare(statement)?;
        Ok(prepared.execute(parameters(statement))?)
    }

    /// Runs a query, until `each` has seen enough.
    pub(crate) fn query(
        &self,
        statement: &SqliteStatement,
        mut each: impl FnMut(&[SqliteValue]) -> Next,
    ) -> Result<(), SqliteError> {
        let mut prepared = self.prepare(statement)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(parameters(statement))?;
        let mut values = Vec::with_capacity(columns);
        while let Some(row) = rows.next()? {
            values.clear();
            for column in 0..columns {
                values.push(value(row, column)?);
            }
            if each(&values)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Closes the connection.
    pub(crate) fn close(self) -> Result<(), SqliteError> {
        self.0.close().map_err(|(_, error)| error.into())
    }

    /// Runs a query for one row. `None` if there is none.
    pub(crate) fn row(
        &self,
        statement: &SqliteStatement,
    ) -> Result<Option<Vec<SqliteValue>>, SqliteError> {
        let mut found = None;
        self.query(statement, |row| {
            found = Some(row.to_vec());
            // A statement that changes something runs to its end.
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Runs a query for one row with one number. `None` if there is none.
    pub(crate) fn number(&self, statement: &SqliteStatement) -> Result<Option<u64>, SqliteError> {
        let row = self.row(statement)?;
        Ok(row.map(|row| Sqlite::number(&row)).transpose()?)
    }

    /// Reads where the channel begins and ends.
    pub(crate) fn head(&self) -> Result<SqliteHead, SqliteError> {
        let row = self.row(&SqliteHead::read())?;
        let row = row.ok_or_else(|| SqliteError::Damaged { what: "no head".into() })?;
        Ok(SqliteHead::from_row(&row)?)
    }

    /// Does something in one transaction, which lasts if `body` says so.
    pub(crate) fn transaction<R>(
        &self,
        begin: &str,
        body: impl FnOnce() -> Result<(R, bool), SqliteError>,
    ) -> Result<R, SqliteError> {
        self.0.prepare_cached(begin)?.execute([])?;
        let done = body().and_then(|(result, lasts)| {
            let end = if lasts { "COMMIT" } else { "ROLLBACK" };
            self.0.prepare_cached(end)?.execute([])?;
            Ok(result)
        });
        if done.is_err() && !self.0.is_autocommit() {
            self.0.execute_batch("ROLLBACK").ok();
        }
        done
    }

    fn prepare(&self, statement: &SqliteStatement) -> rusqlite::Result<CachedStatement<'_>> {
        self.0.prepare_cached(statement.sql())
    }
}

struct Parameter<'a>(&'a SqliteValue);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            SqliteValue::Integer(number) => ValueRef::Integer(*number),
            SqliteValue::Text(text) => ValueRef::Text(text.as_bytes()),
            SqliteValue::Blob(bytes) => ValueRef::Blob(bytes),
            _ => ValueRef::Null,
        }))
    }
}

fn parameters(
    statement: &SqliteStatement,
) -> rusqlite::ParamsFromIter<impl Iterator<Item = Parameter<'_>>> {
    rusqlite::params_from_iter(statement.parameters().iter().map(Parameter))
}

/// A value that the engine never writes becomes nothing, and then is a row of another shape.
fn value(row: &Row<'_>, column: usize) -> Result<SqliteValue, SqliteError> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => SqliteValue::Integer(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => SqliteValue::Text(text.into()),
            Err(_) => SqliteValue::Null,
        },
        ValueRef::Blob(bytes) => SqliteValue::Blob(bytes.to_vec().into()),
        ValueRef::Null | ValueRef::Real(_) => SqliteValue::Null,
    })
}
