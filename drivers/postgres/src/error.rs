//! What goes wrong between a node and PostgreSQL.

use socketio_proto::{
    ConfigError,
    cluster::engines::postgres::{PostgresRowError, PostgresSchemaError},
};
use thiserror::Error;
use tokio_postgres::error::SqlState;

/// Why a connection with PostgreSQL could not be made or used, or was lost.
///
/// While the server runs, the engine closes all of its connections after each of them, and connects
/// again. The text of the latest one is [`EngineStats::last_failure`](socketio_proto_tokio::cluster::EngineStats).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresEngineError {
    /// An option cannot be used.
    #[error("an option cannot be used")]
    Config(#[from] ConfigError),
    /// The URL cannot be used, a connection could not be made or was lost, or PostgreSQL refuses a
    /// statement: the text says why.
    #[error("PostgreSQL")]
    Postgres(#[from] tokio_postgres::Error),
    /// The URL asks for TLS (`sslmode=require`), and this crate was built without the feature `tls`.
    #[error("TLS needs the feature `tls`")]
    WithoutTls,
    /// The certificates of the operating system cannot be read, or TLS cannot use them.
    #[error("TLS: {0}")]
    Tls(Box<str>),
    /// PostgreSQL has closed a connection.
    #[error("PostgreSQL has closed a connection")]
    Closed,
    /// PostgreSQL has not answered in time.
    #[error("no answer in time")]
    TimedOut,
    /// Notifications that this node sends to itself do not arrive. A proxy that shares connections by
    /// transaction does that: the node needs connections of its own.
    #[error("own notifications do not arrive")]
    Deaf,
    /// The database has another encoding than UTF-8.
    #[error("the encoding of the database is {encoding}, and not UTF8")]
    Encoding {
        /// The encoding.
        encoding: Box<str>,
    },
    /// The tables are of a later version of this crate.
    #[error("the tables cannot be used")]
    Schema(#[from] PostgresSchemaError),
    /// A row has an unexpected form.
    #[error("unexpected rows")]
    Unexpected,
    /// An earlier connection of this node does not end, so that what it has sent could still take effect.
    #[error("an earlier connection does not end")]
    Earlier,
    /// Entries were deleted before this node had read them.
    #[error("entries of the channel are gone that were not read yet")]
    Trimmed,
    /// The channel was made anew: the database is another one, or an earlier state of it.
    #[error("the channel was made anew")]
    Anew,
}

impl From<PostgresRowError> for PostgresEngineError {
    fn from(_: PostgresRowError) -> Self {
        Self::Unexpected
    }
}

impl PostgresEngineError {
    /// Whether PostgreSQL has not answered in time, or has given up by itself after its own.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Postgres(error) => error.code() == Some(&SqlState::QUERY_CANCELED),
            _ => false,
        }
    }

    /// Whether the parameters are at fault, so that the statement is refused each time: for example
    /// because one of them is larger than PostgreSQL takes.
    pub(crate) fn is_of_the_parameters(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        let begins =
            |code: &SqlState| code.code().starts_with("22") || code.code().starts_with("54");
        error.code().is_some_and(begins)
    }
}
