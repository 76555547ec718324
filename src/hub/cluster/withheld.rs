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

    /// Keeps what has to wait. Returns the rest, and for how many connections too much has waited: what
    /// they have waited for is released.
    pub(super) fn keep(
        &mut self,
        latest: u64,
        output: HubOutput<D>,
    ) -> (Option<HubOutput<D>>, u64) {
        match output {
            HubOutput::Reply { to, reply } if self.links.contains_key(&to) => {
                let bytes = reply_len(&reply);
                let is_given_up = self.push(to, latest, HubOutput::Reply { to, reply }, bytes);
                (None, u64::from(is_given_up))
            }
            HubOutput::Deliver(mut delivery) if !self.links.is_empty() => {
                let Delivery { namespace, packet, reliability, to } = &mut delivery;
                let mut given_up = 0;
                to.retain(|link| {
                    if !self.links.contains_key(link) {
                        return true;
                    }
                    let one = Delivery {
                        namespace: *namespace,
                        packet: packet.clone(),
                        reliability: *reliability,
                        to: [*link].into(),
                    };
                    let one = HubOutput::Deliver(one);
                    given_up += u64::from(self.push(*link, latest, one, packet.wire_len()));
                    false
                });
                let is_left = !delivery.to.is_empty();
                (is_left.then_some(HubOutput::Deliver(delivery)), given_up)
            }
            other => (Some(other), 0),
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

    /// What need not wait any longer.
    pub(super) fn take_released(&mut self) -> VecDeque<HubOutput<D>> {
        core::mem::take(&mut self.released)
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

    /// Returns whether too much waits, so that everything was released.
    fn push(
        &mut self,
        link: ConnectionId,
        latest: u64,
        output: HubOutput<D>,
        bytes: usize,
    ) -> bool {
        let Some(waiting) = self.links.get_mut(&link) else { return false };
        waiting.outputs.push_back((latest, output));
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        let is_full = waiting.outputs.len() > self.outputs_max || waiting.bytes > self.bytes_max;
        is_full && self.give_up(link)
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
