//! A namespace that is created for its first client and removed with its last session. When it is
//! created again, it has another log.

use socketio_proto::{SocketKey, hub::EmitError};

use crate::world::World;

impl World {
    /// A session was opened in a namespace, which may have been made for it.
    pub fn note_namespace(&mut self, socket: SocketKey, space: usize) {
        if self.plan.dynamic != Some(space) {
            return;
        }
        let number = namespace_number(socket);
        if self.dynamic.replace(number) == Some(number) {
            return;
        }
        self.tally.fault("namespace made");
        // Each that is made draws an epoch.
        let draw = self.first_dynamic + number - (self.plan.spaces - 1);
        let epoch = u64::from(self.drawn.lock().unwrap()[draw]);
        self.model.renew(space, epoch);
    }

    /// What the server says about a namespace that it has. `None` if it rightly has none.
    pub fn answered<T>(&mut self, space: usize, result: Result<T, EmitError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(EmitError::UnknownNamespace) if self.plan.dynamic == Some(space) => {
                assert!(self.model.is_deserted(space), "somebody is in it");
                self.tally.fault("namespace gone");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The number of a session's namespace, which no other one has had.
pub fn namespace_number(socket: SocketKey) -> usize {
    let text = format!("{socket:?}");
    let (_, rest) = text.split_once("namespace: ").expect("a key shows its namespace");
    rest.split(',').next().unwrap().parse().expect("a number")
}
