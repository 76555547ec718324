//! The end of a run. The faults are off: all clients come back, all emitted events arrive, and when
//! all clients are gone, nothing is left.

use socketio_proto_sim::net::Notice;

use crate::{
    model::{Place, Sort},
    op::{Sending, Tail, To},
    peer::Peer,
    uplink::Sent,
    world::World,
};

const SECOND: u64 = 1_000_000;

impl World {
    pub fn finish(&mut self) {
        self.come_to_rest();
        self.converge();
        self.deliver_everything();
        self.leave_nothing();
        self.tally.virtual_secs = self.now / SECOND - 1_000;
        self.tally.take_totals(&self.backend.stats().total);
    }

    fn come_to_rest(&mut self) {
        self.tell(|| "the faults are off".to_owned());
        self.are_faults_on = false;
        self.skew = (0, 0);
        for client in 0..self.peers.len() {
            self.clients[client].down = (0, false);
            self.clients[client].duplicates_next = false;
            self.net.slow_down(client, 0, 0);
        }
        // Clients that do not read or do not write continue.
        let wires: Vec<_> = self.net.iter().map(|(wire, _)| wire).collect();
        for wire in wires {
            let now = self.server_time();
            self.backend.resume(now, wire);
            let Some(state) = self.net.get(wire) else {
                continue;
            };
            if let (client, Some(local)) = (state.client, state.local) {
                let now = self.time();
                self.peers[client].set_paused(now, local, false);
                self.drain_client(client);
            }
            self.drain_server();
        }
    }

    /// As long as everything may take: a dead link is noticed, attempts fail and are made again.
    fn patience(&self) -> u64 {
        let pings = 2 * 1_000 * (self.plan.ping_interval + self.plan.ping_timeout);
        pings + 240 * SECOND
    }

    /// Everybody who wants to be connected is, soon.
    fn converge(&mut self) {
        let end = self.now + self.patience();
        loop {
            for client in 0..self.peers.len() {
                self.connect_all(client);
            }
            let pause = (self.now + SECOND / 2).min(end);
            if self.run_until(pause, Self::is_everybody_here) {
                return;
            }
            self.now = self.now.max(pause);
            assert!(self.now < end, "not everybody has come back: {}", self.absent());
        }
    }

    fn is_everybody_here(&self) -> bool {
        self.places().all(|(client, space)| self.is_here(client, space))
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let clients = self.plan.clients.iter().enumerate();
        let spaces = self.plan.spaces;
        clients.flat_map(move |(client, plan)| {
            let spaces = (0..spaces).filter(|space| plan.spaces & (1 << space) != 0);
            spaces.map(move |space| (client, space))
        })
    }

    /// Whether client and server both think so.
    fn is_here(&self, client: usize, space: usize) -> bool {
        let key = self.clients[client].views[space];
        let session = key.and_then(|key| self.model.sessions.get(&key));
        let is_live = session.is_some_and(|session| matches!(session.place, Place::Live(_)));
        is_live && self.peers[client].is_connected(space)
    }

    fn absent(&self) -> String {
        let absent: Vec<_> = self.places().filter(|(c, s)| !self.is_here(*c, *s)).collect();
        format!("{absent:?}")
    }

    /// Everything that is owed arrives, and what is emitted now too.
    fn deliver_everything(&mut self) {
        self.drain_server();
        for space in 0..self.plan.spaces {
            let event = self.event(Tail::Number, 0);
            let to = To { space, rooms: 0, own: 0, except: 0, but: 0 };
            self.broadcast(to, &event, false);
        }
        let places: Vec<_> = self.places().collect();
        for (client, space) in places {
            let number = self.uplink.sent.len();
            self.uplink.send(client, space, Sending::Plain);
            let now = self.time();
            assert!(self.peers[client].emit(now, space, number, Sending::Plain), "it is taken");
            self.drain_client(client);
        }
        let end = self.now + self.patience();
        loop {
            let pause = (self.now + SECOND).min(end);
            if self.run_until(pause, Self::is_everything_delivered) {
                break;
            }
            self.now = self.now.max(pause);
            assert!(self.now < end, "something is still owed: {}", self.owed());
        }
        self.uplink.finish(|sent| self.is_promised(sent));
    }

    fn is_everything_delivered(&self) -> bool {
        self.is_everybody_here()
            && self.places().all(|(client, space)| self.is_up_to_date(client, space))
            && self.peers.iter().all(Peer::is_idle)
            && self.has_everything_arrived()
    }

    /// Whether what was promised to arrive has.
    fn has_everything_arrived(&self) -> bool {
        self.uplink.sent.iter().all(|sent| sent.has_arrived() || !self.is_promised(sent))
    }

    /// Whether an event of a client must arrive: without counting, what is on a link that breaks is
    /// lost.
    fn is_promised(&self, sent: &Sent) -> bool {
        sent.sending != Sending::Volatile && (self.plan.is_calm || self.is_counted(sent.client))
    }

    fn is_up_to_date(&self, client: usize, space: usize) -> bool {
        let session =
            self.clients[client].views[space].and_then(|key| self.model.sessions.get(&key));
        session.is_some_and(|session| {
            let is_plain = |number: &usize| self.model.emissions[*number].sort == Sort::Logged;
            !session.due.iter().any(is_plain)
        })
    }

    fn owed(&self) -> String {
        let behind: Vec<_> = self.places().filter(|(c, s)| !self.is_up_to_date(*c, *s)).collect();
        let busy: Vec<_> =
            (0..self.peers.len()).filter(|client| !self.peers[*client].is_idle()).collect();
        format!("behind {behind:?}, busy {busy:?}, absent {}", self.absent())
    }

    /// Everybody goes, and after a while nothing of them is left.
    fn leave_nothing(&mut self) {
        self.tell(|| "everybody goes".to_owned());
        self.plan.is_calm = false;
        for client in 0..self.peers.len() {
            let wires: Vec<_> = self.net.of_client(client).map(|(id, _)| id).collect();
            for wire in wires {
                self.net.abandon(wire);
                self.cut(wire, Notice { client: None, server: Some(0) });
            }
        }
        self.peers.clear();
        self.drop_client_tasks();
        let age = 1_000 * (self.plan.ping_interval + self.plan.ping_timeout);
        let kept = u64::try_from(self.plan.recovery.max_disconnection.as_micros()).unwrap();
        self.run_for(2 * age + kept + 60 * SECOND);
        let stats = self.backend.stats();
        let left = (stats.connections, stats.sockets, stats.parked_sessions, stats.rooms);
        assert_eq!(left, (0, 0, 0, 0), "connections, sockets, parked sessions, rooms");
        let served = self.plan.spaces - usize::from(self.plan.dynamic.is_some());
        assert_eq!(stats.namespaces, served, "a dynamic namespace goes");
        let left = (stats.log_packets, stats.log_bytes, stats.pending_acks);
        assert_eq!(left, (0, 0, 0), "packets, bytes, acknowledgements");
    }
}
