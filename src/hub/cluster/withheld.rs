//! Packets that wait until the store has what has changed the sessions of their connection.
//!
//! ```text
//!   change 7 ─► write ─────────────► stored: up to 8
//!       packet   change 8   packet   change 9   packet
//!       (7)                 (8)                 (9)
//!         └──────────────────┴─ sent              └ waits for the next write
//! ```

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use crate::{
    hub::{
        message::{Delivery, Reply, ReplyKind},
        output::HubOutput,
    },
    id::{ConnectionId, SocketKey},
    socket::Encoded,
    time::Timestamp,
};

/// What waits, by connection.
pub(super) struct Withheld<D> {
    links: BTreeMap<ConnectionId, Waiting<D>>,
    ends: BTreeSet<(Timestamp, ConnectionId)>,
    /// The connections that wait for each session.
    sockets: BTreeSet<(SocketKey, ConnectionId)>,
    /// What need not wait any longer.
    released: VecDeque<HubOutput<D>>,
    outputs_max: usize,
    bytes_max: usize,
}

struct Waiting<D> {
    until: Timestamp,
    /// The sessions with changes that the store does not have, each with the first of them.
    unstored: BTreeMap<SocketKey, u64>,
    /// Each with the number of the latest change before it.
    outputs: VecDeque<(u64, HubOutput<D>)>,
    bytes: usize,
}

impl<D> Withheld<D> {
    pub(super) fn new(outputs_max: usize, bytes_max: usize) -> Self {
        Self {
            links: BTreeMap::new(),
            ends: BTreeSet::new(),
            sockets: BTreeSet::new(),
            released: VecDeque::new(),
            outputs_max,
            bytes_max,
        }
    }

    /// The session of a connection has changed. What is sent to the connection from now on waits, until
    /// `until` at most.
    pub(super) fn begin(
        &mut self,
        link: ConnectionId,
        socket: SocketKey,
        change: u64,
        until: Timestamp,
    ) {
        let waiting = self.links.entry(link).or_insert_with(|| Waiting {
            until,
            unstored: BTreeMap::new(),
            outputs: VecDeque::new(),
            bytes: 0,
        });
        waiting.unstored.entry(socket).or_insert(change);
        self.ends.insert((waiting.until, link));
        self.sockets.insert((socket, link));
    }

    /// Keeps what has to wait. Returns the rest, and whether a connection exceeds the limits.
    pub(super) fn keep(
        &mut self,
        latest: u64,
        output: HubOutput<D>,
    ) -> (Option<HubOutput<D>>, Vec<ConnectionId>) {
        let mut full = Vec::new();
        if self.links.is_empty() {
            return (Some(output), full);
        }
        match output {
            HubOutput::Reply { to, reply } => match self.links.get_mut(&to) {
                Some(waiting) => {
                    let bytes = reply_len(&reply);
                    waiting.push(latest, HubOutput::Reply { to, reply }, bytes);
                    full.extend(self.is_full(to).then_some(to));
                    (None, full)
                }
                None => (Some(HubOutput::Reply { to, reply }), full),
            },
            HubOutput::Deliver(mut delivery) => {
                let Delivery { namespace, packet, reliability, to } = &mut delivery;
                to.retain(|link| {
                    let Some(waiting) = self.links.get_mut(link) else { return true };
                    let one = Delivery {
                        namespace: *namespace,
                        packet: packet.clone(),
                        reliability: *reliability,
                        to: [*link].into(),
                    };
                    waiting.push(latest, HubOutput::Deliver(one), packet.wire_len());
                    full.push(*link);
                    false
                });
                full.retain(|link| self.is_full(*link));
                let is_empty = delivery.to.is_empty();
                ((!is_empty).then_some(HubOutput::Deliver(delivery)), full)
            }
            other => (Some(other), full),
        }
    }

    /// The store has a session up to the change with this number. `first` is the next change that it
    /// does not have, if there is one.
    pub(super) fn note_stored(&mut self, socket: SocketKey, first: Option<u64>) {
        let links = self.sockets.range((socket, ConnectionId::from_raw(0))..);
        let links = links.take_while(|it| it.0 == socket).map(|it| it.1);
        for link in links.collect::<Vec<_>>() {
            let Some(waiting) = self.links.get_mut(&link) else { continue };
            if let Some(first) = first {
                waiting.unstored.insert(socket, first);
            } else {
                waiting.unstored.remove(&socket);
                self.sockets.remove(&(socket, link));
            }
            self.release(link);
        }
    }

    /// Releases everything for a connection, stored or not. Returns whether something has waited.
    pub(super) fn give_up(&mut self, link: ConnectionId) -> bool {
        let Some(mut waiting) = self.remove(link) else { return false };
        let has_waited = !waiting.outputs.is_empty();
        self.released.extend(waiting.outputs.drain(..).map(|it| it.1));
        has_waited
    }

    /// Drops everything for a connection that is going to be closed.
    pub(super) fn discard(&mut self, link: ConnectionId) {
        self.remove(link);
    }

    /// A connection that has waited for too long.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<ConnectionId> {
        self.ends.first().filter(|it| it.0 <= now).map(|it| it.1)
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.ends.first().map_or(Timestamp::NEVER, |it| it.0)
    }

    pub(super) fn pop_released(&mut self) -> Option<HubOutput<D>> {
        self.released.pop_front()
    }

    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    fn release(&mut self, link: ConnectionId) {
        let Some(waiting) = self.links.get_mut(&link) else { return };
        let first = waiting.unstored.values().min().copied();
        while waiting.outputs.front().is_some_and(|(need, _)| first.is_none_or(|it| *need < it)) {
            let output = waiting.outputs.pop_front().map(|it| it.1);
            self.released.extend(output);
        }
        if waiting.outputs.is_empty() {
            waiting.bytes = 0;
        }
        if first.is_none() {
            self.remove(link);
        }
    }

    fn remove(&mut self, link: ConnectionId) -> Option<Waiting<D>> {
        let waiting = self.links.remove(&link)?;
        self.ends.remove(&(waiting.until, link));
        for socket in waiting.unstored.keys() {
            self.sockets.remove(&(*socket, link));
        }
        Some(waiting)
    }

    fn is_full(&self, link: ConnectionId) -> bool {
        self.links.get(&link).is_some_and(|waiting| {
            waiting.outputs.len() > self.outputs_max || waiting.bytes > self.bytes_max
        })
    }
}

impl<D> Waiting<D> {
    fn push(&mut self, latest: u64, output: HubOutput<D>, bytes: usize) {
        self.outputs.push_back((latest, output));
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

fn reply_len(reply: &Reply) -> usize {
    match &reply.0 {
        ReplyKind::Connected { packets, .. } => {
            packets.iter().map(Encoded::wire_len).fold(0, usize::saturating_add)
        }
        ReplyKind::Repeated { packet, .. } | ReplyKind::Refused { packet, .. } => packet.wire_len(),
        ReplyKind::Disconnected { .. } | ReplyKind::Close { .. } => 0,
    }
}
