//! The tables, and how the tables of an earlier version become those of this one.

use alloc::{format, string::String, vec::Vec};

use thiserror::Error;

use super::{PostgresOptions, PostgresStatement, PostgresValue};

/// The version of the tables.
pub const SCHEMA_VERSION: u64 = 1;

/// The tables of each version, made of those of the version before. What is published is not changed
/// any more: a later version gets an item of its own. The single row of the channel is updated with
/// each transaction, so its page has room for many versions of it.
const STEPS: [&str; 1] = ["
    CREATE TABLE {p}_channel (
        id smallint PRIMARY KEY CHECK (id = 0),
        epoch bigint NOT NULL,
        lineage text NOT NULL,
        head bigint NOT NULL DEFAULT 0,
        bytes bigint NOT NULL DEFAULT 0,
        anchor bigint NOT NULL DEFAULT 0,
        trimmed bigint NOT NULL DEFAULT 0,
        trimmed_anchor bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 10);
    CREATE TABLE {p}_entries (
        entry bigint PRIMARY KEY,
        bytes bigint NOT NULL,
        at timestamptz NOT NULL,
        message bytea NOT NULL,
        origin text,
        importer text
    );
    CREATE TABLE {p}_imports (
        anchor bigint NOT NULL,
        channel text NOT NULL,
        number bigint NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (anchor, channel, number)
    );
    CREATE INDEX {p}_imports_by_time ON {p}_imports (at);
    CREATE TABLE {p}_sessions (
        pid text PRIMARY KEY,
        version bigint,
        expires_at timestamptz NOT NULL,
        session bytea NOT NULL
    );
    CREATE INDEX {p}_sessions_by_expiry ON {p}_sessions (expires_at);
    CREATE TABLE IF NOT EXISTS {a} (
        id bigserial UNIQUE,
        created_at timestamptz DEFAULT now(),
        payload bytea
    );
"];

/// A later version of this crate has made the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("the tables have version {version}, and this program knows {SCHEMA_VERSION}")]
pub struct PostgresSchemaError {
    /// Their version.
    pub version: u64,
}

/// Makes the tables, or those of this version out of earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresSchema {
    /// Returns a row if the tables are there, before anything else.
    pub find: PostgresStatement,
    /// Begins the migration, in a transaction: no other node is in its own then.
    pub begin: String,
    /// Returns a row with the version, or none.
    pub version: PostgresStatement,
    scripts: Vec<String>,
    finish: String,
}

impl PostgresSchema {
    pub(super) fn new(options: &PostgresOptions) -> Self {
        let fill = |text: &str| {
            text.replace("{p}", &options.table_prefix).replace("{a}", &options.attachments_table)
        };
        Self {
            find: statement(fill("SELECT 0::bigint WHERE to_regclass('{p}_schema') IS NOT NULL")),
            // Any number that no other application takes for its own purposes.
            begin: fill(
                "SELECT pg_advisory_xact_lock(6075979316270461776);
                CREATE TABLE IF NOT EXISTS {p}_schema (version bigint NOT NULL);",
            ),
            version: statement(fill("SELECT version FROM {p}_schema")),
            scripts: STEPS.map(fill).into(),
            finish: fill(&format!(
                "DELETE FROM {{p}}_schema; INSERT INTO {{p}}_schema (version) VALUES ({SCHEMA_VERSION});"
            )),
        }
    }

    /// Returns the scripts that are still to be run, in order, in the same transaction. `version` is
    /// the row that [`version`](Self#structfield.version) has returned.
    ///
    /// # Errors
    ///
    /// [`PostgresSchemaError`]. Nothing may be changed then.
    pub fn migrate(
        &self,
        version: Option<&[PostgresValue]>,
    ) -> Result<Vec<&str>, PostgresSchemaError> {
        let version = version.and_then(|row| row.first()?.as_number()).unwrap_or_default();
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        let steps = self.scripts.get(done..).ok_or(PostgresSchemaError { version })?;
        let finish = (!steps.is_empty()).then_some(&self.finish);
        Ok(steps.iter().chain(finish).map(String::as_str).collect())
    }
}

fn statement(sql: String) -> PostgresStatement {
    PostgresStatement::new(&sql.into(), [])
}
