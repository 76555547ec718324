//! The end of a server's process, and the next one.

use std::collections::BTreeMap;

use socketio_proto::{SocketKey, WireId};
use socketio_proto_sim::{Rng, net::Notice};

use crate::{
    dynamic::namespace_number,
    op::{Restart, SPACES},
    world::{World, start},
};

impl World {
    /// Ends the server's process and begins another one, with a snapshot or without.
    pub fn restart_server(&mut self, how: Restart, after_ms: u64) {
        if self.plan.workers.is_some() {
            // A hub is restarted like a server; its links have nothing to hand over.
            return;
        }
        self.drain_server();
        self.tally.fault(match how {
            Restart::Planned => "server restarted",
            Restart::Abrupt => "server restarted abruptly",
            Restart::Crash => "server crashed",
        });
        let told = self.server_time();
        if how == Restart::Planned {
            self.backend.shutdown(told);
            self.drain_server();
        }
        let snapshot = self.backend.snapshot(told).unwrap();
        self.lose_server();
        self.restarts += 1;
        // The next process does not know the latest moment of this one.
        self.skew = (0, 0);
        let (backend, epochs) = start(&self.plan, self.restarts, &self.drawn);
        self.backend = backend;
        self.first_dynamic = self.drawn.lock().unwrap().len();
        self.dynamic = None;
        if how == Restart::Crash {
            self.model.crash(&epochs);
            self.forget_sessions();
            self.now += after_ms * 1_000;
            let told = self.server_time();
            self.backend.timeout(told);
            return;
        }
        self.model.restart(self.server_now, &[]);
        self.now += after_ms * 1_000;
        self.restore_server(&snapshot, &epochs);
    }

    /// Everything that was between the server and its clients is gone with it.
    fn lose_server(&mut self) {
        let stats = self.backend.stats();
        self.tally.take_totals(&stats.total);
        self.drop_server_tasks();
        let wires: Vec<WireId> = self.net.iter().map(|(wire, _)| wire).collect();
        for wire in wires {
            if let Some(state) = self.net.get_mut(wire) {
                state.server_open = false;
                state.has_arrived = true;
            }
            self.hung_up.insert(wire);
            let after = Rng::keyed(self.plan.seed, &[0x5e7, wire.0]).pick(&[0, 5, 300]);
            self.cut(wire, Notice { client: Some(after), server: None });
            self.net.forget_if_unused(wire);
        }
        self.connections.clear();
        self.acks.clear();
    }

    fn forget_sessions(&mut self) {
        self.uplink.rename(&BTreeMap::new());
        for client in &mut self.clients {
            client.views = [None; 2];
            client.keys = [Vec::new(), Vec::new()];
            client.saved = [None, None];
        }
    }

    fn restore_server(&mut self, snapshot: &str, epochs: &[u64]) {
        let told = self.server_time();
        let before = self.drawn.lock().unwrap().len();
        let restored = self.backend.restore(told, snapshot);
        let drawn = self.drawn.lock().unwrap()[before..].to_vec();
        let spaces = restored_spaces(snapshot);
        // Each log begins an epoch. A namespace that was made first had drawn one that is not used.
        let (jumps, made) = drawn.split_at(spaces.len());
        assert!(made.len() <= usize::from(self.plan.dynamic.is_some()));
        self.first_dynamic = before + jumps.len();
        let jumps: Vec<(usize, u32)> = spaces.iter().copied().zip(jumps.iter().copied()).collect();
        self.model.restart(self.server_now, &jumps);
        let is_new = |space: &usize| !spaces.contains(space) && self.plan.dynamic != Some(*space);
        for space in (0..self.plan.spaces).filter(is_new) {
            self.model.renew(space, epochs[space]);
        }
        let evicted = usize::try_from(self.backend.stats().total.packets_evicted).unwrap();
        assert_eq!(evicted, 0, "the log has room for what it held");
        let mut renamed = BTreeMap::new();
        for key in restored {
            let sid = self.backend.sid(key).unwrap();
            let earlier = self.model.find(&sid).expect("a session of the earlier process");
            renamed.insert(earlier, key);
        }
        self.rename(&renamed);
        for key in renamed.values() {
            self.check_rooms(*key);
            if self.plan.dynamic == Some(self.model.sessions[key].space) {
                self.dynamic = Some(namespace_number(*key));
            }
        }
        self.drain_server();
    }

    fn rename(&mut self, renamed: &BTreeMap<SocketKey, SocketKey>) {
        self.model.rename(renamed);
        self.uplink.rename(renamed);
        let name = |key: &mut SocketKey| {
            if let Some(renamed) = renamed.get(key) {
                *key = *renamed;
            }
        };
        for client in &mut self.clients {
            client.views.iter_mut().flatten().for_each(name);
            client.keys.iter_mut().flatten().for_each(name);
            client.saved.iter_mut().flatten().for_each(|view| name(&mut view.key));
        }
    }
}

/// The namespaces that a snapshot contains, in its order.
fn restored_spaces(snapshot: &str) -> Vec<usize> {
    let value: serde_json::Value = serde_json::from_str(snapshot).unwrap();
    let namespaces = value["namespaces"].as_array().unwrap().iter();
    let names = namespaces.map(|namespace| namespace["name"].as_str().unwrap());
    names.map(|name| SPACES.iter().position(|space| *space == name).unwrap()).collect()
}
