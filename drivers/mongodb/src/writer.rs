//! Carries out what the node outputs.

use mongodb::{
    ClientSession,
    bson::{Document, oid::ObjectId},
    error::{ErrorKind, InsertManyError},
};
use socketio_proto::{
    cluster::{
        ClusterInput, ClusterOutput,
        engines::mongodb::{Mongodb, MongodbDocument},
        message::{MessageError, NodeId},
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::{EngineInputs, EngineLink};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    document::to_bson,
    error::{MongodbEngineError, is_duplicate, is_of_the_document},
    reader::PING,
    sessions::{AtOnce, concerned},
    setup::Store,
};

/// Documents that are inserted at once.
const DOCUMENTS: usize = 500;
/// Bytes of documents that are inserted without more.
pub(crate) const BYTES: usize = 1 << 20;

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

    /// Carries out what concerns sessions.
    async fn carry_out(
        &mut self,
        outputs: Vec<ClusterOutput>,
        inputs: &EngineInputs,
    ) -> Result<(), MongodbEngineError> {
        let Self { store, mongodb, node, is_capped, .. } = self;
        let at_once = AtOnce { store, mongodb, node, is_capped: *is_capped, inputs };
        at_once.carry_out(self.channel, self.sessions, outputs).await
    }
}

/// A document that is not too large, and its length.
pub(crate) fn sized(mongodb: &Mongodb, document: MongodbDocument) -> Option<(Document, usize)> {
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
