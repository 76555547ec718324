//! The engine.

use std::{fmt, time::Duration};

use futures_util::future::try_join_all;
use mongodb::{
    Client, ClientSession, Namespace,
    options::{Acknowledgment, ClientOptions, CollectionOptions, ConnectionString, WriteConcern},
};
use socketio_proto::cluster::{
    ClusterInput,
    engines::mongodb::{Mongodb, MongodbOptions},
};
use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};
use tokio::sync::oneshot;

use crate::{
    clock::{Clock, follow},
    error::MongodbEngineError,
    reader::{Progress, Reader, last_of},
    setup::Store,
    writer::Writer,
};

/// How long MongoDB may take to answer, if nothing else is configured.
const ANSWER: Duration = Duration::from_secs(10);
/// How many Socket.IO sessions are stored or taken at a time. Each command waits for the journal, and a client
/// that comes back for a second at most.
const SESSIONS: usize = 16;

/// Connects a server with the other nodes of its cluster over MongoDB.
///
/// ```no_run
/// use socketio_proto::cluster::ClusterConfig;
/// use socketio_proto::server::Server;
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_mongodb::{MongodbEngine, MongodbOptions};
/// use socketio_proto_tokio::{App, entropy, run_clustered};
/// use tokio::net::TcpListener;
///
/// async fn serve(app: impl App<Data = ()>) -> Result<(), Box<dyn std::error::Error>> {
///     let config = ServerConfig::new().recovery(RecoveryConfig::new());
///     let node = ClusterConfig::from_entropy(&mut entropy);
///     let mut server = Server::clustered(config, node, entropy)?;
///     server.at(Timestamp::ZERO).add_namespace("/")?;
///     let url = "mongodb://localhost/mydb.socket.io-adapter-events?replicaSet=rs0";
///     let engine = MongodbEngine::open(url, MongodbOptions::new())?;
///     run_clustered(TcpListener::bind("127.0.0.1:3000").await?, server, app, engine).await;
///     Ok(())
/// }
/// ```
pub struct MongodbEngine {
    address: Address,
    namespace: Namespace,
    mongodb: Mongodb,
    answer: Duration,
    progress: Progress,
    /// With a client session for the channel, and those for Socket.IO sessions.
    connected: Option<(Store, Vec<ClientSession>)>,
}

/// Where MongoDB is.
enum Address {
    Url(Box<ConnectionString>),
    Client(Client),
}

impl MongodbEngine {
    /// Makes an engine with a URL: `mongodb://[user:password@]host[:port],…/database.collection[?options]`, or
    /// `mongodb+srv://…` with the feature `dns`. It connects when the server is started.
    ///
    /// # Errors
    ///
    /// [`MongodbEngineError::Url`] if the URL names no collection, [`MongodbEngineError::Mongodb`] if it cannot
    /// be used, and [`MongodbEngineError::Config`] if an option cannot.
    pub fn open(url: &str, options: MongodbOptions) -> Result<Self, MongodbEngineError> {
        let (url, namespace) = split(url).ok_or(MongodbEngineError::Url)?;
        let address = Address::Url(ConnectionString::parse(url)?.into());
        Self::make(address, namespace, options)
    }

    /// Makes an engine with a client of the `mongodb` crate. Each engine needs one of its own, whose options
    /// do not switch `retry_writes` off.
    ///
    /// # Errors
    ///
    /// [`MongodbEngineError::Config`] if an option cannot be used.
    pub fn new(
        client: Client,
        namespace: Namespace,
        options: MongodbOptions,
    ) -> Result<Self, MongodbEngineError> {
        Self::make(Address::Client(client), namespace, options)
    }

    fn make(
        address: Address,
        namespace: Namespace,
        options: MongodbOptions,
    ) -> Result<Self, MongodbEngineError> {
        Ok(Self {
            address,
            namespace,
            mongodb: Mongodb::new(options)?,
            answer: ANSWER,
            progress: Progress::default(),
            connected: None,
        })
    }

    /// Sets how long MongoDB may take to connect and to answer a command. Default 10 seconds. After that
    /// the connection counts as lost.
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer = timeout;
        self
    }

    async fn connect(&self) -> Result<(Store, Vec<ClientSession>), MongodbEngineError> {
        let client = match &self.address {
            Address::Client(client) => client.clone(),
            Address::Url(url) => {
                let mut options = ClientOptions::parse((**url).clone()).await?;
                // MongoDB itself tells a repetition from a new write, and refuses a late one.
                options.retry_writes = Some(true);
                options.connect_timeout.get_or_insert(self.answer);
                options.server_selection_timeout.get_or_insert(self.answer);
                Client::with_options(options)?
            }
        };
        let mut sessions = Vec::with_capacity(SESSIONS + 1);
        for _ in 0..=SESSIONS {
            sessions.push(client.start_session().causal_consistency(false).await?);
        }
        // A majority that has not written its journal can forget what the nodes have read already.
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let options = CollectionOptions::builder().write_concern(majority).build();
        let Namespace { db, coll } = &self.namespace;
        let collection = client.database(db).collection_with_options(coll, options);
        Ok((Store { collection, answer: self.answer, clock: Clock::new() }, sessions))
    }

    async fn work(&mut self, link: &mut EngineLink) -> Result<(), MongodbEngineError> {
        if self.connected.is_none() {
            self.connected = Some(self.connect().await?);
        }
        let Some((store, sessions)) = &mut self.connected else { return Ok(()) };
        let (store, mongodb) = (&*store, &self.mongodb);
        let (node, inputs) = (link.node().clone(), link.inputs().clone());
        store.hello().await?;
        let is_capped = store.prepare(mongodb.options()).await?;
        // What was sent before takes effect before this, or never.
        try_join_all(sessions.iter_mut().map(|session| store.mark(session, &node))).await?;
        let Some((channel, sessions)) = sessions.split_first_mut() else { return Ok(()) };
        let now = store.hello().await?;
        let progress = &mut self.progress;
        let (reader, oldest) = Reader::open(store, mongodb, node.clone(), progress, now).await?;
        let head = last_of(now).offset();
        // It is read after everything up to here.
        store.mark(channel, &node).await?;
        inputs.send(vec![ClusterInput::Connected { channel: 0, oldest, head }]).await;
        let (read, to_read) = oneshot::channel();
        let read = Some(read);
        let writer = Writer { store, mongodb, node, channel, sessions, is_capped, read };
        // Whatever ends first drops the others.
        tokio::select! {
            written = writer.run(link) => written,
            Err(error) = reader.run(&inputs, to_read) => Err(error),
            Err(error) = follow(store) => Err(error),
        }
    }
}

impl Engine for MongodbEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        Ok(self.work(link).await?)
    }
}

impl fmt::Debug for MongodbEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongodbEngine").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Takes the name of the collection out of a URL. Names of databases have no dots.
fn split(url: &str) -> Option<(String, Namespace)> {
    let (scheme, rest) = url.split_once("://")?;
    let (hosts, path) = rest.split_once('/')?;
    let (names, options) = match path.split_once('?') {
        Some((names, options)) => (names, format!("?{options}")),
        None => (path, String::new()),
    };
    let (db, coll) = names.split_once('.')?;
    if db.is_empty() || coll.is_empty() {
        return None;
    }
    Some((format!("{scheme}://{hosts}/{db}{options}"), Namespace::new(db, coll)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_the_collection() {
        let table = [
            ("mongodb://h/db.c", "mongodb://h/db", "db.c"),
            ("mongodb://u:p@h:1,i:2/db.c.d-e?a=b.c", "mongodb://u:p@h:1,i:2/db?a=b.c", "db.c.d-e"),
        ];
        for (url, expected, namespace) in table {
            let (url, found) = split(url).unwrap();
            assert_eq!((&*url, &*found.to_string()), (expected, namespace));
        }
        for url in
            ["mongodb://h", "mongodb://h/", "mongodb://h/db", "mongodb://h/.c", "mongodb://h/db.?x"]
        {
            let refused = MongodbEngine::open(url, MongodbOptions::new());
            assert!(matches!(refused, Err(MongodbEngineError::Url)), "{url}");
        }
    }
}
