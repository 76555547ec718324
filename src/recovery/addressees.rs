//! Who a packet is for.

use smallvec::SmallVec;

use super::room::{Excepted, RoomId};

/// Who a packet is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressees {
    /// Rooms, at least one; [`RoomId::ALL`] for the whole namespace.
    pub(crate) targets: SmallVec<[RoomId; 2]>,
    /// Rooms left out, sorted.
    pub(crate) except: Excepted,
}
