//! Namespaces that nobody here is in, but that a client may come to from another node.
//!
//! A namespace that a predicate accepts is usually removed with its last session. In a cluster, its
//! log is kept for as long as a session of another node may need it, and is begun when the first
//! event for such a namespace is read:
//!
//! ```text
//!            an event is read                     a client comes
//!   absent ────────────────────► vacant ◄──────────────────────► in use
//!      ▲                           │      its last session ends
//!      └───────────────────────────┘
//!        nothing was read for as long as a log goes back, or too many
//! ```

use alloc::collections::{BTreeMap, BTreeSet};

use crate::{
    cluster::{
        Channel, ClusterConfig,
        message::{Body, OwnKind},
    },
    hub::{Hub, namespace::Namespace, sessions::Change},
    recovery::Offset,
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

/// The vacant namespaces of a node.
#[derive(Debug)]
pub(super) struct Vacant {
    count_max: usize,
    bytes_max: usize,
    /// When each was last read, and the bytes of its log.
    all: BTreeMap<u32, (u64, usize)>,
    /// Those that were not read for longest first.
    order: BTreeSet<(u64, u32)>,
    bytes: usize,
    reads: u64,
    /// By channel: what was read after this position, for a namespace that is absent, is nothing.
    floors: BTreeMap<u32, Offset>,
}

impl Vacant {
    pub(super) fn new(config: &ClusterConfig) -> Self {
        Self {
            count_max: config.vacant_namespaces,
            bytes_max: config.vacant_namespace_bytes,
            all: BTreeMap::new(),
            order: BTreeSet::new(),
            bytes: 0,
            reads: 0,
            floors: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Everything of an absent namespace after this position would be known.
    pub(super) fn floor(&self, channel: u32) -> Option<Offset> {
        self.floors.get(&channel).copied()
    }

    /// A channel is read from this position on.
    pub(super) fn begin(&mut self, channel: u32, origin: Offset) {
        self.floors.insert(channel, origin);
    }

    /// A namespace whose latest entry has this position becomes absent.
    fn raise_floor(&mut self, channel: u32, latest: Offset) {
        let floor = self.floors.entry(channel).or_insert(latest);
        *floor = latest.max(*floor);
    }

    /// The latest entry of all is one of this namespace.
    fn touch(&mut self, id: u32, bytes: usize) {
        self.remove(id);
        self.reads = self.reads.saturating_add(1);
        self.all.insert(id, (self.reads, bytes));
        self.order.insert((self.reads, id));
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn remove(&mut self, id: u32) {
        if let Some((read, bytes)) = self.all.remove(&id) {
            self.order.remove(&(read, id));
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// The one that is given up if there are too many. A single one is always allowed.
    fn excess(&self) -> Option<u32> {
        let is_too_much = self.all.len() > self.count_max || self.bytes > self.bytes_max;
        let first = self.order.first().filter(|_| is_too_much && self.all.len() > 1);
        first.map(|(_, id)| *id)
    }
}

impl<D: Default> Hub<D> {
    /// How many namespaces nobody here is in.
    pub(in crate::hub) fn vacant_namespaces(&self) -> usize {
        self.node.as_ref().map_or(0, |node| node.vacant.len())
    }

    /// The namespace that an entry of the channel is for. A namespace that a predicate accepts begins
    /// with the first entry that a session of another node may need.
    pub(super) fn find_replica(&mut self, name: &NamespaceName, body: &Body) -> Option<u32> {
        if let Some(id) = self.names.get(name) {
            return Some(*id);
        }
        if !matters(body) || self.config.recovery.is_none() || !self.is_accepted(name) {
            return None;
        }
        Some(self.begin_vacant(name.clone()))
    }

    /// The namespace that something for all nodes is emitted to. It need not be here: a namespace that
    /// a predicate accepts may be at other nodes.
    pub(in crate::hub) fn find_for_all(&mut self, name: &str) -> Option<u32> {
        let found = self.names.get(name).copied();
        if found.is_some() || self.node.is_none() {
            return found;
        }
        let name = NamespaceName::new(name).ok()?;
        if !self.is_accepted(&name) {
            return None;
        }
        let id = self.begin_vacant(name);
        self.bound_vacant();
        Some(id)
    }

    /// Notes that an entry of the channel was applied in a namespace.
    pub(super) fn note_applied(&mut self, id: u32, position: Offset, body: &Body) {
        let Some(namespace) = self.namespaces.get_mut(&id) else { return };
        if matters(body) {
            namespace.latest_entry = Some(position);
            if namespace.is_vacant() {
                self.touch_vacant(id);
                self.bound_vacant();
            }
        }
    }

    /// A namespace is in use from now on: it is new, or was vacant.
    pub(in crate::hub) fn occupy(&mut self, id: u32) {
        let (now, Some(node)) = (self.now, &mut self.node) else { return };
        let Some(namespace) = self.namespaces.get_mut(&id) else { return };
        namespace.vacant_until = Timestamp::NEVER;
        if let Some(position) = node.channels.get(namespace.channel).and_then(Channel::position) {
            namespace.sessions.apply(now, Change::Advance { position });
        }
        node.vacant.remove(id);
        let name = namespace.sessions.name().clone();
        self.note_namespace(&name);
    }

    /// Whether a namespace that is not needed here is kept for sessions of other nodes.
    pub(in crate::hub) fn keeps_vacant(&mut self, id: u32) -> bool {
        let Some(namespace) = self.namespaces.get(&id) else { return false };
        if namespace.is_vacant() {
            return namespace.vacant_until > self.now;
        }
        let Some(node) = self.node.as_ref().filter(|_| self.config.recovery.is_some()) else {
            return false;
        };
        if namespace.latest_entry.is_none() && !node.claims.concern(id) {
            return false;
        }
        let name = namespace.sessions.name().clone();
        self.note_namespace_gone(id, &name);
        self.touch_vacant(id);
        self.bound_vacant();
        true
    }

    /// A namespace is removed.
    pub(in crate::hub) fn note_removed(&mut self, namespace: &Namespace<D>) {
        if !namespace.is_vacant() {
            self.note_namespace_gone(namespace.id, namespace.sessions.name());
        }
        if let Some(node) = &mut self.node {
            node.vacant.remove(namespace.id);
            if let Some(latest) = namespace.latest_entry {
                node.vacant.raise_floor(namespace.channel, latest);
            }
        }
    }

    fn begin_vacant(&mut self, name: NamespaceName) -> u32 {
        let id = self.insert_namespace(name, true);
        self.touch_vacant(id);
        id
    }

    fn touch_vacant(&mut self, id: u32) {
        let until = self.now.saturating_add(self.config.log_age());
        let touched = self.with_namespace(id, |namespace, _| {
            namespace.vacant_until = until;
            namespace.sessions.log().bytes()
        });
        if let (Some(node), Some(bytes)) = (&mut self.node, touched) {
            node.vacant.touch(id, bytes);
        }
    }

    /// Gives up vacant namespaces while there are too many.
    fn bound_vacant(&mut self) {
        while let Some(id) = self.node.as_ref().and_then(|node| node.vacant.excess()) {
            // Somebody may wait for answers from there.
            let Some(namespace) = self.namespaces.get(&id).filter(|it| it.is_removable()) else {
                self.occupy(id);
                continue;
            };
            if namespace.latest_entry.is_some() {
                increment(&mut self.totals.vacant_namespaces_removed);
            }
            self.remove_namespace(id);
        }
    }
}

/// Whether an entry is one that a session of another node may have to be told of.
const fn matters(body: &Body) -> bool {
    matches!(
        body,
        Body::Broadcast(_)
            | Body::SocketsJoin { .. }
            | Body::SocketsLeave { .. }
            | Body::DisconnectSockets { .. }
            | Body::Own { kind: OwnKind::Unheard, .. }
    )
}
