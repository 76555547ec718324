//! Carries out what the node outputs.

use std::time::Duration;

use mongodb::{
    ClientSession,
    bson::{Document, doc, oid::ObjectId},
    error::{ErrorKind, InsertManyError},
};
use socketio_proto::{
    RecoveryKey,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        engines::mongodb::{Mongodb, MongodbDocument},
        message::{MessageError, NodeId, StoredSession},
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::EngineLink;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    document::{from_bson, to_bson},
    error::{MongodbEngineError, is_duplicate, is_of_the_document, write_code},
    reader::PING,
    setup::Store,
};

/// Documents that are inserted at once.
const DOCUMENTS: usize = 500;
/// Bytes of documents that are inserted without more.
const BYTES: usize = 1 << 20;
/// How often a session is written anew because another node has just written it.
const STORES: usize = 3;

/// What writes. Its session numbers everything that it writes, so that MongoDB does nothing twice, and
/// nothing that is late.
pub(crate) struct Writer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) mongodb: &'a Mongodb,
    pub(crate) node: NodeId,
    pub(crate) session: &'a mut ClientSession,
    /// Whether documents cannot be removed from the collection.
    pub(crate) is_capped: bool,
    /// Where to read from.
    pub(crate) read: Option<oneshot::Sender<Offset>>,
}

/// Documents that are inserted at once, in order.
#[derive(Default)]
struct Batch {
    documents: Vec<Document>,
    /// The numbers of those that are entries.
    sequences: Vec<Option<u64>>,
    bytes: usize,
}

impl Writer<'_> {
    /// Carries out the outputs, until there are no more.
    pub(crate) async fn run(mut self, link: &mut EngineLink) -> Result<(), MongodbEngineError> {
        let mut ping = Instant::now() + PING;
        loop {
            let output = tokio::select! {
                output = link.recv() => output,
                () = sleep_until(ping) => {
                    self.store.mark(self.session, &self.node).await?;
                    ping = Instant::now() + PING;
                    continue;
                }
            };
            let Some(output) = output else { return Ok(()) };
            let (mut batch, mut inputs) = (Batch::default(), Vec::new());
            let mut next = Some(output);
            while let Some(output) = next {
                if let Some(output) = self.add(output, &mut batch, &mut inputs) {
                    // What it concerns has to come behind the documents.
                    self.insert(&mut batch, &mut inputs).await?;
                    inputs.extend(self.carry_out(output).await?);
                }
                let has_room = batch.documents.len() < DOCUMENTS && batch.bytes < BYTES;
                next = if has_room { link.try_recv() } else { None };
            }
            if !batch.documents.is_empty() {
                ping = Instant::now() + PING;
            }
            self.insert(&mut batch, &mut inputs).await?;
            link.inputs().send(inputs).await;
        }
    }

    /// Adds the document of an output. Returns an output that has none.
    fn add(
        &mut self,
        output: ClusterOutput,
        batch: &mut Batch,
        inputs: &mut Vec<ClusterInput>,
    ) -> Option<ClusterOutput> {
        match output {
            ClusterOutput::Read { after, .. } => {
                // If nobody waits for it, the reader has ended, and says why.
                self.read.take().map(|read| read.send(after));
            }
            ClusterOutput::Append(message) => {
                let sequence = message.stamp.map(|stamp| stamp.sequence);
                let document = Mongodb::append(&message, self.store.clock.unix_ms());
                if !self.push(batch, document, sequence) {
                    inputs.extend(sequence.map(|sequence| ClusterInput::Rejected { sequence }));
                }
            }
            ClusterOutput::Publish { to, message } => {
                // One that is too large is lost, as others may be. The node has bounded its events.
                let document = Mongodb::publish(&message, to.as_ref(), self.store.clock.unix_ms());
                self.push(batch, document, None);
            }
            // The change stream has everything of all namespaces.
            ClusterOutput::Subscribe { namespace } => {
                inputs.push(ClusterInput::Subscribed { namespace });
            }
            ClusterOutput::Unsubscribe { .. } => {}
            ClusterOutput::CountServers { number, .. } => {
                inputs.push(ClusterInput::ServersCounted { number, servers: None });
            }
            output => return Some(output),
        }
        None
    }

    /// Returns whether the document can be written.
    fn push(
        &self,
        batch: &mut Batch,
        document: Result<MongodbDocument, MessageError>,
        sequence: Option<u64>,
    ) -> bool {
        let Some((mut document, len)) = document.ok().and_then(|it| self.sized(it)) else {
            return false;
        };
        document.insert("_id", ObjectId::new());
        batch.documents.push(document);
        batch.sequences.push(sequence);
        batch.bytes = batch.bytes.saturating_add(len);
        true
    }

    /// A document that is not too large, and its length.
    fn sized(&self, document: MongodbDocument) -> Option<(Document, usize)> {
        let document = to_bson(document);
        let len = document.to_vec().ok()?.len();
        (len <= self.mongodb.options().max_message_bytes).then_some((document, len))
    }

    async fn insert(
        &mut self,
        batch: &mut Batch,
        inputs: &mut Vec<ClusterInput>,
    ) -> Result<(), MongodbEngineError> {
        let Batch { mut documents, mut sequences, .. } = std::mem::take(batch);
        while !documents.is_empty() {
            let all = self.store.collection.insert_many(&documents).session(&mut *self.session);
            let inserted = self.store.in_time(all).await;
            let Err(MongodbEngineError::Mongodb(error)) = inserted else {
                return inserted.map(|_| ());
            };
            let Some((index, code)) = refused(&error.kind) else { return Err(error.into()) };
            if index >= documents.len() {
                return Err(error.into());
            }
            let sequence = sequences.drain(..=index).next_back().flatten();
            documents.drain(..=index);
            if is_of_the_document(code) {
                inputs.extend(sequence.map(|sequence| ClusterInput::Rejected { sequence }));
            } else if !is_duplicate(code) {
                // The id of a document is drawn once: if it is there, the document is.
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn carry_out(
        &mut self,
        output: ClusterOutput,
    ) -> Result<Option<ClusterInput>, MongodbEngineError> {
        Ok(match output {
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let outcome = if self.is_capped {
                    StoreOutcome::Refused
                } else {
                    self.put(&session, expires_in, replaces).await?
                };
                Some(ClusterInput::Stored { number, outcome })
            }
            ClusterOutput::Fetch { number, .. } | ClusterOutput::Take { number, .. }
                if self.is_capped =>
            {
                Some(ClusterInput::Fetched { number, session: None })
            }
            ClusterOutput::Fetch { key, number } => {
                Some(ClusterInput::Fetched { number, session: self.fetch(&key).await? })
            }
            ClusterOutput::Take { key, version, number } => {
                Some(ClusterInput::Fetched { number, session: self.take(&key, version).await? })
            }
            // An output of a later version of the core. It gets no answer.
            _ => None,
        })
    }

    async fn put(
        &mut self,
        session: &StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> Result<StoreOutcome, MongodbEngineError> {
        let document = Mongodb::store(&self.node, session, expires_in, self.store.clock.unix_ms());
        let Some((document, _)) = document.ok().and_then(|it| self.sized(it)) else {
            return Ok(StoreOutcome::Refused);
        };
        let mut left = STORES;
        loop {
            let filter = to_bson(Mongodb::to_replace(&session.pid, replaces));
            let replace = self.store.collection.replace_one(filter, &document);
            let replace = replace.upsert(replaces.is_none()).session(&mut *self.session);
            let error = match self.store.in_time(replace).await {
                Ok(result) if replaces.is_some() && result.matched_count == 0 => {
                    return Ok(StoreOutcome::Superseded);
                }
                Ok(_) => return Ok(StoreOutcome::Stored),
                Err(MongodbEngineError::Mongodb(error)) => error,
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(1);
            match write_code(&error) {
                Some(code) if is_of_the_document(code) => return Ok(StoreOutcome::Refused),
                Some(code) if is_duplicate(code) && left > 0 => {}
                _ => return Err(error.into()),
            }
        }
    }

    async fn fetch(
        &mut self,
        key: &RecoveryKey,
    ) -> Result<Option<FetchedSession>, MongodbEngineError> {
        let raw = self.store.raw();
        let find = raw.find_one(to_bson(Mongodb::of_session(key)));
        let found = self.store.in_time(find.session(&mut *self.session)).await?;
        Ok(found.and_then(|found| self.read(&found)))
    }

    async fn take(
        &mut self,
        key: &RecoveryKey,
        version: Option<u64>,
    ) -> Result<Option<FetchedSession>, MongodbEngineError> {
        let filter = to_bson(Mongodb::to_take(key, version));
        let raw = self.store.raw();
        let take = raw.find_one_and_delete(filter).sort(doc! { "createdAt": -1 });
        match self.store.in_time(take.session(&mut *self.session)).await? {
            Some(taken) => Ok(self.read(&taken)),
            // The node learns what is there instead.
            None => self.fetch(key).await,
        }
    }

    fn read(&self, document: &mongodb::bson::RawDocument) -> Option<FetchedSession> {
        let found = Mongodb::session(&from_bson(document)?, self.store.clock.unix_ms())?;
        let expires_in = found.expires_in.unwrap_or(Duration::MAX);
        Some(FetchedSession::new(found.session.ok()?, expires_in))
    }
}

/// The first document that was not inserted, and the number of the reason.
fn refused(kind: &ErrorKind) -> Option<(usize, i32)> {
    let ErrorKind::InsertMany(InsertManyError { write_errors, write_concern_error: None, .. }) =
        kind
    else {
        return None;
    };
    let first = write_errors.as_ref()?.iter().min_by_key(|error| error.index)?;
    Some((first.index, first.code))
}
