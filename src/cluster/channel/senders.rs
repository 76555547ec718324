//! Which entries of other nodes were read.

use alloc::collections::BTreeMap;

use crate::{
    cluster::message::{NodeId, Stamp},
    recovery::Offset,
};

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It takes effect.
    New,
    /// It takes effect, and is the first one of its sender, a node of this crate.
    First,
    /// It takes effect as the own entry with this number. See [`Channel::reach`](super::Channel::reach).
    Own(u64),
    /// It is there twice.
    Repeated,
    /// Its position is not after all earlier ones.
    OutOfOrder,
}

/// How many entries of a node are not read twice, by node.
#[derive(Default)]
pub(super) struct Senders(pub(super) BTreeMap<(NodeId, u64), (u64, Offset)>);

/// More nodes than this are not remembered. The ones that have been silent longest are forgotten.
pub(super) const SENDERS_MAX: usize = 1_024;

impl Senders {
    /// Notes an entry of a node.
    pub(super) fn note(&mut self, sender: &NodeId, stamp: Stamp, position: Offset) -> Reading {
        let key = (sender.clone(), stamp.nonce);
        if let Some((latest, at)) = self.0.get_mut(&key) {
            if stamp.sequence <= *latest {
                return Reading::Repeated;
            }
            (*latest, *at) = (stamp.sequence, position);
            return Reading::New;
        }
        if self.0.len() >= SENDERS_MAX {
            let silent = self.0.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| key.clone());
            silent.map(|key| self.0.remove(&key));
        }
        self.0.insert(key, (stamp.sequence, position));
        Reading::First
    }
}
