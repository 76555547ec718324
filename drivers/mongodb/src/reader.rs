//! Reads the change stream.

use std::{convert::Infallible, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _};
use mongodb::{
    bson::{RawDocumentBuf, Timestamp},
    change_stream::{
        ChangeStream,
        event::{ChangeStreamEvent, OperationType},
    },
};
use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::mongodb::{Mongodb, MongodbChange, MongodbPosition},
        message::NodeId,
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::EngineInputs;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    document::{from_bson, to_bson},
    error::{MongodbEngineError, is_history_lost},
    setup::Store,
};

/// Changes that are handed in at once.
const BATCH: usize = 500;
/// How often this node inserts something, at least. So a change stream in which nothing comes is broken.
pub(crate) const PING: Duration = Duration::from_secs(5);

type Change = ChangeStreamEvent<RawDocumentBuf>;

/// How far the change stream was read, over all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// The latest change that was read.
    pub(crate) read: Option<MongodbPosition>,
    /// The position of the latest entry that was handed in, or the one behind which the node has begun.
    pub(crate) entry: Option<Offset>,
    /// Whether changes are lost behind this place, or cannot be read.
    pub(crate) is_lost: bool,
}

/// The change stream.
pub(crate) struct Reader<'a> {
    mongodb: &'a Mongodb,
    node: NodeId,
    stream: ChangeStream<Change>,
    progress: &'a mut Progress,
    /// Nothing up to here is handed in again.
    skip: Option<MongodbPosition>,
    /// The place of the latest change, of those that this connection has counted.
    counted: Option<MongodbPosition>,
    idle: Duration,
}

impl<'a> Reader<'a> {
    /// Opens the change stream. Returns the position behind which every entry can be read as well.
    ///
    /// It begins behind what was read, or as far back as the options say, or with what is still there.
    pub(crate) async fn open(
        store: &Store,
        mongodb: &'a Mongodb,
        node: NodeId,
        progress: &'a mut Progress,
        now: Timestamp,
    ) -> Result<(Self, Offset), MongodbEngineError> {
        let mut refused = None;
        for start in starts(progress, now, mongodb.options().history) {
            let pipeline = [to_bson(Mongodb::pipeline())];
            let collection = store.raw();
            let watch = collection.watch().pipeline(pipeline).start_at_operation_time(start.time);
            match store.in_time(watch).await {
                Ok(stream) => {
                    let oldest = start.oldest();
                    if !start.is_continued {
                        *progress = Progress { read: None, entry: Some(oldest), is_lost: false };
                    }
                    let skip = progress.read;
                    let idle = PING.saturating_add(store.answer);
                    let stream = stream.with_type();
                    let reader =
                        Self { mongodb, node, stream, progress, skip, counted: None, idle };
                    return Ok((reader, oldest));
                }
                Err(MongodbEngineError::Mongodb(error)) if is_history_lost(&error) => {
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.map_or(MongodbEngineError::Ended, MongodbEngineError::HistoryLost))
    }

    /// Hands in the entries behind the position that is asked for, and the messages.
    pub(crate) async fn run(
        mut self,
        inputs: &EngineInputs,
        read: oneshot::Receiver<Offset>,
    ) -> Result<Infallible, MongodbEngineError> {
        let Ok(after) = read.await else { return std::future::pending().await };
        loop {
            let first = timeout(self.idle, self.stream.next()).await;
            let mut next = Some(first.map_err(|_| MongodbEngineError::Timeout)?);
            let (mut batch, mut ended) = (Vec::new(), None);
            let mut progress = *self.progress;
            while let Some(change) = next {
                match self.take(change, after, &mut progress) {
                    Ok(input) => batch.extend(input),
                    Err(error) => {
                        ended = Some(error);
                        break;
                    }
                }
                if batch.len() >= BATCH {
                    break;
                }
                next = self.stream.next().now_or_never();
            }
            inputs.send(batch).await;
            // Only what was handed in was read.
            *self.progress = progress;
            if let Some(error) = ended {
                return Err(error);
            }
        }
    }

    fn take(
        &mut self,
        change: Option<mongodb::error::Result<Change>>,
        after: Offset,
        progress: &mut Progress,
    ) -> Result<Option<ClusterInput>, MongodbEngineError> {
        let change = match change {
            Some(Ok(change)) => change,
            Some(Err(error)) if is_history_lost(&error) => {
                progress.is_lost = true;
                return Err(MongodbEngineError::HistoryLost(error));
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Err(MongodbEngineError::Ended),
        };
        let unexpected = MongodbEngineError::Unexpected { command: "aggregate" };
        let time = change.cluster_time.ok_or(unexpected)?;
        let position = self.counted.map_or_else(
            || MongodbPosition::new(time.time, time.increment),
            |counted| counted.next(time.time, time.increment),
        );
        self.counted = Some(position);
        if change.operation_type == OperationType::Invalidate {
            // The next change stream must not begin with it.
            progress.read = Some(last_of(time));
            return Err(MongodbEngineError::Ended);
        }
        if self.skip.is_some_and(|skip| position <= skip) {
            return Ok(None);
        }
        progress.read = Some(position);
        let Some(document) = change.full_document else { return Ok(None) };
        let offset = position.offset();
        let input = match from_bson(&document) {
            Some(read) => self.input(self.mongodb.change(&read, document.as_bytes().len()), offset),
            None => Some(ClusterInput::Entry { channel: 0, position: offset, message: None }),
        };
        if !matches!(input, Some(ClusterInput::Entry { .. })) {
            return Ok(input);
        }
        if offset <= after {
            return Ok(None);
        }
        progress.entry = Some(offset);
        Ok(input)
    }

    fn input(&self, change: MongodbChange, position: Offset) -> Option<ClusterInput> {
        match change {
            MongodbChange::Entry(message) => {
                Some(ClusterInput::Entry { channel: 0, position, message: message.ok() })
            }
            MongodbChange::Published { to, message } => {
                let is_for_this = to.is_none_or(|to| to == self.node.as_str());
                let is_own = message.sender == self.node;
                (is_for_this && !is_own).then_some(ClusterInput::Message(message))
            }
            _ => None,
        }
    }
}

/// Where a change stream can begin.
struct Start {
    time: Timestamp,
    /// Whether it continues where the node has stopped.
    is_continued: bool,
    entry: Option<Offset>,
}

impl Start {
    fn oldest(&self) -> Offset {
        let increment = self.time.increment.saturating_sub(1);
        let before = last_of(Timestamp { increment, ..self.time }).offset();
        self.entry.unwrap_or(before)
    }
}

fn starts(progress: &Progress, now: Timestamp, history: Duration) -> Vec<Start> {
    let mut starts = Vec::new();
    let anew = |time| Start { time, is_continued: false, entry: None };
    if !progress.is_lost {
        if let Some(read) = progress.read {
            let increment = read.increment.saturating_add(u32::from(read.index == u32::MAX));
            let time = Timestamp { time: read.seconds, increment };
            starts.push(Start { time, is_continued: true, entry: progress.entry });
        }
        let history = u32::try_from(history.as_secs()).unwrap_or(u32::MAX);
        for history in [history, history / 8] {
            starts.push(anew(Timestamp { time: now.time.saturating_sub(history), increment: 1 }));
        }
    }
    starts.push(anew(Timestamp { time: now.time, increment: now.increment.saturating_add(1) }));
    starts
}

/// The place behind all changes with a cluster time.
pub(crate) fn last_of(time: Timestamp) -> MongodbPosition {
    let mut position = MongodbPosition::new(time.time, time.increment);
    position.index = u32::MAX;
    position
}
