//! The engine.

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::{Client, IntoConnectionInfo};
use socketio_proto::{
    cluster::{
        Channels, ClusterInput,
        engines::redis_streams::{RedisReply, RedisStreams, RedisStreamsOptions, StreamInfo},
        message::MessageNames,
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};
use tokio::sync::mpsc;

use crate::{
    bounds::Bounds,
    connection::{Connection, ServerId, not_expected, with_pushes},
    error::{RedisEngineError, count_too_large},
    position::Position,
    reader::{Reader, stream_info},
    resp::Entries,
    subscriptions::Subscriptions,
    writer::Writer,
};

/// Connects a server with the other nodes of its cluster over Redis.
///
/// ```no_run
/// use socketio_proto::cluster::ClusterConfig;
/// use socketio_proto::server::Server;
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_redis::{RedisEngine, RedisStreamsOptions};
/// use socketio_proto_tokio::{App, entropy, run_clustered};
/// use tokio::net::TcpListener;
///
/// async fn serve(app: impl App<Data = ()>) -> Result<(), Box<dyn std::error::Error>> {
///     let config = ServerConfig::new().recovery(RecoveryConfig::new());
///     let node = ClusterConfig::from_entropy(&mut entropy);
///     let mut server = Server::clustered(config, node, entropy)?;
///     server.at(Timestamp::ZERO).add_namespace("/")?;
///     let options = RedisStreamsOptions::new().max_len(100_000);
///     let engine = RedisEngine::open("redis://localhost", options)?;
///     run_clustered(TcpListener::bind("127.0.0.1:3000").await?, server, app, engine).await;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct RedisEngine {
    client: Client,
    redis: RedisStreams,
    bounds: Bounds,
    /// The connection for commands that was there before.
    earlier: Option<ServerId>,
    /// The same of the connection for subscriptions.
    subscriber: Option<ServerId>,
    /// How far each stream was read.
    positions: Vec<Option<Position>>,
    /// How many entries of each stream are read one at a time, because so many at once were too large.
    large: Vec<u32>,
    suspects: usize,
}

impl RedisEngine {
    /// Makes an engine with the URL of a Redis: `redis://[user:password@]host[:port][/database]`,
    /// `rediss://…` for TLS with the feature `tls`, or `unix:///path`. It connects when the server is
    /// started.
    ///
    /// # Errors
    ///
    /// [`RedisEngineError::Connection`] if the URL cannot be used, and [`RedisEngineError::Config`] if an
    /// option cannot.
    pub fn open(
        url: impl IntoConnectionInfo,
        options: RedisStreamsOptions,
    ) -> Result<Self, RedisEngineError> {
        Self::new(&Client::open(url)?, options)
    }

    /// Makes an engine with a client of the `redis` crate, which can have certificates of its own. Of
    /// the rest, its address, user and database are used.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn new(client: &Client, options: RedisStreamsOptions) -> Result<Self, RedisEngineError> {
        let redis = RedisStreams::new(options)?;
        let client = with_pushes(client)?;
        Ok(Self {
            client,
            redis,
            bounds: Bounds::default(),
            earlier: None,
            subscriber: None,
            positions: Vec::new(),
            large: Vec::new(),
            suspects: 0,
        })
    }

    /// Returns how namespaces are spread over streams, for
    /// [`ClusterConfig::channels`](socketio_proto::cluster::ClusterConfig#structfield.channels). Needed with
    /// a [`stream_count`](RedisStreamsOptions#structfield.stream_count) above 1.
    pub const fn channels(&self) -> Channels {
        self.redis.channels()
    }

    /// Sets how long Redis may take to connect and to answer a command. Default 5 seconds. After that the
    /// connection counts as lost. A reader waits longer by
    /// [`block_time_in_ms`](RedisStreamsOptions#structfield.block_time_in_ms).
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.bounds.answer = timeout;
        self
    }

    /// Sets how many bytes a reply of Redis may have, and anything that is published. Default 1 GiB. The
    /// values in a reply may take as many bytes again. With more, the connection ends with
    /// [`ReplyTooLarge`](RedisEngineError::ReplyTooLarge), and then
    /// [`read_count`](RedisStreamsOptions#structfield.read_count) entries are read one at a time. So the limit
    /// has to be more than two of the largest entries. Redis takes no values of more than
    /// `proto-max-bulk-len`, 512 MB, unless it is told otherwise.
    ///
    /// With `rediss://` the `redis` crate reads, which has no such limit.
    #[must_use]
    pub const fn max_reply_bytes(mut self, limit: usize) -> Self {
        self.bounds.reply = limit;
        self
    }

    async fn work(&mut self, link: &mut EngineLink) -> Result<(), RedisEngineError> {
        let Self { client, redis, bounds, earlier, subscriber, positions, large, suspects } = self;
        let mut commands = Connection::open(client, *bounds).await?;
        let server = commands.server().await?;
        for earlier in [&*earlier, subscriber] {
            commands.end_earlier(&server, earlier.as_ref()).await?;
        }
        *earlier = Some(server);
        let (node, inputs) = (link.node().clone(), link.inputs().clone());
        let subscribed = Subscriptions::open(redis, &node, client, *bounds, inputs.clone()).await?;
        *subscriber = Some(subscribed.server().clone());

        let names: Vec<String> = redis.streams().collect();
        positions.resize(names.len(), None);
        large.resize(names.len(), 0);
        let block = Duration::from_millis(redis.options().block_time_in_ms.into());
        let (mut connected, mut reads, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        let reading = Bounds { answer: bounds.answer.saturating_add(block), ..*bounds };
        let states = positions.iter_mut().zip(large);
        for ((channel, stream), (position, large)) in (0..).zip(&names).zip(states) {
            let connection = Connection::open(client, reading).await?;
            let mut info = stream_info(&commands.call(&RedisStreams::info(stream)).await?)?;
            if position.is_some_and(|read| is_hidden(read, &info)) {
                mark(&mut commands, stream).await?;
                info = stream_info(&commands.call(&RedisStreams::info(stream)).await?)?;
            }
            let oldest = oldest(*position, &info);
            connected.push(ClusterInput::Connected { channel, oldest, head: info.last });
            let (read, to_read) = mpsc::unbounded_channel();
            reads.push(read);
            let oldest = Position::oldest(&info);
            let entries = Entries { redis, channel, names: MessageNames::default() };
            let is_behind = false;
            let reader = Reader { entries, stream, connection, oldest, position, large, is_behind };
            readers.push(reader.run(&inputs, to_read));
        }
        inputs.send(connected).await;
        let (subscriptions, changes) = mpsc::unbounded_channel();
        let subscribing = Vec::new();
        let writer =
            Writer { redis, connection: commands, reads, subscriptions, subscribing, suspects };
        // Whatever ends first drops the others, and with them their connections.
        tokio::select! {
            written = writer.run(link) => written,
            Err(error) = try_join_all(readers) => Err(error),
            Err(error) = subscribed.run(&inputs, changes) => Err(error),
        }
    }
}

impl Engine for RedisEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        let worked = self.work(link).await;
        Ok(worked.inspect_err(|error| count_too_large(error, link.inputs()))?)
    }
}

/// The position behind which no entry is missing for a node that has read the stream up to `read`.
fn oldest(read: Option<Position>, info: &StreamInfo) -> Offset {
    let oldest = info.complete_after();
    let Some(read) = read else { return oldest };
    if read.is_continued(&[], info) {
        oldest.min(read.at)
    } else if read.at < oldest {
        oldest
    } else {
        // What is there is another stream, which has taken the place of the one that was read.
        info.last
    }
}

/// Whether entries are missing and no position tells it, because all of the stream that has taken the
/// place of the other one was read as well.
fn is_hidden(read: Position, info: &StreamInfo) -> bool {
    read.at == info.last && !read.is_continued(&[], info)
}

/// Appends an entry that every node skips, official ones included.
async fn mark(connection: &mut Connection, stream: &str) -> Result<(), RedisEngineError> {
    let mut mark = redis::cmd("XADD");
    mark.arg(stream).arg(&["*", "uid", "gap", "nsp", "/", "type", "64", "data", "{}"]);
    match connection.call_plain(&mark).await? {
        RedisReply::Bulk(_) => Ok(()),
        other => Err(not_expected("XADD", other)),
    }
}
