//! A channel as one node sees it: how far it has read, and what waits for its own entries.

mod senders;
mod set;
#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::mem;

use self::senders::Senders;
pub(crate) use self::{senders::Reading, set::ChannelSet};
use super::{
    ClusterConfig, ClusterOutput,
    message::{Body, Message, NodeId, Stamp},
};
use crate::{recovery::Offset, shrink::empty_if_large, socket::NamespaceName};

/// The reading end and the writing end of a channel. `L` is what a node does only after the
/// entries that it has appended before.
///
/// ```text
///           append ──► steps:  A1  L  L  A2  L  A3      An: the own entry n    L: local
///                               │
///   A1 is read ─────────────────┘  then L and L are done, A2 is waited for
/// ```
pub(crate) struct Channel<L> {
    number: u32,
    node: NodeId,
    nonce: u64,
    limits: Limits,
    stage: Stage,
    /// Everything up to this position was read. `None` before the first connection.
    read: Option<Offset>,
    /// Everything up to this position has taken effect.
    applied: Option<Offset>,
    /// Whether everything was read that was there at the first connection.
    is_ready: bool,
    /// In the order in which they take effect. If it is not empty, the first one is an entry.
    steps: VecDeque<Step<L>>,
    bytes: usize,
    /// The number of the latest own entry. Those of other channels are between them.
    appended: u64,
    /// The number of the latest own entry that was output over the present connection, or that must
    /// not be output again.
    sent: u64,
    /// The number of the latest message that is not in the channel.
    published: u64,
    senders: Senders,
    out: VecDeque<ClusterOutput>,
}

/// How much may wait.
#[derive(Clone, Copy)]
struct Limits {
    steps: usize,
    bytes: usize,
}

enum Step<L> {
    Append { sequence: u64, message: Arc<Message>, bytes: usize },
    Local { local: L, bytes: usize },
}

/// How much of the connection can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Away,
    /// Reads up to this position, to learn which appends have taken effect.
    Reading(Offset),
    Open,
}

/// How a node continues after it was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// Nothing was missed.
    Seamless,
    /// Everything after the position can be read. Between what was read before and this position,
    /// there may have been entries.
    Anew(Offset),
}

/// What precedes an own entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reached<L> {
    /// The entry is next.
    Entry,
    /// This comes first. Ask again after it.
    Local(L),
    /// An earlier own entry is not in the channel and will not be. Ask again.
    Lost,
}

/// There is no room for another step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) limit: usize,
}

impl<L> Channel<L> {
    fn new(config: &ClusterConfig, number: u32, nonce: u64) -> Self {
        let limits = Limits { steps: config.append_queue, bytes: config.append_queue_bytes };
        Self {
            number,
            node: config.node.clone(),
            nonce,
            limits,
            stage: Stage::Away,
            read: None,
            applied: None,
            is_ready: false,
            steps: VecDeque::new(),
            bytes: 0,
            appended: 0,
            sent: 0,
            published: 0,
            senders: Senders::default(),
            out: VecDeque::new(),
        }
    }

    /// Whether the node knows what was there before it came.
    pub(crate) const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether everything up to a position was read.
    pub(crate) fn has_read(&self, position: Offset) -> bool {
        self.read.is_some_and(|read| position <= read)
    }

    /// Whether the engine is there, and everything was read that was there when it was connected.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// The position up to which everything was read.
    pub(crate) const fn position(&self) -> Option<Offset> {
        self.read
    }

    /// The position up to which everything has taken effect.
    pub(crate) const fn applied(&self) -> Option<Offset> {
        self.applied
    }

    /// What was read has taken effect.
    pub(crate) fn note_applied(&mut self) {
        self.applied = self.read;
    }

    /// Whether own entries are waited for, so that what is done now must wait as well.
    pub(crate) fn is_behind(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether there is no connection with the engine.
    pub(crate) fn is_away(&self) -> bool {
        self.stage == Stage::Away
    }

    /// How many steps wait.
    pub(crate) fn waiting(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn poll_output(&mut self) -> Option<ClusterOutput> {
        self.out.pop_front()
    }

    /// Checks whether another entry of this size may wait.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), Full> {
        let limits = self.limits;
        if self.steps.len() >= limits.steps {
            return Err(Full { limit: limits.steps });
        }
        // One entry is always allowed.
        if self.bytes > 0 && self.bytes.saturating_add(bytes) > limits.bytes {
            return Err(Full { limit: limits.bytes });
        }
        Ok(())
    }

    /// Appends an entry to the channel. It takes effect when it is read. Its number is larger than
    /// those of all earlier ones.
    fn append(
        &mut self,
        sequence: u64,
        namespace: NamespaceName,
        body: Body,
        bytes: usize,
    ) -> Result<(), Full> {
        self.check_room(bytes)?;
        self.appended = sequence;
        let stamp = Stamp::new(sequence, self.nonce);
        let message = Arc::new(Message::new(self.node.clone(), namespace, body).stamped(stamp));
        if self.stage == Stage::Open {
            self.sent = sequence;
            self.out.push_back(ClusterOutput::Append(Arc::clone(&message)));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.steps.push_back(Step::Append { sequence, message, bytes });
        Ok(())
    }

    /// Sends a message that is not stored. It is lost while the engine is away.
    pub(crate) fn publish(&mut self, to: Option<NodeId>, namespace: NamespaceName, body: Body) {
        if self.stage != Stage::Away {
            self.published = self.published.wrapping_add(1);
            let stamp = Stamp::new(self.published, self.nonce);
            let message = Message::new(self.node.clone(), namespace, body).stamped(stamp);
            let message = message.after(self.read).into();
            self.out.push_back(ClusterOutput::Publish { to, message });
        }
    }

    /// Asks the engine how many nodes receive what is published in a namespace.
    pub(crate) fn count_servers(&mut self, namespace: NamespaceName, number: u64) {
        if self.stage != Stage::Away {
            self.out.push_back(ClusterOutput::CountServers { namespace, number });
        }
    }

    /// Receives what other nodes publish in a namespace, from the next connection on at the latest.
    pub(crate) fn subscribe(&mut self, namespace: NamespaceName) {
        if self.stage != Stage::Away {
            self.out.push_back(ClusterOutput::Subscribe { namespace });
        }
    }

    pub(crate) fn unsubscribe(&mut self, namespace: NamespaceName) {
        if self.stage != Stage::Away {
            self.out.push_back(ClusterOutput::Unsubscribe { namespace });
        }
    }

    /// Puts something behind the own entries that are waited for. Gives it back if it need not or
    /// must not wait.
    pub(crate) fn defer(&mut self, local: L, bytes: usize) -> Option<L> {
        if !self.is_behind() || self.check_room(bytes).is_err() {
            return Some(local);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.steps.push_back(Step::Local { local, bytes });
        None
    }

    /// The engine can be used.
    ///
    /// Appends that were under way are not repeated before the node has read up to `head`: until
    /// then, it may still read them. After a gap, nobody knows whether they were in it. They are
    /// given up, because an entry that is there twice would reach clients twice. Those that were
    /// certainly [not sent](Self::note_not_sent) are not.
    pub(crate) fn connect(&mut self, oldest: Offset, head: Offset) -> Continuation {
        self.out.clear();
        let seamless = self.read.filter(|read| oldest <= *read && *read <= head);
        let continuation = if seamless.is_some() {
            Continuation::Seamless
        } else {
            (self.read, self.applied) = (Some(oldest), Some(oldest));
            self.senders = Senders::default();
            Continuation::Anew(oldest)
        };
        let after = seamless.unwrap_or(oldest);
        self.out.push_back(ClusterOutput::Read { channel: self.number, after });
        self.stage = Stage::Reading(head);
        continuation
    }

    /// An own entry does not come into the channel. Returns whether it was waited for.
    fn give_up(&mut self, sequence: u64) -> bool {
        let is_it =
            |step: &Step<L>| matches!(step, Step::Append { sequence: own, .. } if *own == sequence);
        let Some(index) = self.steps.iter().position(is_it) else { return false };
        let step = self.steps.remove(index);
        let bytes = step.map_or(0, |step| step.bytes());
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }

    /// The connection is lost.
    fn disconnect(&mut self) {
        self.stage = Stage::Away;
        self.out.clear();
    }

    /// An own entry that was output over the lost connection was not sent. So neither were those behind
    /// it.
    pub(crate) fn note_not_sent(&mut self, sequence: u64) {
        if self.stage == Stage::Away {
            self.sent = self.sent.min(sequence.saturating_sub(1));
        }
    }

    /// Takes out what does not have to wait for own entries after all.
    pub(crate) fn release(&mut self, mut may_go: impl FnMut(&L) -> bool) -> Vec<L> {
        let mut released = Vec::new();
        for step in mem::take(&mut self.steps) {
            match step {
                Step::Local { local, bytes } if may_go(&local) => {
                    self.bytes = self.bytes.saturating_sub(bytes);
                    released.push(local);
                }
                step => self.steps.push_back(step),
            }
        }
        released
    }

    /// After a gap: gives up the entries that were sent before it. Returns the next thing that was
    /// behind them.
    pub(crate) fn give_up_sent(&mut self) -> Option<Reached<L>> {
        match self.steps.front()? {
            Step::Append { sequence, .. } if *sequence > self.sent => None,
            _ => self.pop_front().map(|step| match step {
                Step::Append { .. } => Reached::Lost,
                Step::Local { local, .. } => Reached::Local(local),
            }),
        }
    }

    /// Decides what an entry means.
    pub(crate) fn read(&mut self, position: Offset, message: Option<&Message>) -> Reading {
        if self.read.is_none_or(|read| position <= read) {
            return Reading::OutOfOrder;
        }
        self.read = Some(position);
        let Some((sender, stamp)) = message.and_then(|it| Some((&it.sender, it.stamp?))) else {
            return Reading::New;
        };
        let noted = self.senders.note(sender, stamp, position);
        if noted != Reading::Repeated
            && message.is_some_and(|message| is_own(message, &self.node, self.nonce))
        {
            return Reading::Own(stamp.sequence);
        }
        noted
    }

    /// What precedes the own entry with this number. The caller asks until it is the entry.
    pub(crate) fn reach(&mut self, sequence: u64) -> Reached<L> {
        match self.steps.front() {
            Some(Step::Append { sequence: next, .. }) if *next > sequence => Reached::Entry,
            None => Reached::Entry,
            Some(_) => match self.pop_front() {
                Some(Step::Local { local, .. }) => Reached::Local(local),
                Some(Step::Append { sequence: next, .. }) if next < sequence => Reached::Lost,
                _ => Reached::Entry,
            },
        }
    }

    /// What is done now that nothing before it is waited for.
    pub(crate) fn next_local(&mut self) -> Option<L> {
        let is_local = matches!(self.steps.front(), Some(Step::Local { .. }));
        match is_local.then(|| self.pop_front())?? {
            Step::Local { local, .. } => Some(local),
            Step::Append { .. } => None,
        }
    }

    /// Appends what waits, as soon as it is certain that it is not in the channel. Call this after
    /// each entry, and when [`Channel::connect`] was handled. Returns whether the channel became
    /// ready.
    pub(crate) fn catch_up(&mut self) -> bool {
        let Stage::Reading(head) = self.stage else { return false };
        if self.read.is_none_or(|read| read < head) {
            return false;
        }
        self.stage = Stage::Open;
        let was_ready = mem::replace(&mut self.is_ready, true);
        self.sent = self.appended;
        self.out.extend(self.steps.iter().filter_map(Step::message).map(ClusterOutput::Append));
        !was_ready
    }

    fn pop_front(&mut self) -> Option<Step<L>> {
        let step = self.steps.pop_front()?;
        self.bytes = self.bytes.saturating_sub(step.bytes());
        empty_if_large(&mut self.steps);
        Some(step)
    }
}

/// Whether this process, by this name and this nonce, has appended an entry.
fn is_own(message: &Message, node: &NodeId, nonce: u64) -> bool {
    message.stamp.is_some_and(|stamp| stamp.nonce == nonce) && message.sender == *node
}

impl<L> Step<L> {
    const fn bytes(&self) -> usize {
        let (Self::Append { bytes, .. } | Self::Local { bytes, .. }) = self;
        *bytes
    }

    fn message(&self) -> Option<Arc<Message>> {
        match self {
            Self::Append { message, .. } => Some(Arc::clone(message)),
            Self::Local { .. } => None,
        }
    }
}
