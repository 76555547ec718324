//! Carries out what the node outputs.

use std::collections::{BTreeMap, BTreeSet};

use socketio_proto::{
    ByteString, RecoveryKey,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        engines::postgres::{Postgres, PostgresNotify, PostgresSession},
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::EngineLink;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    batch::{Batch, Wanted},
    connection::{Connection, PING, Values},
    error::PostgresEngineError,
    listener::Change,
    migration::head,
    patience::{Advice, Patience},
};

/// Outputs that are carried out at once.
const OUTPUTS: usize = 500;
/// Outputs of this size, about, are carried out at once.
const BYTES: usize = 1 << 20;

/// The connection for commands.
pub(crate) struct Writer<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) connection: &'a Connection,
    pub(crate) epoch: u64,
    /// Where to read from.
    pub(crate) reads: mpsc::UnboundedSender<Offset>,
    pub(crate) changes: mpsc::UnboundedSender<Change>,
    pub(crate) patience: &'a mut Patience,
}

/// What is to be done, in order.
#[derive(Default)]
struct Work {
    batches: Vec<Batch>,
    /// Sent behind the others: nobody waits for their order among them.
    messages: Vec<PostgresNotify>,
    /// How many cannot be sent.
    refused: usize,
    /// What can be answered without PostgreSQL.
    inputs: Vec<ClusterInput>,
    outputs: usize,
    bytes: usize,
}

impl Writer<'_> {
    /// Carries out the outputs, until there are no more.
    pub(crate) async fn run(mut self, link: &mut EngineLink) -> Result<(), PostgresEngineError> {
        loop {
            let Ok(output) = timeout(PING, link.recv()).await else {
                head(self.connection, self.postgres).await?;
                continue;
            };
            let Some(output) = output else { return Ok(()) };
            let mut work = Work::default();
            self.add(output, &mut work);
            let most = if self.patience.is_alone() { 1 } else { OUTPUTS };
            while work.outputs < most && work.bytes < BYTES {
                let Some(output) = link.try_recv() else { break };
                self.add(output, &mut work);
            }
            let Work { batches, messages, refused, inputs, .. } = work;
            link.inputs().send(inputs).await;
            for batch in batches {
                let inputs = self.carry_out(batch).await?;
                link.inputs().send(inputs).await;
            }
            let refused = refused.saturating_add(self.notify(&messages).await?);
            (0..refused).for_each(|_| link.inputs().count_refused());
        }
    }

    fn add(&self, output: ClusterOutput, work: &mut Work) {
        work.outputs = work.outputs.saturating_add(1);
        match output {
            ClusterOutput::Read { after, .. } => {
                self.reads.send(after).ok();
            }
            ClusterOutput::Subscribe { namespace } => {
                self.changes.send(Change::Subscribe(namespace)).ok();
            }
            ClusterOutput::Unsubscribe { namespace } => {
                self.changes.send(Change::Unsubscribe(namespace)).ok();
            }
            ClusterOutput::Append(message) => {
                let sequence = message.stamp.map(|stamp| stamp.sequence);
                if let Ok(entry) = self.postgres.to_append(&message) {
                    work.add(entry.bytes(), Batch::Append(vec![(sequence, entry)]));
                } else {
                    let rejected = sequence.map(|sequence| ClusterInput::Rejected { sequence });
                    work.inputs.extend(rejected);
                }
            }
            ClusterOutput::Publish { to, message } => {
                // One that is too large is lost, as others may be. The node has bounded its events.
                match self.postgres.to_notify(&message, to.as_ref()) {
                    Ok(notify) => work.messages.push(notify),
                    Err(_) => work.refused = work.refused.saturating_add(1),
                }
            }
            ClusterOutput::CountServers { number, .. } => {
                // PostgreSQL does not tell who listens. Nodes count those that send heartbeats.
                work.inputs.push(ClusterInput::ServersCounted { number, servers: None });
            }
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                match self.postgres.to_store(&session, expires_in, replaces) {
                    Ok(store) if store.is_conditional() => {
                        work.add(0, Batch::Replace(vec![(number, session.pid, store)]));
                    }
                    Ok(store) => work.add(0, Batch::Store(vec![(number, session.pid, store)])),
                    Err(_) => {
                        let outcome = StoreOutcome::Refused;
                        work.inputs.push(ClusterInput::Stored { number, outcome });
                    }
                }
            }
            ClusterOutput::Fetch { key, number } => {
                work.add(0, Batch::Fetch(vec![Wanted { number, key, version: None }]));
            }
            ClusterOutput::Take { key, version, number } => {
                work.add(0, Batch::Take(vec![Wanted { number, key, version }]));
            }
            // An output of a later version of the core. It gets no answer.
            _ => {}
        }
    }

    /// Returns the answers.
    async fn carry_out(&mut self, batch: Batch) -> Result<Vec<ClusterInput>, PostgresEngineError> {
        let advice = self.patience.advise(&batch);
        match advice {
            Advice::Refuse => return Ok(batch.refused()),
            Advice::Prove => self.prove().await?,
            Advice::Send => {}
        }
        self.patience.note_sent(&batch, advice == Advice::Prove);
        let called = self.call(&batch).await;
        if !called.as_ref().is_err_and(|error| !error.is_of_the_parameters()) {
            self.patience.note_answered(&batch);
        }
        let error = match called {
            Ok(inputs) => return Ok(inputs),
            Err(error) => error,
        };
        if !error.is_of_the_parameters() {
            return Err(error);
        }
        if batch.len() == 1 {
            return Ok(batch.refused());
        }
        let mut inputs = Vec::new();
        for one in batch.split() {
            match self.call(&one).await {
                Ok(more) => inputs.extend(more),
                Err(error) if error.is_of_the_parameters() => inputs.extend(one.refused()),
                Err(error) => return Err(error),
            }
        }
        Ok(inputs)
    }

    /// Writes to the row that every append locks.
    async fn prove(&self) -> Result<(), PostgresEngineError> {
        let anchor = self.postgres.anchor(self.epoch);
        self.connection.call_for_row(&anchor).await?.ok_or(PostgresEngineError::Anew).map(drop)
    }

    async fn call(&self, batch: &Batch) -> Result<Vec<ClusterInput>, PostgresEngineError> {
        let postgres = self.postgres;
        match batch {
            Batch::Append(list) => {
                let entries: Vec<_> = list.iter().map(|(_, entry)| entry.clone()).collect();
                let append = postgres.append(self.epoch, &entries);
                let row = self.connection.call_for_row(&append).await?;
                row.ok_or(PostgresEngineError::Anew)?;
                Ok(Vec::new())
            }
            Batch::Store(list) => {
                let sessions: Vec<_> = list.iter().map(|(.., store)| store.clone()).collect();
                self.connection.call(&postgres.store(&sessions)).await?;
                Ok(list.iter().map(|(number, ..)| stored(*number, true)).collect())
            }
            Batch::Replace(list) => {
                let sessions: Vec<_> = list.iter().map(|(.., store)| store.clone()).collect();
                let rows = self.connection.call(&postgres.replace(&sessions)).await?;
                let pids = rows.iter().map(|row| Postgres::text(row));
                let pids = pids.collect::<Result<BTreeSet<_>, _>>()?;
                let is_stored = |key: &RecoveryKey| pids.contains(&ByteString::from(key.expose()));
                let inputs = list.iter().map(|(number, key, _)| stored(*number, is_stored(key)));
                Ok(inputs.collect())
            }
            Batch::Fetch(list) => {
                let rows = self.connection.call(&postgres.fetch(&keys(list))).await?;
                self.fetched(list, &rows)
            }
            Batch::Take(list) => {
                let versions: Vec<_> = list.iter().map(|it| (it.key, it.version)).collect();
                let mut rows = self.connection.call(&postgres.take(&versions)).await?;
                if rows.len() < list.len() {
                    // The node learns what is there instead.
                    rows.extend(self.connection.call(&postgres.fetch(&keys(list))).await?);
                }
                self.fetched(list, &rows)
            }
        }
    }

    /// Returns the answers.
    fn fetched(
        &self,
        list: &[Wanted],
        rows: &[Values],
    ) -> Result<Vec<ClusterInput>, PostgresEngineError> {
        let mut found = BTreeMap::<ByteString, FetchedSession>::new();
        for row in rows {
            let PostgresSession { pid, session, expires_in, .. } = self.postgres.session(row)?;
            let session = session.ok().filter(|session| session.pid.expose() == &*pid);
            if let Some((session, expires_in)) = session.zip(expires_in) {
                found.entry(pid).or_insert_with(|| FetchedSession::new(session, expires_in));
            }
        }
        let fetched = |wanted: &Wanted| {
            let session = found.remove(wanted.key.expose());
            ClusterInput::Fetched { number: wanted.number, session }
        };
        Ok(list.iter().map(fetched).collect())
    }

    /// Returns how many PostgreSQL refuses. They are lost, as others may be.
    async fn notify(&self, messages: &[PostgresNotify]) -> Result<usize, PostgresEngineError> {
        if messages.is_empty() {
            return Ok(0);
        }
        match self.connection.call(&self.postgres.notify(messages)).await {
            Err(error) if error.is_of_the_parameters() => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(0),
        }
        let mut refused = 0_usize;
        for one in messages.chunks(1) {
            match self.connection.call(&self.postgres.notify(one)).await {
                Ok(_) => {}
                Err(error) if error.is_of_the_parameters() => refused = refused.saturating_add(1),
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }
}

impl Work {
    fn add(&mut self, bytes: usize, batch: Batch) {
        self.bytes = self.bytes.saturating_add(bytes);
        let other = match self.batches.last_mut() {
            Some(last) => last.join(batch),
            None => Some(batch),
        };
        self.batches.extend(other);
    }
}

const fn stored(number: u64, is_stored: bool) -> ClusterInput {
    let outcome = if is_stored { StoreOutcome::Stored } else { StoreOutcome::Superseded };
    ClusterInput::Stored { number, outcome }
}

fn keys(list: &[Wanted]) -> Vec<RecoveryKey> {
    list.iter().map(|wanted| wanted.key).collect()
}
