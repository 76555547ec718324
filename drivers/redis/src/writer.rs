//! Carries out what the node outputs.

use std::time::Duration;

use socketio_proto::{
    ByteString,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        engines::redis_streams::{RedisCommand, RedisReply, RedisStreams},
        message::{Message, MessageError, NodeId},
    },
    recovery::Offset,
    socket::NamespaceName,
};
use socketio_proto_tokio::cluster::EngineLink;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use crate::{
    batch::{Batch, Purpose},
    connection::{Connection, PING, not_expected},
    error::RedisEngineError,
    subscriptions::Change,
};

/// How Redis begins a refusal that concerns the command, and not its own state.
const OF_THE_COMMAND: &str = "ERR ";

/// The connection for commands.
pub(crate) struct Writer<'a, P> {
    pub(crate) redis: &'a P,
    pub(crate) connection: Connection,
    /// Where to read each stream from.
    pub(crate) reads: Vec<mpsc::UnboundedSender<Offset>>,
    pub(crate) subscriptions: mpsc::UnboundedSender<Change>,
    /// Subscriptions that have not taken effect yet.
    pub(crate) subscribing: Vec<oneshot::Receiver<()>>,
    /// How many entries and sessions are written one at a time, because one of so many may be what
    /// has broken an earlier connection.
    pub(crate) suspects: &'a mut usize,
}

/// What differs between the ways in which nodes use Redis.
pub(crate) trait Protocol {
    /// Whether what follows a subscription has to wait until it has taken effect. A claim must not
    /// overtake it where entries come by subscriptions: its owner may be the last one that hears the
    /// namespace.
    const SUBSCRIBES_FIRST: bool = false;

    fn append(&self, message: &Message) -> Result<RedisCommand, MessageError>;
    /// Reads the reply to `append`.
    fn appended(reply: &RedisReply) -> Result<(), RedisEngineError>;
    fn publish(&self, message: &Message, to: Option<&NodeId>)
    -> Result<RedisCommand, MessageError>;
    fn server_count(&self, namespace: &NamespaceName) -> RedisCommand;
    /// What stores sessions.
    fn sessions(&self) -> &RedisStreams;
}

impl Protocol for RedisStreams {
    fn append(&self, message: &Message) -> Result<RedisCommand, MessageError> {
        self.append(message)
    }

    fn appended(reply: &RedisReply) -> Result<(), RedisEngineError> {
        let position = Self::appended(reply);
        position.map(|_| ()).map_err(|error| RedisEngineError::reply("XADD", error))
    }

    fn publish(
        &self,
        message: &Message,
        to: Option<&NodeId>,
    ) -> Result<RedisCommand, MessageError> {
        self.publish(message, to)
    }

    fn server_count(&self, namespace: &NamespaceName) -> RedisCommand {
        self.server_count(namespace)
    }

    fn sessions(&self) -> &RedisStreams {
        self
    }
}

impl<P: Protocol> Writer<'_, P> {
    /// Carries out the outputs, until there are no more.
    pub(crate) async fn run(mut self, link: &mut EngineLink) -> Result<(), RedisEngineError> {
        loop {
            let output = tokio::select! {
                output = link.recv() => output,
                error = self.connection.until_closed() => return Err(error),
                () = sleep(PING) => {
                    self.connection.ping().await?;
                    continue;
                }
            };
            let Some(output) = output else { return Ok(()) };
            let (mut batch, mut inputs) = (Batch::new(self.connection.commands()), Vec::new());
            self.add(output, &mut batch, &mut inputs);
            while batch.has_room() && *self.suspects == 0 {
                let Some(output) = link.try_recv() else { break };
                self.add(output, &mut batch, &mut inputs);
            }
            link.inputs().send(inputs).await;
            for done in self.subscribing.drain(..) {
                // If nobody tells, the connection for subscriptions is lost, and this one ends as well.
                done.await.ok();
            }
            if !batch.is_empty() {
                let inputs = self.carry_out(batch).await?;
                link.inputs().send(inputs).await;
            }
        }
    }

    /// What can be said of an output without Redis goes to `inputs`.
    fn add(&mut self, output: ClusterOutput, batch: &mut Batch, inputs: &mut Vec<ClusterInput>) {
        let redis = self.redis;
        match output {
            ClusterOutput::Read { channel, after } => {
                let reader = usize::try_from(channel).ok().and_then(|it| self.reads.get(it));
                reader.map(|reader| reader.send(after));
            }
            ClusterOutput::Subscribe { namespace } => {
                let (done, subscribing) = oneshot::channel();
                self.subscriptions.send(Change::Subscribe { namespace, done }).ok();
                if P::SUBSCRIBES_FIRST {
                    self.subscribing.push(subscribing);
                }
            }
            ClusterOutput::Unsubscribe { namespace } => {
                self.subscriptions.send(Change::Unsubscribe(namespace)).ok();
            }
            ClusterOutput::Append(message) => {
                let sequence = message.stamp.map(|stamp| stamp.sequence);
                let command = redis.append(&message);
                if !add(batch, command, Purpose::Append { sequence }) {
                    inputs.extend(sequence.map(|sequence| ClusterInput::Rejected { sequence }));
                }
            }
            ClusterOutput::Publish { to, message } => {
                // One that is too large is lost, as others may be. The node has bounded its events.
                add(batch, redis.publish(&message, to.as_ref()), Purpose::Publish);
            }
            ClusterOutput::CountServers { namespace, number } => {
                batch.add(redis.server_count(&namespace), Purpose::Count { number });
            }
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let command = redis.sessions().store(&session, expires_in, replaces);
                if !add(batch, command, Purpose::Store { number }) {
                    let outcome = StoreOutcome::Refused;
                    inputs.push(ClusterInput::Stored { number, outcome });
                }
            }
            ClusterOutput::Fetch { key, number } => {
                batch.add_transaction(redis.sessions().fetch(&key), Purpose::Fetch { number });
            }
            ClusterOutput::Take { key, version, number } => {
                batch.add(redis.sessions().take(&key, version), Purpose::Fetch { number });
            }
            // An output of a later version of the core. It gets no answer.
            _ => {}
        }
    }

    /// Returns the answers.
    async fn carry_out(&mut self, batch: Batch) -> Result<Vec<ClusterInput>, RedisEngineError> {
        let (commands, steps) = batch.split();
        let writes = steps.writes();
        // If it breaks the connection, its entries are suspects.
        let suspects = (*self.suspects).max(writes);
        let before = std::mem::replace(self.suspects, suspects);
        let replies = self.connection.call_all(commands, steps.is_transaction()).await?;
        let results = steps.results(replies)?;
        let mut inputs = Vec::new();
        for (purpose, reply) in results {
            let is_refused = steps.is_single() && is_of_the_command(&reply);
            if is_refused {
                inputs.extend(rejected(purpose));
            } else {
                inputs.extend(self.answer(purpose, &reply)?);
            }
        }
        *self.suspects = before.saturating_sub(writes);
        Ok(inputs)
    }

    fn answer(
        &self,
        purpose: Purpose,
        reply: &RedisReply,
    ) -> Result<Option<ClusterInput>, RedisEngineError> {
        let error = |command| move |error| RedisEngineError::reply(command, error);
        Ok(match purpose {
            Purpose::Append { .. } => {
                P::appended(reply)?;
                None
            }
            Purpose::Count { number } => {
                let servers = Some(RedisStreams::counted(reply).map_err(error("PUBSUB"))?);
                Some(ClusterInput::ServersCounted { number, servers })
            }
            Purpose::Store { number } => {
                let outcome = RedisStreams::stored(reply).map_err(error("SET"))?;
                Some(ClusterInput::Stored { number, outcome })
            }
            Purpose::Publish => match reply {
                RedisReply::Error(_) => return Err(not_expected("PUBLISH", reply.clone())),
                _ => None,
            },
            Purpose::Fetch { number } => {
                let found = self.redis.sessions().fetched(reply).map_err(error("GET"))?;
                let session = found.and_then(|found| {
                    let expires_in = found.expires_in.unwrap_or(Duration::MAX);
                    Some(FetchedSession::new(found.session.ok()?, expires_in))
                });
                Some(ClusterInput::Fetched { number, session })
            }
        })
    }
}

/// Returns whether it can be sent.
fn add(batch: &mut Batch, command: Result<RedisCommand, MessageError>, purpose: Purpose) -> bool {
    let Ok(command) = command else { return false };
    batch.add(command, purpose);
    true
}

/// Whether the command is at fault, so that it is refused each time: for example because it is larger
/// than this Redis takes.
fn is_of_the_command(reply: &RedisReply) -> bool {
    let begins = |text: &ByteString| text.starts_with(OF_THE_COMMAND);
    matches!(reply, RedisReply::Error(text) if begins(text))
}

/// The answer to what Redis refuses for good.
fn rejected(purpose: Purpose) -> Option<ClusterInput> {
    match purpose {
        Purpose::Append { sequence } => {
            sequence.map(|sequence| ClusterInput::Rejected { sequence })
        }
        Purpose::Count { number } => Some(ClusterInput::ServersCounted { number, servers: None }),
        Purpose::Store { number } => {
            Some(ClusterInput::Stored { number, outcome: StoreOutcome::Refused })
        }
        Purpose::Fetch { number } => Some(ClusterInput::Fetched { number, session: None }),
        Purpose::Publish => None,
    }
}
