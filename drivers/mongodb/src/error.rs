//! What goes wrong between a node and MongoDB.

use mongodb::error::{Error, ErrorKind, WriteFailure};
use socketio_proto::ConfigError;
use thiserror::Error;

/// Why MongoDB could not be reached or used, or is not there any longer.
///
/// While the server runs, the engine connects again after each of them. The text of the latest one is
/// [`EngineStats::last_failure`](socketio_proto_tokio::cluster::EngineStats).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MongodbEngineError {
    /// An option cannot be used.
    #[error("an option cannot be used")]
    Config(#[from] ConfigError),
    /// The URL does not name a collection: `mongodb://host/database.collection`.
    #[error(
        "the URL does not name a database and a collection, as in `mongodb://host/database.collection`"
    )]
    Url,
    /// MongoDB cannot be reached, or refuses a command.
    #[error("MongoDB")]
    Mongodb(#[from] Error),
    /// MongoDB has not answered in time.
    #[error("MongoDB has not answered in time")]
    Timeout,
    /// The server is not a member of a replica set, so it has no change streams.
    #[error("not a replica set, so there are no change streams")]
    Standalone,
    /// The server is older than MongoDB 5.0.
    #[error("older than MongoDB 5.0 (wire version {wire_version})")]
    Version {
        /// The latest version of the protocol that it speaks.
        wire_version: i64,
    },
    /// The change stream has ended, because the collection was dropped or renamed.
    #[error("the change stream has ended")]
    Ended,
    /// What has happened is not in the oplog any more, or cannot be read from it.
    #[error("changes are gone that were not read yet")]
    HistoryLost(#[source] Error),
    /// An answer has an unexpected form.
    #[error("unexpected answer to {command}")]
    Unexpected {
        /// The command.
        command: &'static str,
    },
}

/// `DuplicateKey`.
const DUPLICATE_KEY: i32 = 11_000;
/// `BadValue`, `Overflow`, `DollarPrefixedFieldName`, `DocumentValidationFailure`, `BSONObjectTooLarge`, and
/// the number of documents with an illegal name: of the document, and not of the state of the server.
const OF_THE_DOCUMENT: [i32; 6] = [2, 15, 52, 121, 10_334, 17_280];
/// `ChangeStreamFatalError`, `ChangeStreamHistoryLost`, and `BSONObjectTooLarge` for a change that does not fit.
const HISTORY_LOST: [i32; 3] = [280, 286, 10_334];

/// Whether what has to be read is not there, or cannot be read.
pub(crate) fn is_history_lost(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(error) if HISTORY_LOST.contains(&error.code))
}

pub(crate) const fn is_duplicate(code: i32) -> bool {
    code == DUPLICATE_KEY
}

pub(crate) fn is_of_the_document(code: i32) -> bool {
    OF_THE_DOCUMENT.contains(&code)
}

/// The number of an error of one write.
pub(crate) fn write_code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Command(error) => Some(error.code),
        _ => None,
    }
}
