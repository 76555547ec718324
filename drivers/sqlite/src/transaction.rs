//! Carries out outputs of the server in one transaction.

use std::sync::Arc;

use socketio_proto::{
    RecoveryKey,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        engines::sqlite::{Sqlite, SqliteHead, SqliteStatement, SqliteValue},
        message::{Message, NodeId},
    },
};

use crate::{
    clock::unix_ms,
    error::SqliteError,
    worker::{Done, Worker},
};

/// Trimming is worth its while after so many entries.
const TRIM: u64 = 1_000;

/// A transaction under way.
struct Transaction<'a> {
    worker: &'a mut Worker,
    head: SqliteHead,
    now: u64,
    done: Done,
    /// The row after which the server wants to read, if it has said so now.
    read: Option<u64>,
    is_changed: bool,
    /// Whether there are other processes, if that was looked up.
    has_peers: Option<bool>,
}

impl Worker {
    pub(crate) fn transact(
        &mut self,
        outputs: impl Iterator<Item = ClusterOutput>,
    ) -> Result<Done, SqliteError> {
        self.begin("BEGIN IMMEDIATE")?;
        match self.transact_begun(outputs) {
            Ok(done) => Ok(done),
            Err(error) => {
                if !self.file.database.0.is_autocommit() {
                    self.file.database.0.execute_batch("ROLLBACK").ok();
                }
                Err(error)
            }
        }
    }

    fn transact_begun(
        &mut self,
        outputs: impl Iterator<Item = ClusterOutput>,
    ) -> Result<Done, SqliteError> {
        let head = self.file.database.head()?;
        let mut transaction = Transaction {
            worker: self,
            head,
            now: unix_ms(),
            done: Done::default(),
            read: None,
            is_changed: false,
            has_peers: None,
        };
        for output in outputs {
            transaction.carry_out(output)?;
        }
        transaction.commit(&head)
    }

    fn begin(&self, sql: &str) -> Result<(), SqliteError> {
        self.file.database.0.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Transaction<'_> {
    fn carry_out(&mut self, output: ClusterOutput) -> Result<(), SqliteError> {
        let answer = match output {
            ClusterOutput::Read { after, .. } => {
                self.read = Some(self.head.row_of(after).ok_or(SqliteError::Outpaced)?);
                None
            }
            ClusterOutput::Append(message) => self.append(Arc::unwrap_or_clone(message))?,
            ClusterOutput::Publish { to, message } => {
                self.publish(to.as_ref(), &message)?;
                None
            }
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let sqlite = &self.worker.file.sqlite;
                let statement = sqlite.store(self.now, &session, expires_in, replaces);
                let outcome = match statement {
                    Ok(statement) => self.store(&session.pid, &statement)?,
                    // It is too large. The node learns that.
                    Err(_) => StoreOutcome::Refused,
                };
                Some(ClusterInput::Stored { number, outcome })
            }
            ClusterOutput::Fetch { key, number } => {
                let row = self.row(&Sqlite::fetch(&key))?;
                Some(self.fetched(number, &key, row)?)
            }
            ClusterOutput::Take { key, version, number } => {
                self.is_changed = true;
                let mut row = self.row(&Sqlite::take(&key, version))?;
                self.head.note_session(row.as_deref(), None)?;
                if row.is_none() {
                    row = self.row(&Sqlite::fetch(&key))?;
                }
                Some(self.fetched(number, &key, row)?)
            }
            ClusterOutput::Subscribe { namespace } => {
                // Everything that is published from now on is read.
                self.worker.subscribed.insert(namespace.clone());
                Some(ClusterInput::Subscribed { namespace })
            }
            ClusterOutput::Unsubscribe { namespace } => {
                self.worker.subscribed.remove(&namespace);
                None
            }
            ClusterOutput::CountServers { number, .. } => {
                Some(ClusterInput::ServersCounted { number, servers: None })
            }
            _ => None,
        };
        self.done.answers.extend(answer);
        Ok(())
    }

    fn append(&mut self, message: Message) -> Result<Option<ClusterInput>, SqliteError> {
        let statement = self.worker.file.sqlite.append(&mut self.head, self.now, &message);
        let Ok(statement) = statement else {
            let sequence = message.stamp.map(|stamp| stamp.sequence);
            return Ok(sequence.map(|sequence| ClusterInput::Rejected { sequence }));
        };
        self.change(&statement)?;
        self.done.appended.push((self.head.latest(), message));
        Ok(None)
    }

    fn store(
        &mut self,
        key: &RecoveryKey,
        statement: &SqliteStatement,
    ) -> Result<StoreOutcome, SqliteError> {
        let before = self.row(&Sqlite::stored(key))?;
        let after = self.row(statement)?;
        if after.is_none() {
            return Ok(StoreOutcome::Superseded);
        }
        self.is_changed = true;
        self.head.note_session(before.as_deref(), after.as_deref())?;
        Ok(StoreOutcome::Stored)
    }

    fn publish(&mut self, to: Option<&NodeId>, message: &Message) -> Result<(), SqliteError> {
        if !self.has_peers()? {
            return Ok(());
        }
        let Worker { file, process, .. } = &*self.worker;
        let published = file.sqlite.publish(&mut self.head, self.now, *process, (to, message));
        // What no engine carries is lost, as a published message may be.
        if let Ok(statement) = published {
            self.change(&statement)?;
        }
        Ok(())
    }

    fn has_peers(&mut self) -> Result<bool, SqliteError> {
        if let Some(has_peers) = self.has_peers {
            return Ok(has_peers);
        }
        self.worker.find_peers()?;
        let has_peers = !self.worker.peers.is_empty();
        self.has_peers = Some(has_peers);
        Ok(has_peers)
    }

    fn fetched(
        &self,
        number: u64,
        key: &RecoveryKey,
        row: Option<Vec<SqliteValue>>,
    ) -> Result<ClusterInput, SqliteError> {
        let sqlite = &self.worker.file.sqlite;
        let found = row.map_or(Ok(None), |row| sqlite.session(self.now, &row))?;
        let session = found.and_then(|found| {
            let session = found.session.ok().filter(|session| session.pid == *key)?;
            Some(FetchedSession::new(session, found.expires_in))
        });
        Ok(ClusterInput::Fetched { number, session })
    }

    fn row(&self, statement: &SqliteStatement) -> Result<Option<Vec<SqliteValue>>, SqliteError> {
        self.worker.file.database.row(statement)
    }

    fn change(&mut self, statement: &SqliteStatement) -> Result<usize, SqliteError> {
        self.is_changed = true;
        self.worker.file.database.execute(statement)
    }

    fn commit(mut self, before: &SqliteHead) -> Result<Done, SqliteError> {
        if self.is_changed {
            if self.head.head / TRIM > before.head / TRIM {
                self.worker.trim(&mut self.head, self.now)?;
            }
            let write = self.head.write();
            self.change(&write)?;
            self.worker.begin("COMMIT")?;
            self.worker.file.tail.note(&self.head)?;
        } else {
            self.worker.begin("ROLLBACK")?;
        }
        let Self { worker, head, mut done, read, .. } = self;
        done.is_news = (head.head, head.published) != (before.head, before.published);
        if worker.read != Some(before.head) || read.is_some() {
            // There is something else to read before them.
            done.appended.clear();
        }
        worker.read = read.or(worker.read);
        Ok(done)
    }
}

impl Worker {
    /// Deletes the entries that are not kept any longer.
    pub(crate) fn trim(&self, head: &mut SqliteHead, now: u64) -> Result<bool, SqliteError> {
        let file = &self.file;
        let first_kept = file.database.number(&file.sqlite.first_kept(head, now))?;
        match Sqlite::trim(head, first_kept) {
            Some(statement) => Ok(file.database.execute(&statement)? > 0),
            None => Ok(false),
        }
    }
}
