//! Names that messages have in common.

use smallvec::SmallVec;

use super::NodeId;
use crate::socket::NamespaceName;

/// The names of earlier messages. Most messages come from few nodes and are about few namespaces, so their
/// names need neither be checked nor copied again.
///
/// It remembers 8 of each. Looking one up takes time in proportion to that.
#[derive(Clone, Debug, Default)]
pub struct MessageNames {
    senders: Recent<NodeId>,
    namespaces: Recent<NamespaceName>,
}

impl MessageNames {
    /// `None` if it cannot be the name of a node.
    pub(in crate::cluster) fn sender(&mut self, text: &[u8]) -> Option<NodeId> {
        self.senders.find(text, NodeId::as_str, NodeId::new)
    }

    /// `None` if it cannot be the name of a namespace.
    pub(in crate::cluster) fn namespace(&mut self, text: &[u8]) -> Option<NamespaceName> {
        self.namespaces.find(text, NamespaceName::as_str, NamespaceName::read)
    }
}

/// The latest names that were new, the last one first.
#[derive(Clone, Debug)]
struct Recent<T>(SmallVec<[T; 2]>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Clone> Recent<T> {
    const MAX: usize = 8;

    fn find<'a>(
        &mut self,
        text: &'a [u8],
        as_str: impl Fn(&T) -> &str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Option<T> {
        if let Some(known) = self.0.iter().find(|name| as_str(name).as_bytes() == text) {
            return Some(known.clone());
        }
        let name = read(core::str::from_utf8(text).ok()?)?;
        self.0.truncate(Self::MAX - 1);
        self.0.insert(0, name.clone());
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_name_is_the_same_whether_it_is_known_or_not() {
        let mut names = MessageNames::default();
        for round in 0..3 {
            for number in 0..2 * Recent::<NodeId>::MAX {
                let (node, namespace) = (format!("node{number}"), format!("/{number}"));
                let sender = names.sender(node.as_bytes());
                assert_eq!(sender, NodeId::new(node), "{round}");
                let found = names.namespace(namespace.as_bytes());
                assert_eq!(found, NamespaceName::read(&namespace), "{round}");
            }
            for wrong in [&b""[..], b"a#b", b"\xff"] {
                assert_eq!(names.sender(wrong), None, "{}", wrong.escape_ascii());
            }
            for wrong in [&b""[..], b"name", b"/a,b", b"/\xff"] {
                assert_eq!(names.namespace(wrong), None, "{}", wrong.escape_ascii());
            }
            assert_eq!(names.senders.0.len(), Recent::<NodeId>::MAX);
            assert_eq!(names.namespaces.0.len(), Recent::<NamespaceName>::MAX);
        }
    }
}
