//! Stores, fetches and takes sessions.
//!
//! MongoDB answers a write when its journal is written. So what is done with different sessions is done at the same
//! time: new records are inserted with one command, records are found with one, and for the rest there are several
//! client sessions. What is done with one session is done in order.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{TryStreamExt as _, future::try_join_all};
use mongodb::{
    ClientSession,
    bson::{Document, doc},
    error::{Error, ErrorKind, InsertManyError},
};
use socketio_proto::{
    RecoveryKey,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        engines::mongodb::Mongodb,
        message::{NodeId, StoredSession},
    },
};
use socketio_proto_tokio::cluster::EngineInputs;

use crate::{
    document::{from_bson, to_bson},
    error::{MongodbEngineError, is_duplicate, is_of_the_document, write_code},
    setup::Store,
    writer::{BYTES, sized},
};

/// How often a session is written anew because another node has just written it.
const STORES: usize = 3;

/// Carries out what concerns sessions, for many of them at once.
#[derive(Clone, Copy)]
pub(crate) struct AtOnce<'a> {
    pub(crate) store: &'a Store,
    pub(crate) mongodb: &'a Mongodb,
    pub(crate) node: &'a NodeId,
    /// Whether documents cannot be removed from the collection.
    pub(crate) is_capped: bool,
    pub(crate) inputs: &'a EngineInputs,
}

/// A record of which the store has none, as far as the node knows.
struct New {
    session: StoredSession,
    expires_in: Duration,
    number: u64,
}

/// What is done at the same time.
#[derive(Default)]
struct Work {
    new: Vec<New>,
    fetches: Vec<(RecoveryKey, u64)>,
    /// What is done one after the other, for each client session.
    others: Vec<Vec<ClusterOutput>>,
}

impl AtOnce<'_> {
    pub(crate) async fn carry_out(
        self,
        channel: &mut ClientSession,
        sessions: &mut [ClientSession],
        outputs: Vec<ClusterOutput>,
    ) -> Result<(), MongodbEngineError> {
        let Work { new, fetches, others } =
            Work::of(outputs, sessions.len().max(1), self.is_capped);
        let others = sessions.iter_mut().zip(others).filter(|(_, part)| !part.is_empty());
        let others = others.map(|(session, part)| async move {
            let mut sessions = Sessions { at_once: self, session };
            for output in part {
                self.inputs.send(sessions.carry_out(output).await?.into_iter().collect()).await;
            }
            Ok::<_, MongodbEngineError>(())
        });
        let (new, fetches) = (self.insert(channel, new), self.fetch(fetches));
        tokio::try_join!(new, fetches, try_join_all(others)).map(drop)
    }

    /// Inserts new records. If there is one already, it is replaced.
    async fn insert(
        self,
        session: &mut ClientSession,
        new: Vec<New>,
    ) -> Result<(), MongodbEngineError> {
        let mut sessions = Sessions { at_once: self, session };
        let mut new = new.into_iter().peekable();
        while new.peek().is_some() {
            let (mut part, mut documents, mut bytes, mut stored) =
                (vec![], vec![], 0_usize, vec![]);
            while let Some(record) = new.next_if(|_| bytes < BYTES) {
                let Some((document, len)) = self.record(&record.session, record.expires_in) else {
                    stored.push(record.answer(StoreOutcome::Refused));
                    continue;
                };
                let mut inserted = to_bson(Mongodb::to_replace(&record.session.pid, None));
                inserted.extend(document);
                documents.push(inserted);
                bytes = bytes.saturating_add(len);
                part.push(record);
            }
            let codes = sessions.insert(&documents).await?;
            for (index, New { session, expires_in, number }) in part.into_iter().enumerate() {
                let outcome = match codes.get(&index).copied() {
                    None => StoreOutcome::Stored,
                    Some(code) if is_of_the_document(code) => StoreOutcome::Refused,
                    Some(_) => sessions.put(&session, expires_in, None).await?,
                };
                stored.push(ClusterInput::Stored { number, outcome });
            }
            self.inputs.send(stored).await;
        }
        Ok(())
    }

    /// Finds records.
    async fn fetch(self, fetches: Vec<(RecoveryKey, u64)>) -> Result<(), MongodbEngineError> {
        let Some((first, _)) = fetches.first() else { return Ok(()) };
        let mut filter = to_bson(Mongodb::of_session(first));
        let keys = fetches.iter().map(|(key, _)| key.expose()).collect::<Vec<_>>();
        filter.insert("data.pid", doc! { "$in": keys });
        let raw = self.store.raw();
        let mut documents = self.store.in_time(raw.find(filter)).await?;
        let mut found = BTreeMap::new();
        while let Some(document) = self.store.in_time(documents.try_next()).await? {
            if let Some(session) = self.read(&document) {
                found.entry(session.session.pid.expose().to_owned()).or_insert(session);
            }
        }
        let answers = fetches.into_iter().map(|(key, number)| ClusterInput::Fetched {
            number,
            session: found.remove(key.expose()),
        });
        self.inputs.send(answers.collect()).await;
        Ok(())
    }

    /// The document of a record, and its length. `None` if it cannot be stored.
    fn record(self, session: &StoredSession, expires_in: Duration) -> Option<(Document, usize)> {
        let document = Mongodb::store(self.node, session, expires_in, self.store.clock.unix_ms());
        sized(self.mongodb, document.ok()?)
    }

    fn read(self, document: &mongodb::bson::RawDocument) -> Option<FetchedSession> {
        let found = Mongodb::session(&from_bson(document)?, self.store.clock.unix_ms())?;
        let expires_in = found.expires_in.unwrap_or(Duration::MAX);
        Some(FetchedSession::new(found.session.ok()?, expires_in))
    }
}

impl New {
    const fn answer(&self, outcome: StoreOutcome) -> ClusterInput {
        ClusterInput::Stored { number: self.number, outcome }
    }
}

impl Work {
    /// What is done for `count` client sessions. With `is_capped`, nothing is stored.
    fn of(outputs: Vec<ClusterOutput>, count: usize, is_capped: bool) -> Self {
        let key =
            |output: &ClusterOutput| concerned(output).map_or("", RecoveryKey::expose).to_owned();
        let mut times = BTreeMap::new();
        for output in &outputs {
            *times.entry(key(output)).or_insert(0_usize) += 1;
        }
        let mut work = Self { others: (0..count).map(|_| Vec::new()).collect(), ..Self::default() };
        for output in outputs {
            let key = key(&output);
            let is_alone = !is_capped && times.get(&key) == Some(&1);
            match output {
                ClusterOutput::Store { session, expires_in, replaces: None, number }
                    if is_alone =>
                {
                    work.new.push(New { session, expires_in, number });
                }
                ClusterOutput::Fetch { key, number } if is_alone => {
                    work.fetches.push((key, number));
                }
                output => {
                    let sum = key.bytes().fold(0, |sum: usize, byte| sum.wrapping_add(byte.into()));
                    if let Some(part) = work.others.get_mut(sum % count) {
                        part.push(output);
                    }
                }
            }
        }
        work
    }
}

/// Stores and takes sessions, one after the other.
struct Sessions<'a> {
    at_once: AtOnce<'a>,
    session: &'a mut ClientSession,
}

impl Sessions<'_> {
    async fn carry_out(
        &mut self,
        output: ClusterOutput,
    ) -> Result<Option<ClusterInput>, MongodbEngineError> {
        Ok(match output {
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let outcome = if self.at_once.is_capped {
                    StoreOutcome::Refused
                } else {
                    self.put(&session, expires_in, replaces).await?
                };
                Some(ClusterInput::Stored { number, outcome })
            }
            ClusterOutput::Fetch { number, .. } | ClusterOutput::Take { number, .. }
                if self.at_once.is_capped =>
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

    /// Inserts documents. Returns the numbers of the errors of those that were not inserted.
    async fn insert(
        &mut self,
        documents: &[Document],
    ) -> Result<BTreeMap<usize, i32>, MongodbEngineError> {
        if documents.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all = self.at_once.store.collection.insert_many(documents).ordered(false);
        match self.at_once.store.in_time(all.session(&mut *self.session)).await {
            Ok(_) => Ok(BTreeMap::new()),
            Err(MongodbEngineError::Mongodb(error)) => refused(error),
            Err(error) => Err(error),
        }
    }

    async fn put(
        &mut self,
        session: &StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> Result<StoreOutcome, MongodbEngineError> {
        let record = self.at_once.record(session, expires_in);
        let Some((document, _)) = record else { return Ok(StoreOutcome::Refused) };
        let mut left = STORES;
        loop {
            let filter = to_bson(Mongodb::to_replace(&session.pid, replaces));
            let replace = self.at_once.store.collection.replace_one(filter, &document);
            let replace = replace.upsert(replaces.is_none()).session(&mut *self.session);
            let error = match self.at_once.store.in_time(replace).await {
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
        let raw = self.at_once.store.raw();
        let find = raw.find_one(to_bson(Mongodb::of_session(key)));
        let found = self.at_once.store.in_time(find.session(&mut *self.session)).await?;
        Ok(found.and_then(|found| self.at_once.read(&found)))
    }

    async fn take(
        &mut self,
        key: &RecoveryKey,
        version: Option<u64>,
    ) -> Result<Option<FetchedSession>, MongodbEngineError> {
        let filter = to_bson(Mongodb::to_take(key, version));
        let raw = self.at_once.store.raw();
        let take = raw.find_one_and_delete(filter).sort(doc! { "createdAt": -1 });
        match self.at_once.store.in_time(take.session(&mut *self.session)).await? {
            Some(taken) => Ok(self.at_once.read(&taken)),
            // The node learns what is there instead.
            None => self.fetch(key).await,
        }
    }
}

/// The session that an output concerns.
pub(crate) const fn concerned(output: &ClusterOutput) -> Option<&RecoveryKey> {
    match output {
        ClusterOutput::Store { session, .. } => Some(&session.pid),
        ClusterOutput::Fetch { key, .. } | ClusterOutput::Take { key, .. } => Some(key),
        _ => None,
    }
}

/// The documents that were not inserted because of what they are, or because they are there.
fn refused(error: Error) -> Result<BTreeMap<usize, i32>, MongodbEngineError> {
    let ErrorKind::InsertMany(InsertManyError {
        write_errors: Some(errors),
        write_concern_error: None,
        ..
    }) = &*error.kind
    else {
        return Err(error.into());
    };
    let codes: BTreeMap<usize, i32> = errors.iter().map(|it| (it.index, it.code)).collect();
    let is_answer = |code: &i32| is_duplicate(*code) || is_of_the_document(*code);
    if codes.values().all(is_answer) { Ok(codes) } else { Err(error.into()) }
}
