//! Invariants that hold at all times.

use crate::{model::Place, world::World};

impl World {
    /// What the server says that it holds is what it must hold.
    pub fn check_gauges(&self) {
        let stats = self.backend.stats();
        let places = self.model.sessions.values().map(|session| session.place);
        let (mut live, mut parked) = (0, 0);
        for place in places {
            match place {
                Place::Live(_) => live += 1,
                Place::Parked { .. } => parked += 1,
                Place::Ended => {}
            }
        }
        assert_eq!((stats.sockets, stats.parked_sessions), (live, parked), "sessions");
        assert_eq!(stats.pending_acks, self.acks.len(), "acknowledgements");
        let (limits, recovery) = (&self.plan.limits, &self.plan.recovery);
        let spaces = self.plan.spaces;
        assert!(stats.connections <= limits.connections || self.plan.workers.is_some());
        assert!(stats.parked_sessions <= recovery.parked_sessions * spaces);
        assert!(stats.log_packets <= recovery.buffer_packets * spaces);
        assert!(stats.log_bytes <= recovery.buffer_bytes * spaces);
        assert!(stats.pending_acks <= limits.pending_acks * spaces);
        if self.plan.workers.is_none() {
            let open = self.connections.values().filter(|connection| connection.is_open).count();
            assert_eq!(stats.connections, open, "connections");
        }
    }

    /// The log holds what it must, to the byte.
    pub fn check_log(&self) {
        if self.server_now <= self.model.in_doubt_until {
            return;
        }
        let stats = self.backend.stats();
        let [least, most] = self.model.held(self.server_now, self.plan.dynamic);
        let (packets, bytes) = (stats.log_packets, stats.log_bytes);
        assert!(
            (least.0..=most.0).contains(&packets),
            "{packets} packets, {least:?} to {most:?} at {}",
            self.server_now
        );
        assert!((least.1..=most.1).contains(&bytes), "{bytes} bytes, {least:?} to {most:?}");
        let mut rooms = 0;
        for space in 0..self.plan.spaces {
            let sessions = self.model.sessions.values();
            let sessions = sessions.filter(|it| it.space == space && it.place != Place::Ended);
            let (count, bits) =
                sessions.fold((0, 0_u8), |(count, bits), it| (count + 1, bits | it.rooms));
            rooms += count + bits.count_ones() as usize;
        }
        assert!(stats.rooms >= rooms, "{} rooms of {rooms}", stats.rooms);
    }

    /// Sessions end when their time is up, not later, unless a claim that came in time waits.
    pub fn check_expiries(&self) {
        let is_in_doubt = self.server_now <= self.model.in_doubt_until;
        let is_late =
            |place| matches!(place, Place::Parked { expires } if expires <= self.server_now);
        let sessions = self.model.sessions.iter();
        let late: Vec<_> = sessions.filter(|(_, it)| is_late(it.place)).map(|it| it.0).collect();
        let waiting = self.backend.stats().connects_waiting;
        assert!(
            late.len() <= waiting || is_in_doubt,
            "{late:?} have expired, and {waiting} claims wait"
        );
    }
}
