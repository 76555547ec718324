//! A node that does what a server does with its engine, and remembers everything.

use std::collections::VecDeque;

use socketio_proto::{
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        message::{
            Body, BroadcastOptions, ClusterBroadcast, Message, NodeId, OwnKind, Stamp, Value,
        },
    },
    recovery::Offset,
    socket::{Event, NamespaceName},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{Checked, EngineUnderTest, PATIENCE};
use crate::{
    cluster::{Outputs, supervise},
    entropy,
};

/// An entry that was read, with its position.
pub(super) type Entry = (Offset, Option<Message>);

/// A node over the engine under test.
pub(super) struct Node {
    pub(super) id: NodeId,
    nonce: u64,
    outputs: Outputs,
    inputs: mpsc::UnboundedReceiver<ClusterInput>,
    /// What was read without a gap, and after each gap.
    pub(super) segments: Vec<Vec<Entry>>,
    /// Where the first segment begins.
    pub(super) oldest: Option<Offset>,
    read: Option<Offset>,
    /// The latest entry at the time of the connection, until it is read.
    head: Option<Offset>,
    pub(super) is_connected: bool,
    /// How often it was connected.
    pub(super) connections: usize,
    /// Entries that were not read yet.
    unread: VecDeque<Message>,
    sequence: u64,
    number: u64,
    pub(super) messages: Vec<Message>,
    pub(super) subscribed: Vec<NamespaceName>,
    pub(super) rejected: Vec<u64>,
    answers: Vec<(u64, Answer)>,
}

/// The answer to a command.
#[derive(Debug)]
pub(super) enum Answer {
    Stored(StoreOutcome),
    Fetched(Option<FetchedSession>),
    Counted(Option<u64>),
}

impl Node {
    /// Starts a node, and waits until it is connected and has read what was there.
    pub(super) async fn start(engine: &impl EngineUnderTest) -> Checked<Self> {
        let (supervised, outputs, _) = supervise(engine.open());
        let (sender, inputs) = mpsc::unbounded_channel();
        let id = NodeId::from_entropy(&mut entropy);
        supervised.start_to(id.clone(), sender);
        let mut random = [0; 8];
        entropy(&mut random);
        let mut node = Self {
            id,
            nonce: u64::from_le_bytes(random),
            outputs,
            inputs,
            segments: Vec::new(),
            oldest: None,
            read: None,
            head: None,
            is_connected: false,
            connections: 0,
            unread: VecDeque::new(),
            sequence: 0,
            number: 0,
            messages: Vec::new(),
            subscribed: Vec::new(),
            rejected: Vec::new(),
            answers: Vec::new(),
        };
        node.until("connects and reads what is there", Self::is_open).await?;
        Ok(node)
    }

    /// Whether it has read everything that was there when it was connected.
    pub(super) const fn is_open(&self) -> bool {
        self.is_connected && self.head.is_none()
    }

    pub(super) fn send(&self, output: ClusterOutput) {
        self.outputs.send(output);
    }

    /// Appends an entry. It is repeated after a break if it was not in the channel before.
    pub(super) fn append(&mut self, body: Body) -> u64 {
        self.sequence += 1;
        let stamp = Stamp::new(self.sequence, self.nonce);
        let message = Message::new(self.id.clone(), NamespaceName::ROOT, body).stamped(stamp);
        self.unread.push_back(message.clone());
        if self.is_open() {
            self.send(ClusterOutput::Append(message.into()));
        }
        self.sequence
    }

    /// Appends an entry that says nothing but a number.
    pub(super) fn append_number(&mut self, number: usize) -> Checked<u64> {
        let data = Value::new(&number).map_err(|error| error.to_string())?;
        Ok(self.append(Body::Own { kind: OwnKind::Marker, data }))
    }

    /// How many entries it has appended.
    pub(super) fn appended(&self) -> usize {
        usize::try_from(self.sequence).unwrap_or(usize::MAX)
    }

    pub(super) fn publish(&mut self, to: Option<&NodeId>, body: Body) {
        self.number += 1;
        let stamp = Stamp::new(self.number, self.nonce);
        let message = Message::new(self.id.clone(), NamespaceName::ROOT, body).stamped(stamp);
        self.send(ClusterOutput::Publish { to: to.cloned(), message: message.into() });
    }

    /// Sends a command that has an answer, and waits for it.
    pub(super) async fn ask(
        &mut self,
        command: impl FnOnce(u64) -> ClusterOutput,
    ) -> Checked<Answer> {
        let number = self.send_numbered(command);
        self.answer(number).await
    }

    pub(super) fn send_numbered(&mut self, command: impl FnOnce(u64) -> ClusterOutput) -> u64 {
        self.number += 1;
        self.send(command(self.number));
        self.number
    }

    pub(super) async fn answer(&mut self, number: u64) -> Checked<Answer> {
        let has_it = |node: &Self| node.answers.iter().any(|(other, _)| *other == number);
        self.until("gets an answer to each command", has_it).await?;
        let at = self.answers.iter().position(|(other, _)| *other == number);
        at.map(|at| self.answers.remove(at).1).ok_or_else(|| "no answer".to_owned())
    }

    /// Handles what comes in until something is so.
    pub(super) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Checked {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            let Ok(input) = timeout_at(deadline, self.inputs.recv()).await else {
                let stats = self.outputs.stats();
                return Err(format!("not in time: a node {what}. {stats:?}"));
            };
            self.handle(input.ok_or("the engine has ended")?)?;
        }
        Ok(())
    }

    /// Waits until it has read everything that it has appended, and an entry that it appends now.
    pub(super) async fn flush(&mut self) -> Checked {
        self.append_number(usize::MAX)?;
        self.until("reads what it has appended", |node| node.unread.is_empty()).await
    }

    /// Everything that was read.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flatten()
    }

    /// Everything of nodes that was read. An engine may have entries of its own, which say nothing.
    pub(super) fn stamped(&self) -> impl Iterator<Item = &Entry> {
        self.entries().filter(|(_, it)| it.as_ref().is_some_and(|it| it.stamp.is_some()))
    }

    /// Whether it has read so many entries of nodes.
    pub(super) fn has_read(&self, count: usize) -> bool {
        self.stamped().count() >= count
    }

    fn handle(&mut self, input: ClusterInput) -> Checked {
        match input {
            ClusterInput::Connected { channel: 0, oldest, head } => self.connect(oldest, head)?,
            ClusterInput::Disconnected => {
                self.outputs.begin_anew();
                self.is_connected = false;
                self.subscribed.clear();
            }
            ClusterInput::Entry { channel: 0, position, message } => {
                self.take_entry(position, message)?;
            }
            ClusterInput::Rejected { sequence } => {
                self.rejected.push(sequence);
                self.forget(sequence);
            }
            ClusterInput::Message(message) => self.messages.push(message),
            ClusterInput::Subscribed { namespace } => self.subscribed.push(namespace),
            ClusterInput::Unsubscribed { namespace } => {
                self.subscribed.retain(|subscribed| *subscribed != namespace);
            }
            ClusterInput::ServersCounted { number, servers } => {
                self.answers.push((number, Answer::Counted(servers)));
            }
            ClusterInput::Stored { number, outcome } => {
                self.answers.push((number, Answer::Stored(outcome)));
            }
            ClusterInput::Fetched { number, session } => {
                self.answers.push((number, Answer::Fetched(session)));
            }
            // Another channel.
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, oldest: Offset, head: Offset) -> Checked {
        if oldest > head {
            return Err(format!("`Connected` with oldest {oldest} behind head {head}"));
        }
        self.is_connected = true;
        self.connections += 1;
        let seamless = self.read.filter(|read| oldest <= *read && *read <= head);
        if seamless.is_none() {
            if self.read.is_some() {
                // Nobody knows whether they were in the gap.
                self.unread.clear();
            }
            self.oldest.get_or_insert(oldest);
            self.read = Some(oldest);
            self.segments.push(Vec::new());
        }
        let after = seamless.unwrap_or(oldest);
        self.head = Some(head);
        self.send(ClusterOutput::Read { channel: 0, after });
        self.send(ClusterOutput::Subscribe { namespace: NamespaceName::ROOT });
        self.open_if_read();
        Ok(())
    }

    fn take_entry(&mut self, position: Offset, message: Option<Message>) -> Checked {
        if self.read.is_none_or(|read| position <= read) {
            return Err(format!("an entry at {position} after one at {:?}", self.read));
        }
        self.read = Some(position);
        let own = message.as_ref().filter(|message| message.sender == self.id);
        if let Some(stamp) = own.and_then(|message| message.stamp) {
            self.forget(stamp.sequence);
        }
        let segment = self.segments.last_mut().ok_or("an entry before `Connected`")?;
        segment.push((position, message));
        self.open_if_read();
        Ok(())
    }

    fn open_if_read(&mut self) {
        if self.head.is_some_and(|head| self.read >= Some(head)) {
            self.head = None;
            for message in &self.unread {
                self.send(ClusterOutput::Append(message.clone().into()));
            }
        }
    }

    fn forget(&mut self, sequence: u64) {
        let is_other = |message: &Message| message.stamp.is_none_or(|it| it.sequence != sequence);
        self.unread.retain(is_other);
    }
}

/// A broadcast of an event.
pub(super) fn broadcast(event: Event) -> Body {
    Body::Broadcast(ClusterBroadcast::new(BroadcastOptions::all().to("a room"), event))
}
