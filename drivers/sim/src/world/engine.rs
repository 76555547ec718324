//! What the engine of a cluster does.

use std::time::Duration;

use socketio_proto::{
    RecoveryKey, Timestamp,
    cluster::{ClusterInput, ClusterOutput, StoreOutcome},
    recovery::Offset,
};

use super::{
    World,
    clients::Task,
    links::{Lane, Link, LinkStep, LinkTask, Links, Parcel, kind},
};
use crate::{Application, Data, engine::Store, script::Moment};

/// How long a driver needs until it connects again after it has noticed that entries are missing.
const RECONNECT: Duration = Duration::from_millis(50);

/// For how long a server can take a client of long-polling for connected that is not: with the defaults, the interval
/// of its pings and their timeout.
const PING: Duration = Duration::from_secs(45);

impl<A: Application<D>, D: Data> World<A, D> {
    /// Something happens on a link.
    pub(super) fn follow_link(&mut self, task: LinkTask) {
        let LinkTask { node, generation, step } = task;
        let Some(engine) = &mut self.engine else { return };
        let link = &mut engine.of_nodes[node];
        if link.generation != generation {
            return;
        }
        let frozen_until = self.nodes[node].freezer.until();
        if !matches!(step, LinkStep::Take) && frozen_until > self.now {
            self.agenda.plan(frozen_until, Task::Link(task));
            return;
        }
        match step {
            LinkStep::Take => {
                if let Some(command) = link.next_command() {
                    let kind = kind(&command);
                    self.carry_out(node, command);
                    self.crash_at(node, kind, Moment::CarriedOut);
                }
            }
            LinkStep::Hand(lane) => {
                if let Some(parcel) = link.next_parcel(lane) {
                    let input = self.unpack(node, parcel);
                    self.cluster_input(node, input);
                }
            }
            LinkStep::Open => self.open_link(node),
        }
    }

    /// A node sends something to the engine. It is lost while there is no connection. Returns whether the
    /// node crashes with it.
    pub(super) fn command(&mut self, node: usize, command: ClusterOutput) -> bool {
        if self.link(node).is_none_or(|link| !link.is_up) {
            return false;
        }
        if self.crash_at(node, kind(&command), Moment::Sent) {
            return true;
        }
        let unclaimed = match &command {
            ClusterOutput::Take { key, number, .. } if self.is_away(key) => Some(*number),
            _ => None,
        };
        if let Some(engine) = &mut self.engine {
            engine.unclaimed.extend(unclaimed.map(|number| (node, number)));
            engine.send((&mut self.agenda, self.now), node, command, Task::Link);
        }
        false
    }

    /// Whether a session in the store has a client without any connection. Between two requests of long-polling,
    /// there is one.
    fn is_away(&self, key: &RecoveryKey) -> bool {
        let stored = self.engine.as_ref().and_then(|it| it.store.sessions.get(key.expose()));
        let client = stored.and_then(|(it, _)| self.promise.client_of(it.sid.as_str()));
        client.is_some_and(|client| {
            let polled_at = Timestamp::from_micros(self.clients[client].polled_at);
            let has_stopped = polled_at.saturating_add(PING) <= self.now();
            has_stopped && !self.network.iter().any(|(_, wire)| wire.client == client)
        })
    }

    /// The link of a node breaks, and comes up after this time.
    pub(super) fn cut_link(&mut self, node: usize, time: Duration) {
        self.promise.shaken();
        self.break_link(node);
        if self.nodes[node].freezer.until() <= self.now {
            self.notice_cut(node);
        }
        let at = self.now + u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.plan_open(node, at);
    }

    /// The link of a node breaks. Some of what is on its way to the engine arrives.
    pub(super) fn break_link(&mut self, node: usize) {
        let Some(link) = self.link(node).filter(|link| link.is_up) else { return };
        for _ in 0..link.survivors() {
            // Where the node reads on does not matter any more.
            if let Some(command) = self.link(node).and_then(Link::next_command)
                && !matches!(command, ClusterOutput::Read { .. })
            {
                self.carry_out(node, command);
            }
        }
        if let Some(link) = self.link(node) {
            link.down();
            link.is_unheard = true;
        }
    }

    /// The link of a node comes up at this time, if it is down.
    pub(super) fn plan_open(&mut self, node: usize, at: u64) {
        if let Some(link) = self.link(node).filter(|link| !link.is_up) {
            let generation = link.generation;
            let task = LinkTask { node, generation, step: LinkStep::Open };
            self.agenda.plan(at, Task::Link(task));
        }
    }

    /// All links come up.
    pub(super) fn mend_links(&mut self) {
        for node in 0..self.nodes.len() {
            self.plan_open(node, self.now);
        }
    }

    /// The engine forgets all but the latest entries.
    pub(super) fn trim(&mut self, kept: usize) {
        if let Some(engine) = &mut self.engine {
            for channel in &mut engine.channels {
                channel.trim(channel.entries.len().saturating_sub(kept));
            }
            self.promise.shaken();
        }
    }

    /// Whether every node has read everything and waits for nothing.
    pub(super) fn is_engine_quiet(&self) -> bool {
        let Some(engine) = &self.engine else { return true };
        let mut nodes = self.nodes.iter().zip(&engine.of_nodes);
        nodes.all(|(node, link)| {
            let ends = engine.channels.iter().map(|channel| channel.entries.len());
            link.is_up
                && node.leaving.is_none()
                && link.read.iter().copied().eq(ends)
                && node.server.stats().channel_waiting == 0
        })
    }

    pub(super) fn link(&mut self, node: usize) -> Option<&mut Link> {
        self.engine.as_mut().and_then(|engine| engine.of_nodes.get_mut(node))
    }

    fn notice_cut(&mut self, node: usize) {
        if let Some(link) = self.link(node)
            && std::mem::take(&mut link.is_unheard)
        {
            self.tell(|| format!("node {node} has lost the engine"));
            self.cluster_input(node, ClusterInput::Disconnected);
        }
    }

    fn open_link(&mut self, node: usize) {
        self.notice_cut(node);
        let Some(engine) = &mut self.engine else { return };
        let link = &mut engine.of_nodes[node];
        if std::mem::replace(&mut link.is_up, true) {
            return;
        }
        self.tell(|| format!("node {node} is connected with the engine"));
        let Some(engine) = &mut self.engine else { return };
        let generation = engine.of_nodes[node].generation;
        for number in 0..engine.channels.len() {
            let Some(engine) = &mut self.engine else { return };
            // It may have crashed with a command.
            if engine.of_nodes[node].generation != generation {
                return;
            }
            let (channel, link) = (&engine.channels[number], &mut engine.of_nodes[node]);
            let len = channel.entries.len();
            let oldest = if engine.options.reads_again { channel.trimmed } else { len };
            link.origins[number] = len;
            link.cursors[number] = None;
            // What it cannot read any more it does not have to read.
            link.read[number] = link.read[number].max(oldest);
            let (oldest, head) = (channel.before(oldest), channel.head());
            let channel = u32::try_from(number).unwrap_or_default();
            self.cluster_input(node, ClusterInput::Connected { channel, oldest, head });
        }
        self.note_calm();
    }

    /// Notes that nothing is broken any more, if that is so.
    fn note_calm(&mut self) {
        let links = self.engine.iter().flat_map(|engine| &engine.of_nodes);
        let mut nodes = links.zip(&self.nodes);
        if nodes.all(|(link, node)| link.is_up && node.is_open(self.now)) {
            self.promise.calm();
        }
    }

    /// What arrives at a node.
    fn unpack(&mut self, node: usize, parcel: Parcel) -> ClusterInput {
        match (parcel, &mut self.engine) {
            (Parcel::Entry(channel, index), Some(engine)) => {
                engine.of_nodes[node].read[channel] = index + 1;
                ClusterInput::Entry {
                    channel: u32::try_from(channel).unwrap_or_default(),
                    position: engine.channels[channel].position(index),
                    message: engine.channels[channel].entries[index].clone(),
                }
            }
            (Parcel::Input(input), _) => *input,
            (Parcel::Entry(..), None) => unreachable!("an entry without an engine"),
        }
    }

    /// The engine carries a command out.
    fn carry_out(&mut self, node: usize, command: ClusterOutput) {
        let Some(engine) = &mut self.engine else { return };
        let answer = match command {
            ClusterOutput::Append(message) => {
                let channel = engine.layout.of(&message.namespace) as usize;
                let index = engine.channels[channel].append(Some((*message).clone()));
                let position = engine.channels[channel].position(index);
                self.promise.appended(channel, position, &message);
                for reader in engine.readers(channel, index) {
                    let clock = (&mut self.agenda, self.now);
                    engine.hand(
                        clock,
                        reader,
                        Lane::Entries,
                        Parcel::Entry(channel, index),
                        Task::Link,
                    );
                }
                return;
            }
            ClusterOutput::Read { channel, after } => {
                return self.begin_to_read(node, channel, after);
            }
            ClusterOutput::Publish { to, message } => {
                for other in engine.addressees(node, to.as_ref(), &message.namespace) {
                    if !engine.loses_message(other) {
                        let parcel =
                            Parcel::Input(Box::new(ClusterInput::Message((*message).clone())));
                        let clock = (&mut self.agenda, self.now);
                        engine.hand(clock, other, Lane::Messages, parcel, Task::Link);
                    }
                }
                return;
            }
            ClusterOutput::Subscribe { namespace } => {
                engine.of_nodes[node].subscribed.insert(namespace.clone());
                ClusterInput::Subscribed { namespace }
            }
            ClusterOutput::Unsubscribe { namespace } => {
                engine.of_nodes[node].subscribed.remove(&namespace);
                return;
            }
            ClusterOutput::CountServers { namespace, number } => {
                ClusterInput::ServersCounted { number, servers: engine.count(&namespace) }
            }
            command => self.ask_store(node, command),
        };
        let Some(engine) = &mut self.engine else { return };
        let clock = (&mut self.agenda, self.now);
        engine.hand(clock, node, Lane::Answers, Parcel::Input(Box::new(answer)), Task::Link);
    }

    /// The store carries a command out. Returns the answer.
    fn ask_store(&mut self, node: usize, command: ClusterOutput) -> ClusterInput {
        let now = self.now();
        let stored = match &command {
            ClusterOutput::Store { session, expires_in, .. } => Some((session.sid, *expires_in)),
            _ => None,
        };
        let taken = match &command {
            ClusterOutput::Take { version, number, .. } => Some((*version, *number)),
            _ => None,
        };
        let store = self.engine.as_mut().filter(|engine| engine.options.keeps_records);
        let answer = match store {
            Some(engine) => engine.store.carry_out(now, command),
            None => Store { is_full: true, ..Store::default() }.carry_out(now, command),
        };
        match &answer {
            ClusterInput::Stored { outcome: StoreOutcome::Stored, .. } => {
                if let Some((session, time)) = stored {
                    let until = now.saturating_add(time).as_micros();
                    self.promise.stored(session.as_str(), until);
                }
            }
            ClusterInput::Fetched { session: Some(found), .. } => {
                // Another version is left there.
                let taken = taken.filter(|(version, _)| *version == found.session.version);
                if let Some((_, number)) = taken {
                    self.promise.removed(found.session.sid.as_str(), node);
                    // Otherwise, its node has to store it again, whatever happens.
                    let is_claimed =
                        self.engine.as_mut().is_none_or(|it| !it.unclaimed.remove(&(node, number)));
                    if is_claimed {
                        self.promise.taken(found.session.sid.as_str());
                    }
                }
            }
            _ => {}
        }
        answer
    }

    /// A node says where it reads on.
    fn begin_to_read(&mut self, node: usize, channel: u32, after: Offset) {
        let Some(Links { channels, of_nodes, options, .. }) = &mut self.engine else { return };
        let number = channel as usize;
        let (Some(channel), link) = (channels.get(number), &mut of_nodes[node]) else { return };
        let origin = if options.reads_again { 0 } else { link.origins[number] };
        let Some(start) = channel.next(after).map(|start| start.max(origin)) else { return };
        // Meanwhile more was trimmed than the node knows.
        if options.reads_again && channel.oldest() > after {
            self.cut_link(node, RECONNECT);
            return;
        }
        link.read[number] = start;
        let end = channel.entries.len();
        link.cursors[number] = Some(end);
        let Some(engine) = &mut self.engine else { return };
        for index in start..end {
            let clock = (&mut self.agenda, self.now);
            engine.hand(clock, node, Lane::Entries, Parcel::Entry(number, index), Task::Link);
        }
    }
}
