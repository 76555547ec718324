//! The other nodes of each namespace, as their heartbeats show them.

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

use super::{ClusterConfig, message::NodeId};
use crate::time::Timestamp;

/// The other nodes of each namespace.
///
/// ```text
///             heartbeat               leaves, or silent for too long
///   unknown ─────────────► member ────────────────────────────────────► unknown
/// ```
pub(crate) struct Members {
    interval: Duration,
    timeout: Duration,
    limit: usize,
    rosters: BTreeMap<u32, Roster>,
    /// The nodes of this crate, with the number of namespaces in which each is a member.
    ours: BTreeMap<NodeId, usize>,
    /// When this node says next that it is still there.
    heartbeats: BTreeSet<(Timestamp, u32)>,
    /// When each member is looked at next.
    checks: BTreeSet<(Timestamp, u32, NodeId)>,
}

/// The members of one namespace.
#[derive(Default)]
struct Roster {
    subscription: Option<Subscription>,
    members: BTreeMap<NodeId, Member>,
}

#[derive(Clone, Copy)]
struct Subscription {
    /// Until then, others may still introduce themselves.
    introduced_at: Timestamp,
    heartbeat_at: Timestamp,
}

struct Member {
    /// When it was heard of last.
    seen: Timestamp,
    check: Timestamp,
    /// Whether it is a node of this crate.
    is_ours: bool,
}

/// What a node knows of the sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    Known,
    New,
    /// There are too many members.
    Refused,
}

/// How long others may take to introduce themselves to a node that has just come.
const INTRODUCTION: Duration = Duration::from_secs(1);

impl Members {
    pub(crate) const fn new(config: &ClusterConfig) -> Self {
        Self {
            interval: config.heartbeat_interval,
            timeout: config.heartbeat_timeout,
            limit: config.members,
            rosters: BTreeMap::new(),
            ours: BTreeMap::new(),
            heartbeats: BTreeSet::new(),
            checks: BTreeSet::new(),
        }
    }

    /// This node receives what others publish in a namespace. While it did not, it could not know
    /// who was there, so all members have their whole time again.
    pub(crate) fn subscribe(&mut self, now: Timestamp, namespace: u32) {
        self.unsubscribe(namespace);
        let heartbeat_at = now.saturating_add(self.interval);
        self.heartbeats.insert((heartbeat_at, namespace));
        let introduced_at = now.saturating_add(INTRODUCTION);
        let roster = self.rosters.entry(namespace).or_default();
        roster.subscription = Some(Subscription { introduced_at, heartbeat_at });
        let check = now.saturating_add(self.timeout);
        for (node, member) in &mut roster.members {
            (member.seen, member.check) = (now, check);
            self.checks.insert((check, namespace, node.clone()));
        }
    }

    /// This node may miss what others publish. Until it is subscribed again, nobody is overdue.
    pub(crate) fn unsubscribe(&mut self, namespace: u32) {
        let Some(roster) = self.rosters.get_mut(&namespace) else { return };
        if let Some(subscription) = roster.subscription.take() {
            self.heartbeats.remove(&(subscription.heartbeat_at, namespace));
        }
        for (node, member) in &roster.members {
            self.checks.remove(&(member.check, namespace, node.clone()));
        }
    }

    /// The same in all namespaces.
    pub(crate) fn unsubscribe_all(&mut self) {
        let namespaces: Vec<u32> = self.rosters.keys().copied().collect();
        for namespace in namespaces {
            self.unsubscribe(namespace);
        }
    }

    /// A namespace is gone.
    pub(crate) fn forget(&mut self, namespace: u32) {
        self.unsubscribe(namespace);
        let Some(roster) = self.rosters.remove(&namespace) else { return };
        let ours = roster.members.iter().filter(|(_, member)| member.is_ours);
        ours.for_each(|(node, _)| self.lose(node));
    }

    /// A heartbeat of a node has come.
    pub(crate) fn note(
        &mut self,
        now: Timestamp,
        namespace: u32,
        node: &NodeId,
        is_ours: bool,
    ) -> Noted {
        if *node == NodeId::EMITTER {
            return Noted::Refused;
        }
        let roster = self.rosters.entry(namespace).or_default();
        if let Some(member) = roster.members.get_mut(node) {
            member.seen = now;
            if is_ours && !member.is_ours {
                member.is_ours = true;
                self.gain(node);
            }
            return Noted::Known;
        }
        if roster.members.len() >= self.limit {
            return Noted::Refused;
        }
        let check = now.saturating_add(self.timeout);
        if roster.subscription.is_some() {
            self.checks.insert((check, namespace, node.clone()));
        }
        roster.members.insert(node.clone(), Member { seen: now, check, is_ours });
        if is_ours {
            self.gain(node);
        }
        Noted::New
    }

    fn gain(&mut self, node: &NodeId) {
        let namespaces = self.ours.entry(node.clone()).or_default();
        *namespaces = namespaces.saturating_add(1);
    }

    fn lose(&mut self, node: &NodeId) {
        let Some(namespaces) = self.ours.get_mut(node) else { return };
        *namespaces = namespaces.saturating_sub(1);
        if *namespaces == 0 {
            self.ours.remove(node);
        }
    }

    /// Something else of a node has come.
    pub(crate) fn refresh(&mut self, now: Timestamp, namespace: u32, node: &NodeId) {
        let roster = self.rosters.get_mut(&namespace);
        if let Some(member) = roster.and_then(|roster| roster.members.get_mut(node)) {
            member.seen = now;
        }
    }

    /// A node leaves. Returns whether it was a member.
    pub(crate) fn leave(&mut self, namespace: u32, node: &NodeId) -> bool {
        let roster = self.rosters.get_mut(&namespace);
        let member = roster.and_then(|roster| roster.members.remove(node));
        if let Some(member) = &member {
            self.checks.remove(&(member.check, namespace, node.clone()));
            if member.is_ours {
                self.lose(node);
            }
        }
        member.is_some()
    }

    /// A namespace in which this node has to say that it is still there.
    pub(crate) fn next_heartbeat(&mut self, now: Timestamp) -> Option<u32> {
        let (due, namespace) = *self.heartbeats.first()?;
        if due > now {
            return None;
        }
        self.heartbeats.pop_first();
        let roster = self.rosters.get_mut(&namespace)?;
        let subscription = roster.subscription.as_mut()?;
        subscription.heartbeat_at = now.saturating_add(self.interval);
        self.heartbeats.insert((subscription.heartbeat_at, namespace));
        Some(namespace)
    }

    /// Removes and returns a member that has been silent for too long.
    pub(crate) fn next_overdue(&mut self, now: Timestamp) -> Option<(u32, NodeId)> {
        while self.checks_at() <= now {
            let (_, namespace, node) = self.checks.pop_first()?;
            let roster = self.rosters.get_mut(&namespace)?;
            let Some(member) = roster.members.get_mut(&node) else { continue };
            let overdue_at = member.seen.saturating_add(self.timeout);
            if overdue_at <= now {
                self.leave(namespace, &node);
                return Some((namespace, node));
            }
            member.check = overdue_at;
            self.checks.insert((overdue_at, namespace, node));
        }
        None
    }

    /// When the next heartbeat is due.
    pub(crate) fn heartbeat_at(&self) -> Timestamp {
        self.heartbeats.first().map_or(Timestamp::NEVER, |(due, _)| *due)
    }

    /// When the next member is looked at.
    pub(crate) fn checks_at(&self) -> Timestamp {
        self.checks.first().map_or(Timestamp::NEVER, |(due, ..)| *due)
    }

    /// Whether this node receives what others publish in a namespace.
    pub(crate) fn is_subscribed(&self, namespace: u32) -> bool {
        self.introduced_at(namespace).is_some()
    }

    /// When everyone who is there has had the time to introduce themselves. `None` while this node
    /// is not subscribed.
    pub(crate) fn introduced_at(&self, namespace: u32) -> Option<Timestamp> {
        Some(self.rosters.get(&namespace)?.subscription?.introduced_at)
    }

    /// The members of a namespace.
    pub(crate) fn nodes(&self, namespace: u32) -> impl Iterator<Item = &NodeId> {
        self.rosters.get(&namespace).into_iter().flat_map(|roster| roster.members.keys())
    }

    /// The members of any namespace that are nodes of this crate.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &NodeId> {
        self.ours.keys()
    }

    /// Whether a node of this crate is a member of any namespace.
    pub(crate) fn has(&self, node: &NodeId) -> bool {
        self.ours.contains_key(node)
    }
}
