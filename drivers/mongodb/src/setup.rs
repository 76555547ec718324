//! Finds out what MongoDB is, and prepares the collection.

use std::time::Duration;

use mongodb::{
    ClientSession, Collection, IndexModel,
    bson::{Document, RawDocumentBuf, Timestamp, doc, oid::ObjectId},
    error::{Error, ErrorKind},
    options::IndexOptions,
};
use socketio_proto::cluster::{
    engines::mongodb::{Mongodb, MongodbOptions},
    message::NodeId,
};
use tokio::time::timeout;

use crate::{clock::Clock, document::to_bson, error::MongodbEngineError};

/// What MongoDB 5.0 speaks.
const WIRE_VERSION: i64 = 13;
/// `NamespaceExists`, `IndexOptionsConflict` and `IndexKeySpecsConflict`.
const EXISTS: [i32; 3] = [48, 85, 86];

/// The collection, how long MongoDB may take to answer, and its clock.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) collection: Collection<Document>,
    pub(crate) answer: Duration,
    pub(crate) clock: Clock,
}

impl Store {
    /// Waits for an answer, but not for longer than MongoDB may take.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<T, MongodbEngineError> {
        match timeout(self.answer, answer.into_future()).await {
            Ok(answered) => Ok(answered?),
            Err(_) => Err(MongodbEngineError::Timeout),
        }
    }

    /// Asks which server this is, and what time it is there. Returns the cluster time up to which everything
    /// has happened.
    pub(crate) async fn hello(&self) -> Result<Timestamp, MongodbEngineError> {
        let database = self.collection.client().database("admin");
        let hello = self.in_time(database.run_command(doc! { "hello": 1 })).await?;
        let is_shards = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        if hello.get_str("setName").is_err() && !is_shards {
            return Err(MongodbEngineError::Standalone);
        }
        let wire_version = hello.get("maxWireVersion").and_then(|it| match it {
            mongodb::bson::Bson::Int32(number) => Some(i64::from(*number)),
            mongodb::bson::Bson::Int64(number) => Some(*number),
            _ => None,
        });
        let unexpected = MongodbEngineError::Unexpected { command: "hello" };
        match wire_version {
            Some(wire_version) if wire_version < WIRE_VERSION => {
                Err(MongodbEngineError::Version { wire_version })
            }
            Some(_) => {
                let time = hello.get_datetime("localTime").map(|time| time.timestamp_millis());
                let time = time.ok().and_then(|ms| u64::try_from(ms).ok());
                self.clock.set(time.ok_or(MongodbEngineError::Unexpected { command: "hello" })?);
                hello.get_timestamp("operationTime").map_err(|_| unexpected)
            }
            None => Err(unexpected),
        }
    }

    /// Makes the collection with its indexes, if they are not there. Returns whether it is capped:
    /// then documents cannot be removed from it.
    pub(crate) async fn prepare(
        &self,
        options: &MongodbOptions,
    ) -> Result<bool, MongodbEngineError> {
        let name = self.collection.name();
        let database = self.collection.client().database(&self.collection.namespace().db);
        let list = doc! { "listCollections": 1, "filter": { "name": name } };
        let listed = self.in_time(database.run_command(list)).await?;
        let found = listed.get_document("cursor").and_then(|it| it.get_array("firstBatch"));
        let found =
            found.map_err(|_| MongodbEngineError::Unexpected { command: "listCollections" })?;
        let is_capped = found.first().and_then(|it| it.as_document()).is_some_and(|it| {
            it.get_document("options").is_ok_and(|it| it.get_bool("capped").unwrap_or_default())
        });
        if is_capped {
            return Ok(true);
        }
        if found.is_empty() {
            is_done(self.in_time(database.create_collection(name)).await)?;
        }
        let expires = IndexOptions::builder().expire_after(options.expire_after).build();
        let expires = IndexModel::builder().keys(doc! { "createdAt": 1 }).options(expires).build();
        let sessions =
            IndexOptions::builder().partial_filter_expression(doc! { "type": 13 }).build();
        let sessions = IndexModel::builder().keys(doc! { "data.pid": 1 }).options(sessions).build();
        for index in [expires, sessions] {
            is_done(self.in_time(self.collection.create_index(index)).await)?;
        }
        Ok(false)
    }

    /// Inserts a marker. Nothing that was sent in this session before takes effect after it.
    pub(crate) async fn mark(
        &self,
        session: &mut ClientSession,
        node: &NodeId,
    ) -> Result<(), MongodbEngineError> {
        let mut marker = to_bson(Mongodb::marker(node, self.clock.unix_ms()));
        marker.insert("_id", ObjectId::new());
        let inserted = self.collection.insert_one(marker).session(session);
        self.in_time(inserted).await?;
        Ok(())
    }

    /// The collection, with documents that nobody has looked at.
    pub(crate) fn raw(&self) -> Collection<RawDocumentBuf> {
        self.collection.clone_with_type()
    }
}

/// What is there already is as good.
fn is_done<T>(made: Result<T, MongodbEngineError>) -> Result<(), MongodbEngineError> {
    match made {
        Err(MongodbEngineError::Mongodb(error)) => match &*error.kind {
            ErrorKind::Command(command) if EXISTS.contains(&command.code) => Ok(()),
            _ => Err(error.into()),
        },
        made => made.map(|_| ()),
    }
}
