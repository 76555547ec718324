//! Namespaces that were left on the present connection: what the server had sent before it knew may
//! still arrive, and belongs to nobody.

use alloc::collections::BTreeMap;

use crate::socket::NamespaceName;

/// The namespaces whose last packets may still be on their way.
///
/// Packets keep their order, so the answer to a CONNECT that was sent after a DISCONNECT tells that
/// nothing of the former stay is to come. That also bounds what is kept here: by the namespaces that
/// are joined at one time, and those whose CONNECT is on its way.
#[derive(Debug, Default)]
pub(super) struct LeftNamespaces {
    /// With the number of CONNECTs that had been sent when each was left.
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

    /// The server's own DISCONNECT came. Returns whether it belongs to a stay that was over.
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

    /// The connection is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_that_nothing_older_is_to_come() {
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
