//! The wires of a client: it names them, uses each in its order, and finishes each once.

use std::collections::BTreeMap;

use socketio_proto::{WireId, engine::EngineClientOutput};

#[derive(Debug, Default)]
pub(super) struct Wires {
    next: u64,
    open: BTreeMap<WireId, Wire>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Get,
    Post,
    /// A WebSocket that is being opened.
    Opening,
    WebSocket,
}

impl Wires {
    /// Takes what the client does to a wire.
    pub(super) fn apply(&mut self, output: &EngineClientOutput) {
        match output {
            EngineClientOutput::Get { wire, .. } => self.start(*wire, Wire::Get),
            EngineClientOutput::Post { wire, .. } => self.start(*wire, Wire::Post),
            EngineClientOutput::OpenWebSocket { wire, .. } => self.start(*wire, Wire::Opening),
            EngineClientOutput::Send { wire, .. } => {
                let kind = self.open.get(wire);
                assert_eq!(kind, Some(&Wire::WebSocket), "{output:?}");
            }
            EngineClientOutput::Close { wire } => {
                assert!(self.open.remove(wire).is_some(), "{wire:?} was finished already");
            }
            EngineClientOutput::Event(_) => {}
            other => unreachable!("unknown: {other:?}"),
        }
        for kind in [Wire::Get, Wire::Post] {
            let count = self.of(|other| other == kind).len();
            assert!(count <= 1, "{count} requests: {kind:?}");
        }
    }

    fn start(&mut self, wire: WireId, kind: Wire) {
        assert!(wire.0 >= self.next, "{wire:?} is a new name");
        self.next = wire.0 + 1;
        self.open.insert(wire, kind);
    }

    /// A WebSocket is open now.
    pub(super) fn set_open(&mut self, wire: WireId) {
        if let Some(kind @ Wire::Opening) = self.open.get_mut(&wire) {
            *kind = Wire::WebSocket;
        }
    }

    /// The server or the network has finished it.
    pub(super) fn finish(&mut self, wire: WireId) {
        self.open.remove(&wire);
    }

    pub(super) fn of(&self, is_wanted: impl Fn(Wire) -> bool) -> Vec<WireId> {
        let wanted = self.open.iter().filter(|(_, kind)| is_wanted(**kind));
        wanted.map(|(wire, _)| *wire).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
