//! Listens to what other nodes send.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::try_join3;
use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::postgres::{Postgres, PostgresNotification, PostgresPlace},
        message::{Message, NodeId},
    },
    socket::NamespaceName,
};
use socketio_proto_tokio::{cluster::EngineInputs, entropy};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_postgres::Config;

use crate::{
    connection::{Connection, Notifications, Notified, PING},
    error::PostgresEngineError,
    imports::Imports,
};

/// How often messages are looked for that another node should have imported.
const LOOK: Duration = Duration::from_millis(100);
/// Notifications that are read at once.
const BATCH: usize = 500;

/// What the node wants to receive.
pub(crate) enum Change {
    Subscribe(NamespaceName),
    Unsubscribe(NamespaceName),
}

/// The connection that listens.
pub(crate) struct Listener {
    connection: Connection,
    notifications: Notifications,
    /// What this node sends to itself, as a proof that it receives. Nobody can guess it.
    proof: String,
    answer: Duration,
}

/// What the listener works with.
pub(crate) struct Around<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) node: &'a NodeId,
    pub(crate) inputs: &'a EngineInputs,
    pub(crate) epoch: u64,
    pub(crate) wake: &'a Notify,
    pub(crate) imports: &'a Imports,
    /// Another connection, for what is attached and for imports.
    pub(crate) commands: &'a Connection,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    anchor: u64,
    channels: BTreeMap<String, Listened>,
}

/// A channel of PostgreSQL.
struct Listened {
    namespaces: Vec<Subscribed>,
    /// The anchor from which on everything was received. `None` until it is known.
    complete_from: Option<u64>,
    /// Notifications since the latest anchor.
    number: u64,
}

struct Subscribed {
    namespace: NamespaceName,
    is_announced: bool,
}

impl Listener {
    /// Connects, and listens to what every node listens to.
    pub(crate) async fn open(
        postgres: &Postgres,
        config: &Config,
        answer: Duration,
    ) -> Result<Self, PostgresEngineError> {
        let mut random = [0; 16];
        entropy(&mut random);
        let proof = format!("socketio-proto-{:032x}", u128::from_le_bytes(random));
        let (connection, notifications) =
            Connection::open_to_listen(config, answer, &proof).await?;
        let listener = Self { connection, notifications, proof, answer };
        listener.listen(&postgres.wake_channel()).await?;
        listener.listen(&listener.proof).await?;
        listener.prove().await?;
        Ok(listener)
    }

    /// Listens, until the connection is lost.
    pub(crate) async fn run(
        mut self,
        around: &Around<'_>,
        changes: mpsc::UnboundedReceiver<Change>,
    ) -> Result<Infallible, PostgresEngineError> {
        let (_, unused) = mpsc::channel(1);
        let queue = std::mem::replace(&mut self.notifications.queue, unused);
        let (never, _, _) =
            try_join3(around.hear(queue), self.change(around, changes), self.keep()).await?;
        Ok(never)
    }

    async fn listen(&self, channel: &str) -> Result<(), PostgresEngineError> {
        self.connection.run(&format!("LISTEN {}", quoted(channel))).await
    }

    /// Sends a notification to itself, and waits for it.
    async fn prove(&self) -> Result<(), PostgresEngineError> {
        let echoes = &self.notifications.echoes;
        let before = echoes.load(Relaxed);
        self.connection.run(&format!("NOTIFY {}", quoted(&self.proof))).await?;
        let echo = async {
            while echoes.load(Relaxed) == before {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(self.answer, echo).await.map_err(|_| PostgresEngineError::Deaf)
    }

    async fn keep(&self) -> Result<Infallible, PostgresEngineError> {
        loop {
            sleep(PING).await;
            self.prove().await?;
        }
    }

    async fn change(
        &self,
        around: &Around<'_>,
        mut changes: mpsc::UnboundedReceiver<Change>,
    ) -> Result<Infallible, PostgresEngineError> {
        while let Some(change) = changes.recv().await {
            match change {
                Change::Subscribe(namespace) => {
                    let channel = around.postgres.channel(&namespace).to_string();
                    if !around.lock().add(&channel, namespace) {
                        continue;
                    }
                    self.listen(&channel).await?;
                    let anchor = around.postgres.anchor(around.epoch);
                    let row = self.connection.call_for_row(&anchor).await?;
                    let row = row.ok_or(PostgresEngineError::Anew)?;
                    let subscribed = around.lock().complete(&channel, Postgres::number(&row)?);
                    around.inputs.send(subscribed).await;
                }
                Change::Unsubscribe(namespace) => {
                    let channel = around.postgres.channel(&namespace).to_string();
                    if around.lock().remove(&channel, &namespace) {
                        self.connection.run(&format!("UNLISTEN {}", quoted(&channel))).await?;
                    }
                }
            }
        }
        std::future::pending().await
    }
}

impl<'a> Around<'a> {
    pub(crate) fn new(
        (postgres, commands): (&'a Postgres, &'a Connection),
        (node, inputs): (&'a NodeId, &'a EngineInputs),
        epoch: u64,
        (wake, imports): (&'a Notify, &'a Imports),
    ) -> Self {
        let state = Mutex::default();
        Self { postgres, node, inputs, epoch, wake, imports, commands, state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in what is received.
    async fn hear(
        &self,
        mut queue: mpsc::Receiver<Notified>,
    ) -> Result<Infallible, PostgresEngineError> {
        let mut batch = Vec::new();
        loop {
            let wait = if self.imports.is_empty() { PING } else { LOOK };
            if let Ok(0) = timeout(wait, queue.recv_many(&mut batch, BATCH)).await {
                return Err(PostgresEngineError::Closed);
            }
            let mut received = Vec::new();
            for notified in batch.drain(..) {
                self.take(notified, &mut received).await?;
            }
            self.inputs.send(received).await;
            self.import().await?;
        }
    }

    async fn take(
        &self,
        notified: Notified,
        received: &mut Vec<ClusterInput>,
    ) -> Result<(), PostgresEngineError> {
        let Notified { channel, payload } = notified;
        let place = self.lock().count(&channel);
        let read = self.postgres.notification(self.node, &channel, &payload);
        let read = match read {
            Ok(PostgresNotification::Attached { id }) => {
                let row = self.commands.call_for_row(&self.postgres.attachment(id)).await?;
                // It may be deleted by now. Then it is as good as damaged.
                self.postgres.attached(self.node, &channel, row.as_deref().unwrap_or_default())
            }
            read => read,
        };
        match read {
            Ok(PostgresNotification::Woken { epoch, anchor }) => {
                if epoch != self.epoch {
                    return Err(PostgresEngineError::Anew);
                }
                received.extend(self.lock().set_anchor(anchor));
                self.wake.notify_one();
            }
            Ok(PostgresNotification::Message(message)) => {
                received.push(ClusterInput::Message(message));
            }
            Ok(PostgresNotification::Foreign(message)) => self.hear_foreign(place, &message),
            Ok(_) => {}
            // What nobody can read is skipped.
            Err(_) => self.inputs.count_skipped(),
        }
        Ok(())
    }

    fn hear_foreign(&self, place: Option<PostgresPlace>, message: &Message) {
        let Some(place) = place else { return };
        let Ok(import) = self.postgres.to_import(place, message) else {
            return self.inputs.count_skipped();
        };
        for _ in 0..self.imports.hear(import, Instant::now()) {
            self.inputs.count_dropped();
        }
    }

    /// Imports what is this node's turn, or what others have left.
    async fn import(&self) -> Result<(), PostgresEngineError> {
        loop {
            let (due, dropped) = self.imports.due(self.node, Instant::now());
            for _ in 0..dropped {
                self.inputs.count_dropped();
            }
            if due.is_empty() {
                return Ok(());
            }
            let places: Vec<PostgresPlace> = due.iter().map(|it| it.place.clone()).collect();
            let import = self.postgres.import(self.epoch, self.node, &due);
            match self.commands.call(&import).await {
                Ok(_) => {}
                // One of them cannot be kept. Which one, is told by trying each.
                Err(error) if error.is_of_the_parameters() => {
                    for one in due.chunks(1) {
                        let import = self.postgres.import(self.epoch, self.node, one);
                        match self.commands.call(&import).await {
                            Ok(_) => {}
                            Err(error) if error.is_of_the_parameters() => {
                                self.inputs.count_skipped();
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            self.imports.note_done(&places);
        }
    }
}

impl State {
    /// Returns whether the channel is new.
    fn add(&mut self, channel: &str, namespace: NamespaceName) -> bool {
        let is_new = !self.channels.contains_key(channel);
        let listened = self.channels.entry(channel.to_owned()).or_insert_with(|| Listened {
            namespaces: Vec::new(),
            complete_from: None,
            number: 0,
        });
        if !listened.namespaces.iter().any(|known| known.namespace == namespace) {
            listened.namespaces.push(Subscribed { namespace, is_announced: false });
        }
        is_new
    }

    /// Returns whether nothing of the channel is wanted any longer.
    fn remove(&mut self, channel: &str, namespace: &NamespaceName) -> bool {
        let Some(listened) = self.channels.get_mut(channel) else { return false };
        listened.namespaces.retain(|known| known.namespace != *namespace);
        let is_unused = listened.namespaces.is_empty();
        if is_unused {
            self.channels.remove(channel);
        }
        is_unused
    }

    /// From this anchor on, everything of the channel is received.
    fn complete(&mut self, channel: &str, anchor: u64) -> Vec<ClusterInput> {
        if let Some(listened) = self.channels.get_mut(channel) {
            listened.complete_from = Some(anchor);
        }
        self.announce()
    }

    fn set_anchor(&mut self, anchor: u64) -> Vec<ClusterInput> {
        self.anchor = anchor;
        for listened in self.channels.values_mut() {
            listened.number = 0;
        }
        self.announce()
    }

    fn announce(&mut self) -> Vec<ClusterInput> {
        let anchor = self.anchor;
        let complete = self.channels.values_mut().filter(|listened| listened.is_complete(anchor));
        let namespaces = complete.flat_map(|listened| &mut listened.namespaces);
        let announce = |subscribed: &mut Subscribed| {
            let is_new = !std::mem::replace(&mut subscribed.is_announced, true);
            let namespace = subscribed.namespace.clone();
            is_new.then_some(ClusterInput::Subscribed { namespace })
        };
        namespaces.filter_map(announce).collect()
    }

    /// Counts a notification. Returns its place, if all nodes count the same.
    fn count(&mut self, channel: &str) -> Option<PostgresPlace> {
        let anchor = self.anchor;
        let listened = self.channels.get_mut(channel)?;
        listened.number = listened.number.saturating_add(1);
        let is_complete = listened.is_complete(anchor);
        is_complete.then(|| PostgresPlace::new(anchor, listened.number, channel.into()))
    }
}

impl Listened {
    fn is_complete(&self, anchor: u64) -> bool {
        self.complete_from.is_some_and(|from| from <= anchor)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
