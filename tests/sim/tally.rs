//! Counts what happened in the runs of a simulation.

use std::{collections::BTreeMap, fmt};

use socketio_proto::server::Totals;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub runs: u64,
    /// Deliveries, timers and operations.
    pub steps: u64,
    pub virtual_secs: u64,
    pub operations: u64,
    pub emitted: u64,
    pub received: u64,
    pub emitted_by_clients: u64,
    pub received_from_clients: u64,
    pub claims: u64,
    pub recovered: u64,
    pub replayed: u64,
    pub taken_over: u64,
    pub paced: u64,
    pub upgrades: u64,
    pub overflows: u64,
    /// Duplicates and strangers that the official client takes from its receive buffer (H24).
    pub stale: u64,
    pub refused: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
    pub closed: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    pub fn take_totals(&mut self, totals: &Totals) {
        self.recovered += totals.recovered;
        self.replayed += totals.replayed;
        self.taken_over += totals.taken_over;
        self.paced += totals.paced;
        self.overflows += totals.connections_closed.overflow;
        let refused = &totals.refused;
        for (name, count) in [
            ("unknown", refused.unknown),
            ("other namespace", refused.other_namespace),
            ("expired", refused.expired),
            ("gap", refused.gap),
            ("invalid offset", refused.invalid_offset),
            ("limit", refused.limit),
        ] {
            *self.refused.entry(name).or_default() += count;
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.runs, other.runs),
            (&mut self.steps, other.steps),
            (&mut self.virtual_secs, other.virtual_secs),
            (&mut self.operations, other.operations),
            (&mut self.emitted, other.emitted),
            (&mut self.received, other.received),
            (&mut self.emitted_by_clients, other.emitted_by_clients),
            (&mut self.received_from_clients, other.received_from_clients),
            (&mut self.claims, other.claims),
            (&mut self.recovered, other.recovered),
            (&mut self.replayed, other.replayed),
            (&mut self.taken_over, other.taken_over),
            (&mut self.paced, other.paced),
            (&mut self.upgrades, other.upgrades),
            (&mut self.overflows, other.overflows),
            (&mut self.stale, other.stale),
        ] {
            *mine += theirs;
        }
        for (mine, theirs) in [
            (&mut self.refused, &other.refused),
            (&mut self.faults, &other.faults),
            (&mut self.closed, &other.closed),
        ] {
            for (name, count) in theirs {
                *mine.entry(*name).or_default() += count;
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "runs {}, steps {}, operations {}, virtual time {} h",
            self.runs,
            self.steps,
            self.operations,
            self.virtual_secs / 3_600
        )?;
        writeln!(
            f,
            "events of servers {} (received {}), of clients {} (received {})",
            self.emitted, self.received, self.emitted_by_clients, self.received_from_clients
        )?;
        writeln!(
            f,
            "recoveries tried {}, recovered {} (taken over {}, queued {}), packets replayed {}",
            self.claims, self.recovered, self.taken_over, self.paced, self.replayed
        )?;
        writeln!(f, "refused {}", list(&self.refused))?;
        writeln!(f, "faults {}", list(&self.faults))?;
        writeln!(f, "connections closed {}", list(&self.closed))?;
        write!(
            f,
            "upgrades {}, overflows {}, from a stale receive buffer {}",
            self.upgrades, self.overflows, self.stale
        )
    }
}

fn list(counts: &BTreeMap<&'static str, u64>) -> String {
    let entries: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    entries.join(", ")
}
