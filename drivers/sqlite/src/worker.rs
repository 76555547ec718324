//! The thread that owns a file.

use std::{collections::BTreeSet, ops::ControlFlow};

use socketio_proto::{
    cluster::{
        ClusterInput, ClusterOutput,
        engines::sqlite::{Sqlite, SqliteHead},
        message::{Message, NodeId},
    },
    recovery::Offset,
    socket::NamespaceName,
};
use tokio::sync::mpsc;

use crate::{
    clock::unix_ms, config::SqliteConfig, database::Database, error::SqliteError, file::OpenFile,
    peers::Peers,
};

/// The file has one channel.
const CHANNEL: u32 = 0;
/// Outputs that go into one transaction at most.
pub(crate) const BATCH: usize = 1_024;
/// Entries that are read and handed in at a time.
const PAGE: usize = 256;
/// Bytes of them.
const PAGE_BYTES: usize = 1 << 20;

/// What the thread is asked for.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are outputs")]
pub(crate) enum Job {
    /// To carry out an output of the server.
    Output(ClusterOutput),
    /// To look whether others have written something.
    Look,
}

/// Takes what the server is to learn.
pub(crate) type HandIn = Box<dyn FnMut(Vec<ClusterInput>) + Send>;

/// A file, and what its server has learned of it.
pub(crate) struct Worker {
    pub(crate) config: SqliteConfig,
    pub(crate) file: OpenFile,
    pub(crate) node: NodeId,
    /// The number of this process in the file.
    pub(crate) process: u64,
    pub(crate) peers: Peers,
    hand_in: HandIn,
    /// The last row that was handed in. `None` if the server does not read yet.
    pub(crate) read: Option<u64>,
    /// The last published message that was handed in.
    read_published: u64,
    pub(crate) subscribed: BTreeSet<NamespaceName>,
    /// When what has expired was deleted.
    pub(crate) swept: u64,
}

/// What a transaction has done, for the server.
#[derive(Default)]
pub(crate) struct Done {
    /// The entries that were appended, if nobody else has appended some that were not read before them.
    pub(crate) appended: Vec<(Offset, Message)>,
    pub(crate) answers: Vec<ClusterInput>,
    /// Whether others have something to read.
    pub(crate) is_news: bool,
}

impl Worker {
    /// Enters the file, as the process that others wake through this socket.
    pub(crate) fn start(
        config: SqliteConfig,
        mut file: OpenFile,
        node: NodeId,
        socket: &str,
        hand_in: HandIn,
    ) -> Result<Self, SqliteError> {
        let database = &file.database;
        let (process, head) = database.transaction("BEGIN IMMEDIATE", || {
            let mut head = database.head()?;
            let process = database.number(&Sqlite::enter(socket))?.unwrap_or(0);
            database.execute(&head.write())?;
            Ok(((process, head), true))
        })?;
        file.tail.enter(process);
        file.tail.note(&head)?;
        let mut worker = Self {
            config,
            file,
            node,
            process,
            peers: Peers::new(),
            hand_in,
            read: None,
            read_published: head.published,
            subscribed: BTreeSet::new(),
            swept: unix_ms(),
        };
        worker.find_peers()?;
        // The others then write what is published for this process, too.
        worker.wake_peers()?;
        let connected = ClusterInput::Connected {
            channel: CHANNEL,
            oldest: head.oldest(),
            head: head.latest(),
        };
        worker.tell(vec![connected]);
        Ok(worker)
    }

    /// Works until there are no more jobs, and closes the file.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> Result<(), SqliteError> {
        let mut outputs = Vec::new();
        while let Some(job) = jobs.blocking_recv() {
            let mut job = Some(job);
            let mut is_look = false;
            while let Some(next) = job {
                match next {
                    Job::Output(output) => outputs.push(output),
                    Job::Look => is_look = true,
                }
                job = if outputs.len() < BATCH { jobs.try_recv().ok() } else { None };
            }
            if !outputs.is_empty() {
                self.carry_out(outputs.drain(..))?;
            }
            if is_look {
                self.look()?;
            }
        }
        self.leave()
    }

    /// Carries out what the server wants, in one transaction.
    pub(crate) fn carry_out(
        &mut self,
        outputs: impl Iterator<Item = ClusterOutput>,
    ) -> Result<(), SqliteError> {
        let Done { appended, answers, is_news } = self.transact(outputs)?;
        if is_news {
            self.wake_peers()?;
        }
        if let Some((last, _)) = appended.last() {
            self.read = last.numbers().map(|(_, row)| row);
        }
        let entries = appended.into_iter().map(|(position, message)| ClusterInput::Entry {
            channel: CHANNEL,
            position,
            message: Some(message),
        });
        let mut inputs: Vec<_> = entries.collect();
        if inputs.is_empty() {
            self.read_entries()?;
        }
        inputs.extend(answers);
        self.tell(inputs);
        self.read_messages()
    }

    /// Reads what others have written, and does what has to be done from time to time.
    pub(crate) fn look(&mut self) -> Result<(), SqliteError> {
        self.keep_house()?;
        self.read_entries()?;
        self.read_messages()
    }

    /// Hands in the entries that were not read yet, page by page.
    fn read_entries(&mut self) -> Result<(), SqliteError> {
        while let Some(after) = self.read {
            let page = read_page(&self.file.database, &self.file.sqlite, after)?;
            let Some((last, inputs)) = page else { break };
            self.read = Some(last);
            self.tell(inputs);
        }
        Ok(())
    }

    /// Hands in what others have published.
    fn read_messages(&mut self) -> Result<(), SqliteError> {
        let head = self.file.database.head()?;
        if head.published == self.read_published {
            return Ok(());
        }
        let (mut inputs, mut last) = (Vec::new(), self.read_published);
        let mut is_complete = true;
        self.file.database.query(&Sqlite::read_published(last), |row| {
            let published = self.file.sqlite.published(row)?;
            is_complete &= published.row == last.saturating_add(1);
            last = published.row;
            let is_ours = published.node.is_none_or(|node| *node == *self.node.as_str());
            if is_ours && published.process != self.process {
                inputs.extend(published.message.ok().map(ClusterInput::Message));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !is_complete || last < head.published {
            last = last.max(head.published);
            self.subscribe_anew();
        }
        self.read_published = last;
        self.tell(inputs);
        Ok(())
    }

    /// Published messages were deleted before they were read.
    fn subscribe_anew(&mut self) {
        let ended = |namespace: &NamespaceName| {
            let namespace = namespace.clone();
            [
                ClusterInput::Unsubscribed { namespace: namespace.clone() },
                ClusterInput::Subscribed { namespace },
            ]
        };
        let inputs = self.subscribed.iter().flat_map(ended).collect();
        self.tell(inputs);
    }

    fn tell(&mut self, inputs: Vec<ClusterInput>) {
        if !inputs.is_empty() {
            (self.hand_in)(inputs);
        }
    }

    /// Leaves the file, in good order.
    fn leave(mut self) -> Result<(), SqliteError> {
        self.change(|worker, _| {
            worker.file.database.execute(&Sqlite::leave(worker.process))?;
            Ok(true)
        })?;
        self.file.close(&self.config)
    }
}

/// Reads a page of the entries after a row. `None` if there are none.
fn read_page(
    database: &Database,
    sqlite: &Sqlite,
    after: u64,
) -> Result<Option<(u64, Vec<ClusterInput>)>, SqliteError> {
    database.transaction("BEGIN", || {
        let head: SqliteHead = database.head()?;
        if head.head == after {
            return Ok((None, false));
        }
        if head.row_of(Offset::pair(head.epoch, after)).is_none() {
            return Err(SqliteError::Outpaced);
        }
        let (mut last, mut bytes, mut inputs) = (after, 0, Vec::new());
        database.query(&Sqlite::read(after), |row| {
            let entry = sqlite.entry(&head, last, row)?;
            last = entry.row;
            bytes += entry.len;
            let message = entry.message.ok();
            inputs.push(ClusterInput::Entry {
                channel: CHANNEL,
                position: entry.position,
                message,
            });
            let is_full = inputs.len() >= PAGE || bytes >= PAGE_BYTES;
            Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok((Some((last, inputs)), false))
    })
}
