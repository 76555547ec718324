//! Settings.

use std::{fmt, path::PathBuf, sync::Arc};

use socketio_proto::cluster::engines::sqlite::SqliteOptions;

use crate::event::SqliteEvent;

/// After what nothing is lost that a client has seen: an event that it has received, and an
/// acknowledgement of one that it has sent.
///
/// In either case the file itself survives both, as SQLite guarantees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survives {
    /// A crash of the process, `SIGKILL` included. The default. A transaction does not wait for the
    /// disk (`synchronous = NORMAL`).
    ///
    /// After a crash of the operating system or a power loss, the latest transactions may be missing.
    /// The next start recognises that such a crash has happened (on Linux), and begins with a new file:
    /// clients come back with new sessions rather than with sessions that have forgotten something.
    #[default]
    ProcessCrash,
    /// A crash of the operating system and a power loss, too. Every transaction waits for the disk
    /// (`synchronous = FULL`). All that comes in meanwhile shares the next one.
    PowerLoss,
}

/// Where the file is, and what it is for.
///
/// ```
/// use socketio_proto::cluster::engines::sqlite::SqliteOptions;
/// use socketio_proto_sqlite::{SqliteConfig, Survives};
///
/// let config = SqliteConfig::new("/var/lib/chat/sessions.db")
///     .survives(Survives::PowerLoss)
///     .options(SqliteOptions::new().max_len(10_000))
///     .on_event(|event| eprintln!("{event}"));
/// assert_eq!(config.path.file_name().unwrap(), "sessions.db");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The file. Its folder must exist, and other files are beside it, whose names begin with the name
    /// of the file. It has to be on a local disk.
    pub path: PathBuf,
    /// How much is kept.
    pub options: SqliteOptions,
    /// After what nothing is lost.
    pub survives: Survives,
    pub(crate) on_event: Option<Arc<dyn Fn(SqliteEvent) + Send + Sync>>,
}

impl SqliteConfig {
    /// The default settings for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            options: SqliteOptions::default(),
            survives: Survives::default(),
            on_event: None,
        }
    }

    /// Sets [`options`](Self#structfield.options).
    #[must_use]
    pub const fn options(mut self, options: SqliteOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets [`survives`](Self#structfield.survives).
    #[must_use]
    pub const fn survives(mut self, survives: Survives) -> Self {
        self.survives = survives;
        self
    }

    /// Calls this with what happens to the file, on the thread that it happens on. It must not block.
    #[must_use]
    pub fn on_event(mut self, tell: impl Fn(SqliteEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(tell));
        self
    }

    pub(crate) fn tell(&self, event: SqliteEvent) {
        if let Some(tell) = &self.on_event {
            tell(event);
        }
    }
}

impl fmt::Debug for SqliteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConfig")
            .field("path", &self.path)
            .field("options", &self.options)
            .field("survives", &self.survives)
            .finish_non_exhaustive()
    }
}
