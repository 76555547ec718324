//! Carries out what the node outputs.

use std::time::Duration;

use futures_util::future::try_join_all;
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
use socketio_proto_tokio::cluster::{EngineInputs, EngineLink};
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

/// What writes. Each of its client sessions numbers everything that it writes, so that MongoDB does nothing twice,
/// and nothing that is late.
pub(crate) struct Writer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) mongodb: &'a Mongodb,
    pub(crate) node: NodeId,
    /// The one that writes documents of the channel.
    pub(crate) channel: &'a mut ClientSession,
    /// Those that store and take sessions, several at a time: MongoDB answers when its journal is written.
    pub(crate) sessions: &'a mut [ClientSession],
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
                    self.store.mark(self.channel, &self.node).await?;
                    ping = Instant::now() + PING;
                    continue;
                }
            };
            let Some(output) = output else { return Ok(()) };
            let (mut batch, mut inputs) = (Batch::default(), Vec::new());
            let mut of_sessions = Vec::new();
            let mut next = Some(output);
            while let Some(output) = next {
                if concerned(&output).is_some() {
                    // What it concerns has to come behind the documents.
                    self.insert(&mut batch, &mut inputs).await?;
                    of_sessions.push(output);
                } else {
                    self.carry_out(std::mem::take(&mut of_sessions), link.inputs()).await?;
                    self.add(output, &mut batch, &mut inputs);
                }
                let outputs = batch.documents.len().max(of_sessions.len());
                let has_room = outputs < DOCUMENTS && batch.bytes < BYTES;
                next = if has_room { link.try_recv() } else { None };
            }
            if !batch.documents.is_empty() {
                ping = Instant::now() + PING;
            }
            self.insert(&mut batch, &mut inputs).await?;
            link.inputs().send(inputs).await;
            self.carry_out(of_sessions, link.inputs()).await?;
        }
    }

    /// Adds the document of an output that concerns no session.
    fn add(&mut self, output: ClusterOutput, batch: &mut Batch, inputs: &mut Vec<ClusterInput>) {
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
            ClusterOutput::CountServers { number, .. } => {
                inputs.push(ClusterInput::ServersCounted { number, servers: None });
            }
            // The end of a subscription, or an output of a later version of the core. They get no answer.
            _ => {}
        }
    }

    /// Returns whether the document can be written.
    fn push(
        &self,
        batch: &mut Batch,
        document: Result<MongodbDocument, MessageError>,
        sequence: Option<u64>,
    ) -> bool {
        let sized = document.ok().and_then(|it| sized(self.mongodb, it));
        let Some((mut document, len)) = sized else { return false };
        document.insert("_id", ObjectId::new());
        batch.documents.push(document);
        batch.sequences.push(sequence);
        batch.bytes = batch.bytes.saturating_add(len);
        true
    }

    async fn insert(
        &mut self,
        batch: &mut Batch,
        inputs: &mut Vec<ClusterInput>,
    ) -> Result<(), MongodbEngineError> {
        let Batch { mut documents, mut sequences, .. } = std::mem::take(batch);
        while !documents.is_empty() {
            let all = self.store.collection.insert_many(&documents).session(&mut *self.channel);
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

    /// Carries out what concerns sessions: in order for each of them, and for several at a time.
    async fn carry_out(
        &mut self,
        outputs: Vec<ClusterOutput>,
        inputs: &EngineInputs,
    ) -> Result<(), MongodbEngineError> {
        let Self { store, mongodb, node, sessions, is_capped, .. } = self;
        let count = sessions.len().max(1);
        let mut parts: Vec<Vec<ClusterOutput>> = (0..count).map(|_| Vec::new()).collect();
        for output in outputs {
            let key = concerned(&output).map_or("", RecoveryKey::expose);
            let sum = key.bytes().fold(0, |sum: usize, byte| sum.wrapping_add(byte.into()));
            if let Some(part) = parts.get_mut(sum % count) {
                part.push(output);
            }
        }
        let (store, mongodb, node, is_capped) = (*store, *mongodb, &*node, *is_capped);
        let parts = sessions.iter_mut().zip(parts).filter(|(_, part)| !part.is_empty());
        let parts = parts.map(|(session, part)| async move {
            let mut sessions = Sessions { store, mongodb, node, session, is_capped };
            for output in part {
                inputs.send(sessions.carry_out(output).await?.into_iter().collect()).await;
            }
            Ok::<_, MongodbEngineError>(())
        });
        try_join_all(parts).await.map(drop)
    }
}

/// Stores and takes sessions, one after the other.
struct Sessions<'a> {
    store: &'a Store,
    mongodb: &'a Mongodb,
    node: &'a NodeId,
    session: &'a mut ClientSession,
    is_capped: bool,
}

impl Sessions<'_> {
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
            _ => None,
        })
    }

    async fn put(
        &mut self,
        session: &StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> Result<StoreOutcome, MongodbEngineError> {
        let document = Mongodb::store(self.node, session, expires_in, self.store.clock.unix_ms());
        let sized = document.ok().and_then(|it| sized(self.mongodb, it));
        let Some((document, _)) = sized else { return Ok(StoreOutcome::Refused) };
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

/// The session that an output concerns.
const fn concerned(output: &ClusterOutput) -> Option<&RecoveryKey> {
    match output {
        ClusterOutput::Store { session, .. } => Some(&session.pid),
        ClusterOutput::Fetch { key, .. } | ClusterOutput::Take { key, .. } => Some(key),
        _ => None,
    }
}

/// A document that is not too large, and its length.
fn sized(mongodb: &Mongodb, document: MongodbDocument) -> Option<(Document, usize)> {
    let document = to_bson(document);
    let len = document.to_vec().ok()?.len();
    (len <= mongodb.options().max_message_bytes).then_some((document, len))
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
