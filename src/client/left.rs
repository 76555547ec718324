//! Namespaces that the client has left on the current connection. Packets that the server sent before
//! it knew may still arrive. They are ignored.

use alloc::collections::BTreeMap;

use crate::socket::NamespaceName;

/// The namespaces whose last packets may still be in transit.
///
/// Packets keep their order. So when a CONNECT that was sent after a DISCONNECT is answered, no older
/// packet can follow. This also bounds the number of entries: by the namespaces that are joined at
/// the same time, plus those whose CONNECT is not answered.
#[derive(Debug, Default)]
pub(super) struct LeftNamespaces {
    /// Each with the number of CONNECTs that had been sent before it was left.
    names: BTreeMap<NamespaceName, u64>,
    connects: u64,
}

impl LeftNamespaces {
    /// A DISCONNECT was sent.
    pub(super) fn insert(&mut self, name: NamespaceName) {
        self.names.insert(name, self.connects);
    }

    pub(super) fn contains(&self, name: &NamespaceName) -> bool {
        self.names.contains_key(name)
    }

    /// A DISCONNECT of the server came. Returns whether the client had left before.
    pub(super) fn remove(&mut self, name: &NamespaceName) -> bool {
        self.names.remove(name).is_some()
    }

    /// A CONNECT is sent. Returns its number.
    pub(super) fn count_connect(&mut self) -> u64 {
        self.connects = self.connects.saturating_add(1);
        self.connects
    }

    /// The CONNECT of this number was answered.
    pub(super) fn answered(&mut self, connect: u64) {
        self.names.retain(|_, connects| *connects >= connect);
    }

    /// The connection has ended.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_older_packet_follows_an_answer() {
        let [a, b] = ["/a", "/b"].map(|name| NamespaceName::new(name).unwrap());
        let mut left = LeftNamespaces::default();
        let before = left.count_connect();
        left.insert(a.clone());
        let after = left.count_connect();
        left.insert(b.clone());
        left.answered(before);
        assert!(left.contains(&a) && left.contains(&b), "both were left after it");
        left.answered(after);
        assert!(!left.contains(&a) && left.contains(&b));
        assert!(left.remove(&b) && !left.remove(&b));
    }
}
