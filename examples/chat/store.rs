//! Messages in SQLite, on a thread of their own: the server never waits for the disk.
//!
//! Jobs are done and answered in one order. So a client that starts to listen when it gets the answer
//! to its catch-up misses nothing and gets nothing twice: earlier messages are in the answer, and
//! later messages are announced later.
//!
//! If the file is deleted or replaced, the next job notices it by the time at which the file was made, and goes on
//! with the new one. A file system that does not know that time hides it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    thread::{self, JoinHandle},
    time::SystemTime,
};

use rusqlite::{Connection, OptionalExtension as _, Result, Row, params};
use serde::Serialize;
use socketio_proto::{SocketKey, hub::AckToken};
use socketio_proto_tokio::entropy;

/// The most messages that a catch-up delivers, the newest.
const CATCH_UP: u32 = 500;
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA busy_timeout = 5000;
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        client_offset TEXT NOT NULL UNIQUE,
        text TEXT NOT NULL,
        author TEXT NOT NULL,
        sender TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
";

/// A message, as clients get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub id: i64,
    pub text: String,
    #[serde(rename = "from")]
    pub author: String,
    /// The id of the socket that sent it.
    pub sender: String,
    /// Milliseconds since the UNIX epoch.
    pub at: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub caught_up: bool,
    /// Those who have it need not show it once more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// A message that a client has sent.
pub struct Draft {
    /// What the client calls it: it is stored once, however often it is sent.
    pub client_offset: String,
    pub text: String,
    pub author: String,
    pub sender: String,
    pub at: i64,
}

/// A job for the database.
pub enum Job {
    Store {
        draft: Draft,
        token: Option<AckToken>,
    },
    /// Find what came after the message `after`.
    CatchUp {
        socket: SocketKey,
        after: i64,
    },
}

/// What was done.
pub enum Answer {
    Stored {
        message: Message,
        token: Option<AckToken>,
    },
    /// It was stored already, from an earlier session of the client.
    Known {
        message: Message,
        token: Option<AckToken>,
    },
    NotStored {
        token: Option<AckToken>,
    },
    CaughtUp {
        socket: SocketKey,
        missed: Missed,
    },
}

/// What a client that could not be recovered has missed.
#[derive(Default)]
pub struct Missed {
    pub messages: Vec<Message>,
    /// Older ones that were left out.
    pub skipped: i64,
}

/// The thread that owns the database.
pub struct Store {
    thread: JoinHandle<()>,
}

impl Store {
    /// Opens the database in `path` and starts its thread, which ends with the last way to it. Each
    /// answer is passed to `tell`.
    pub fn start(
        path: &Path,
        jobs: Receiver<Job>,
        tell: impl Fn(Answer) + Send + 'static,
    ) -> Result<Self> {
        let mut database = Database::open(path.into())?;
        let thread = thread::spawn(move || {
            for job in jobs {
                // When nobody is left to hear it, what was taken on is stored all the same.
                tell(run(&mut database, job));
            }
        });
        Ok(Self { thread })
    }

    /// Waits until everything is stored. To be called when all ways to the thread are gone.
    pub fn finish(self) {
        self.thread.join().ok();
    }
}

/// The file with the messages.
struct Database {
    path: PathBuf,
    connection: Connection,
    /// When the file was made, which tells it from another one.
    made: Option<SystemTime>,
}

impl Database {
    fn open(path: PathBuf) -> Result<Self> {
        let connection = Connection::open(&path)?;
        connection.execute_batch(SCHEMA)?;
        let made = made(&path);
        Ok(Self { path, connection, made })
    }

    /// What is stored in a file that was deleted is lost, so a new one is begun.
    fn connection(&mut self) -> Result<&Connection> {
        if made(&self.path) != self.made {
            eprintln!("{} was deleted or replaced", self.path.display());
            let latest = "SELECT coalesce(max(id), 0) FROM messages";
            let latest: i64 = self.connection.query_row(latest, [], |row| row.get(0))?;
            *self = Self::open(self.path.clone())?;
            // Pages know messages by their numbers, so these go on.
            self.connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT 'messages', ?
                 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence)",
                [latest],
            )?;
        }
        Ok(&self.connection)
    }
}

fn made(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|it| it.created()).ok()
}

fn run(database: &mut Database, job: Job) -> Answer {
    match job {
        Job::Store { draft, token } => {
            match database.connection().and_then(|it| store(it, draft)) {
                Ok(Stored::Now(message)) => Answer::Stored { message, token },
                Ok(Stored::Before(message)) => Answer::Known { message, token },
                Err(error) => {
                    eprintln!("a message was not stored: {error}");
                    Answer::NotStored { token }
                }
            }
        }
        Job::CatchUp { socket, after } => {
            let found = database.connection().and_then(|it| find(it, after));
            let missed = found.unwrap_or_else(|error| {
                eprintln!("messages were not read: {error}");
                Missed::default()
            });
            Answer::CaughtUp { socket, missed }
        }
    }
}

enum Stored {
    Now(Message),
    Before(Message),
}

fn store(connection: &Connection, draft: Draft) -> Result<Stored> {
    let Draft { client_offset, text, author, sender, at } = draft;
    let mut insert = connection.prepare_cached(
        "INSERT INTO messages (client_offset, text, author, sender, at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (client_offset) DO NOTHING RETURNING id",
    )?;
    let id = insert
        .query_row(params![client_offset, text, author, sender, at], |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        let (caught_up, again) = (false, false);
        return Ok(Stored::Now(Message { id, text, author, sender, at, caught_up, again }));
    }
    let mut known = connection.prepare_cached(
        "SELECT id, text, author, sender, at FROM messages WHERE client_offset = ?",
    )?;
    let known = known.query_row([client_offset], message)?;
    Ok(Stored::Before(Message { caught_up: false, again: true, ..known }))
}

fn find(connection: &Connection, after: i64) -> Result<Missed> {
    let mut newest = connection.prepare_cached(
        "SELECT id, text, author, sender, at FROM messages WHERE id > ? ORDER BY id DESC LIMIT ?",
    )?;
    let rows = newest.query_map(params![after, CATCH_UP], message)?;
    let mut messages = rows.collect::<Result<Vec<_>>>()?;
    messages.reverse();
    let skipped = match messages.first() {
        Some(first) => connection
            .prepare_cached("SELECT count(*) FROM messages WHERE id > ? AND id < ?")?
            .query_row([after, first.id], |row| row.get(0))?,
        None => 0,
    };
    Ok(Missed { messages, skipped })
}

fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        id: row.get(0)?,
        text: row.get(1)?,
        author: row.get(2)?,
        sender: row.get(3)?,
        at: row.get(4)?,
        caught_up: true,
        again: false,
    })
}

/// Where the files are: in a directory that was asked for, or in one that goes with the program.
pub struct Place {
    directory: PathBuf,
    temporary: Option<PathBuf>,
}

impl Place {
    pub fn open(directory: Option<PathBuf>) -> io::Result<Self> {
        let mut temporary = None;
        let directory = if let Some(directory) = directory {
            fs::create_dir_all(&directory)?;
            directory
        } else {
            let mut random = [0; 8];
            entropy(&mut random);
            let name = format!("socketio-proto-chat-{:016x}", u64::from_le_bytes(random));
            let directory = env::temp_dir().join(name);
            fs::create_dir(&directory)?;
            temporary.insert(directory).clone()
        };
        Ok(Self { directory, temporary })
    }

    /// The database with the messages.
    pub fn messages(&self) -> PathBuf {
        self.directory.join("chat.db")
    }

    /// The file with the sessions.
    pub fn sessions(&self) -> PathBuf {
        self.directory.join("sessions.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(directory) = &self.temporary {
            fs::remove_dir_all(directory).ok();
        }
    }
}
