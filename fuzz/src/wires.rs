//! The wires of a run: each gets exactly one final output, and nothing after it.

use std::collections::BTreeMap;

use socketio_proto::WireId;

#[derive(Debug, Default)]
pub(super) struct Wires {
    next: u64,
    open: BTreeMap<WireId, Wire>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Get,
    /// A POST or something else that is not held for packets.
    Other,
    WebSocket,
    /// A WebSocket that does not take frames now.
    Paused,
}

impl Wires {
    pub(super) fn open(&mut self, kind: Wire) -> WireId {
        self.next += 1;
        let wire = WireId(self.next);
        self.open.insert(wire, kind);
        wire
    }

    /// The peer has closed it.
    pub(super) fn lose(&mut self, wire: WireId) {
        self.open.remove(&wire);
    }

    /// The server has answered it.
    pub(super) fn answer(&mut self, wire: WireId) -> Option<Wire> {
        let kind = self.open.remove(&wire);
        assert!(matches!(kind, Some(Wire::Get | Wire::Other)), "{wire:?} was {kind:?}");
        kind
    }

    /// The server has closed it.
    pub(super) fn close(&mut self, wire: WireId) {
        let kind = self.open.remove(&wire);
        assert!(kind.is_some(), "{wire:?} was finished already");
    }

    /// The server has sent a frame on it.
    pub(super) fn send(&self, wire: WireId) {
        let kind = self.open.get(&wire);
        assert_eq!(kind, Some(&Wire::WebSocket), "a frame for {wire:?}");
    }

    pub(super) fn set_paused(&mut self, wire: WireId, is_paused: bool) {
        if let Some(kind @ (Wire::WebSocket | Wire::Paused)) = self.open.get_mut(&wire) {
            *kind = if is_paused { Wire::Paused } else { Wire::WebSocket };
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (WireId, Wire)> {
        self.open.iter().map(|(wire, kind)| (*wire, *kind))
    }

    pub(super) fn all(&self) -> Vec<WireId> {
        self.open.keys().copied().collect()
    }
}
