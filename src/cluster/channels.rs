//! How namespaces are spread over channels.

use crate::socket::NamespaceName;

/// How the namespaces of a cluster are spread over several channels. All nodes must have the same.
///
/// A node reads every channel, and each has its own order. So several channels divide the work of
/// the engine, not that of the nodes, and only help with several namespaces. Most clusters need
/// [one](Self::ONE).
///
/// ```
/// use socketio_proto::cluster::{Channels, ClusterConfig};
/// use socketio_proto::socket::NamespaceName;
///
/// let by_length = |name: &NamespaceName, count| name.as_str().len() as u32 % count;
/// let channels = Channels::new(4, by_length);
/// assert_eq!(channels.of(&NamespaceName::ROOT), 1);
///
/// let mut entropy = |dest: &mut [u8]| dest.fill(7); // Random bytes, in production.
/// let config = ClusterConfig::from_entropy(&mut entropy).channels(channels);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    count: u32,
    of: fn(&NamespaceName, u32) -> u32,
}

impl Channels {
    /// One channel for all namespaces. This is the default.
    pub const ONE: Self = Self { count: 1, of: |_, _| 0 };

    /// More channels than this cannot be used.
    pub const MAX: u32 = 10_000;

    /// This many channels. `of` says in which of them a namespace is, given the number of channels:
    /// a number below that. It must say the same every time.
    pub const fn new(count: u32, of: fn(&NamespaceName, u32) -> u32) -> Self {
        Self { count, of }
    }

    /// Returns how many channels there are.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Returns the channel of a namespace, counted from 0.
    pub fn of(self, namespace: &NamespaceName) -> u32 {
        if self.count <= 1 {
            return 0;
        }
        let channel = (self.of)(namespace, self.count);
        channel.checked_rem(self.count).unwrap_or_default()
    }

    pub(super) const fn is_valid(self) -> bool {
        1 <= self.count && self.count <= Self::MAX
    }
}
