//! The contract of engines finds the mistakes of an engine in memory.
#![cfg(feature = "engine-contract")]

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use socketio_proto::{
    RecoveryKey,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        message::{Message, NodeId, StoredSession},
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::{
    Engine, EngineError, EngineLink,
    contract::{EngineUnderTest, check},
};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep},
};

/// What the engine does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// It delivers an entry to its own node at once, and those of others later.
    OwnEntriesFirst,
    /// It goes on at the end after a break, and does not say so.
    HiddenGap,
    /// It repeats by itself what was under way when the connection broke.
    Repeats,
    /// It knows nothing of what was there before it.
    NoPast,
    /// It loses attachments.
    NoAttachments,
    /// It breaks the connection at what it cannot read.
    BreaksAtDamage,
    /// What is for one node reaches all.
    ToAll,
    /// It breaks the connection when a subscription ends.
    BreaksAtUnsubscribe,
    /// It reads a session and removes it later.
    TakesInTwoSteps,
    /// It takes whatever is there.
    TakesAnyVersion,
    /// It replaces whatever is there.
    IgnoresVersions,
    /// Sessions are stored behind the entries that follow them.
    StoresLate,
}

#[derive(Clone)]
struct Memory {
    mistake: Mistake,
    shared: Arc<Mutex<Shared>>,
    /// How many entries there are.
    entries: watch::Sender<usize>,
    breaks: watch::Sender<u32>,
    messages: broadcast::Sender<(Option<NodeId>, Message)>,
}

#[derive(Default)]
struct Shared {
    /// `None` is one that nobody can read.
    entries: Vec<Option<Message>>,
    sessions: BTreeMap<String, (StoredSession, Instant)>,
}

impl Shared {
    fn fetch(&self, key: &RecoveryKey) -> Option<FetchedSession> {
        let (session, until) = self.sessions.get(key.expose())?;
        let left = until.checked_duration_since(Instant::now())?;
        Some(FetchedSession::new(session.clone(), left))
    }
}

impl Memory {
    fn new(mistake: Mistake) -> Self {
        Self {
            mistake,
            shared: Arc::default(),
            entries: watch::Sender::new(0),
            breaks: watch::Sender::new(0),
            messages: broadcast::Sender::new(10_000),
        }
    }

    fn with<R>(&self, change: impl FnOnce(&mut Shared) -> R) -> R {
        change(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn append(&self, message: Option<Message>) {
        self.with(|shared| {
            shared.entries.push(message);
            // Within the lock: behind it, an earlier count could replace a later one, and the end of
            // the channel would move back.
            self.entries.send_replace(shared.entries.len());
        });
    }

    fn fetch(&self, key: &RecoveryKey) -> Option<FetchedSession> {
        self.with(|shared| shared.fetch(key))
    }

    fn take(&self, key: &RecoveryKey, version: Option<u64>) -> Option<FetchedSession> {
        self.with(|shared| {
            let found = shared.fetch(key)?;
            let is_it = found.session.version == version;
            if is_it && self.mistake != Mistake::TakesInTwoSteps
                || self.mistake == Mistake::TakesAnyVersion
            {
                shared.sessions.remove(key.expose());
            }
            Some(found)
        })
    }

    fn store(
        &self,
        session: StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> StoreOutcome {
        let until = Instant::now() + expires_in;
        let is_checked = replaces.is_some() && self.mistake != Mistake::IgnoresVersions;
        self.with(|shared| {
            let key = session.pid.expose().to_owned();
            let there = shared.sessions.get(&key).and_then(|(there, _)| there.version);
            if is_checked && there != replaces {
                return StoreOutcome::Superseded;
            }
            shared.sessions.insert(key, (session, until));
            StoreOutcome::Stored
        })
    }
}

impl EngineUnderTest for Memory {
    type Engine = MemoryEngine;

    fn open(&self) -> MemoryEngine {
        MemoryEngine {
            memory: self.clone(),
            read: None,
            handed: 0,
            has_stumbled: false,
            unsent: Vec::new(),
        }
    }

    async fn break_connections(&self) {
        self.breaks.send_modify(|breaks| *breaks += 1);
    }

    async fn damage(&self) {
        self.append(None);
    }
}

struct MemoryEngine {
    memory: Memory,
    read: Option<usize>,
    /// How many were handed in, if it counts for itself.
    handed: usize,
    has_stumbled: bool,
    /// Appended over the present connection.
    unsent: Vec<Message>,
}

fn at(place: usize) -> Offset {
    Offset::pair(1, place as u64)
}

impl Engine for MemoryEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        let memory = self.memory.clone();
        let (mut breaks, mut entries) = (memory.breaks.subscribe(), memory.entries.subscribe());
        let (mut messages, inputs) = (memory.messages.subscribe(), link.inputs().clone());
        if memory.mistake == Mistake::Repeats {
            self.unsent.drain(..).for_each(|message| memory.append(Some(message)));
        }
        let end = *entries.borrow();
        // Nothing is handed in before the node says from where on.
        let earlier = self.read.take();
        let oldest = match (memory.mistake, earlier) {
            (Mistake::NoPast, None) => end,
            (Mistake::NoPast, Some(read)) => read,
            _ => 0,
        };
        let (oldest, head) = (at(oldest), at(end));
        inputs.send(vec![ClusterInput::Connected { channel: 0, oldest, head }]).await;
        let mut late = Vec::new();
        loop {
            tokio::select! {
                _ = breaks.changed() => return Err("broken".into()),
                output = link.recv() => match output {
                    None => return Ok(()),
                    Some(ClusterOutput::Read { after, .. }) => {
                        let after = after.numbers().map_or(0, |(_, place)| usize::try_from(place).unwrap());
                        let is_hidden = memory.mistake == Mistake::HiddenGap && earlier.is_some();
                        self.read = Some(if is_hidden { end.saturating_sub(1) } else { after });
                        entries.mark_changed();
                    }
                    Some(ClusterOutput::Unsubscribe { .. })
                        if memory.mistake == Mistake::BreaksAtUnsubscribe =>
                    {
                        return Err("not permitted".into());
                    }
                    Some(output) => {
                        let answers = self.carry_out(output, &mut late);
                        inputs.send(answers).await;
                    }
                },
                () = others_come_in(&mut entries, memory.mistake) => {
                    inputs.send(self.new_entries(link.node())?).await;
                }
                Ok((to, message)) = messages.recv() => {
                    let is_for_all = to.is_none() || memory.mistake == Mistake::ToAll;
                    if is_for_all || to.as_ref() == Some(link.node()) {
                        inputs.send(vec![ClusterInput::Message(message)]).await;
                    }
                }
            }
        }
    }
}

impl MemoryEngine {
    fn new_entries(&mut self, node: &NodeId) -> Result<Vec<ClusterInput>, EngineError> {
        let Some(read) = &mut self.read else { return Ok(Vec::new()) };
        let new: Vec<_> = self.memory.with(|shared| shared.entries[*read..].to_vec());
        let mut inputs = Vec::new();
        for message in new {
            let is_afraid = self.memory.mistake == Mistake::BreaksAtDamage && !self.has_stumbled;
            if message.is_none() && is_afraid {
                self.has_stumbled = true;
                return Err("damaged".into());
            }
            *read += 1;
            let is_own = |message: &Message| message.sender == *node;
            if self.memory.mistake == Mistake::OwnEntriesFirst {
                if !message.as_ref().is_some_and(is_own) {
                    self.handed += 1;
                    let position = at(self.handed);
                    inputs.push(ClusterInput::Entry { channel: 0, position, message });
                }
                continue;
            }
            inputs.push(ClusterInput::Entry { channel: 0, position: at(*read), message });
        }
        Ok(inputs)
    }

    fn carry_out(
        &mut self,
        output: ClusterOutput,
        late: &mut Vec<(StoredSession, Duration)>,
    ) -> Vec<ClusterInput> {
        let memory = &self.memory;
        match output {
            ClusterOutput::Append(message) => {
                let message = Arc::unwrap_or_clone(message);
                self.unsent.push(message.clone());
                let message = match memory.mistake {
                    Mistake::NoAttachments => without_attachments(message),
                    _ => message,
                };
                memory.append(Some(message.clone()));
                for (session, time) in late.drain(..) {
                    memory.store(session, time, None);
                }
                if memory.mistake == Mistake::OwnEntriesFirst {
                    self.handed += 1;
                    let position = at(self.handed);
                    return vec![ClusterInput::Entry {
                        channel: 0,
                        position,
                        message: Some(message),
                    }];
                }
                Vec::new()
            }
            ClusterOutput::Publish { to, message } => {
                memory.messages.send((to, *message)).ok();
                Vec::new()
            }
            ClusterOutput::Subscribe { namespace } => vec![ClusterInput::Subscribed { namespace }],
            ClusterOutput::CountServers { number, .. } => {
                vec![ClusterInput::ServersCounted { number, servers: None }]
            }
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let outcome = if memory.mistake == Mistake::StoresLate && replaces.is_none() {
                    late.push((session, expires_in));
                    StoreOutcome::Stored
                } else {
                    memory.store(session, expires_in, replaces)
                };
                vec![ClusterInput::Stored { number, outcome }]
            }
            ClusterOutput::Fetch { key, number } => {
                vec![ClusterInput::Fetched { number, session: memory.fetch(&key) }]
            }
            ClusterOutput::Take { key, version, number } => {
                vec![ClusterInput::Fetched { number, session: memory.take(&key, version) }]
            }
            _ => Vec::new(),
        }
    }
}

/// Waits until there are new entries.
async fn others_come_in(entries: &mut watch::Receiver<usize>, mistake: Mistake) {
    if mistake == Mistake::OwnEntriesFirst {
        // Longer than the nodes of a test take to append theirs.
        sleep(Duration::from_millis(200)).await;
    }
    if entries.changed().await.is_err() {
        pending::<()>().await;
    }
}

fn without_attachments(mut message: Message) -> Message {
    use socketio_proto::cluster::message::{Body, ClusterBroadcast};

    if let Body::Broadcast(broadcast) = &message.body {
        let event = broadcast.packet().unwrap().event;
        if !event.attachments().is_empty() {
            let event = socketio_proto::socket::Event::new(event.name(), &()).unwrap();
            message.body = Body::Broadcast(ClusterBroadcast::new(broadcast.options.clone(), event));
        }
    }
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_mistakes_keeps_the_contract() {
    check(&Memory::new(Mistake::None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_found_and_named() {
    for (mistake, rule) in [
        // Which rule it breaks first is a matter of luck.
        (Mistake::OwnEntriesFirst, ""),
        (Mistake::NoPast, "comes later"),
        (Mistake::NoAttachments, "as they were"),
        (Mistake::BreaksAtDamage, "stops nothing"),
        (Mistake::HiddenGap, "without a gap"),
        (Mistake::Repeats, "without a gap"),
        (Mistake::ToAll, "reaches those that it is for"),
        (Mistake::BreaksAtUnsubscribe, "end and begin again"),
        (Mistake::TakesInTwoSteps, "it was stored"),
        (Mistake::TakesAnyVersion, "and only then"),
        (Mistake::IgnoresVersions, "replaces this one only"),
        (Mistake::StoresLate, "it was stored"),
    ] {
        let Err(broken) = check(&Memory::new(mistake)).await else {
            panic!("{mistake:?} was not found");
        };
        assert!(broken.rule.contains(rule), "{mistake:?}: {broken}");
    }
}
