//! What idle connections cost: bytes each, and the pings and pongs that keep them.

mod support;

use std::time::Duration;

use support::{
    Bench, allocator, cost_of,
    fleet::{self, Fleet},
    mean,
};

fn main() {
    let bench = Bench::from_args("heartbeats of idle connections, a ping and a pong each");
    let counts: &[usize] = if bench.is_smoke() { &[200] } else { &[10_000, 100_000, 1_000_000] };
    for &count in counts {
        idle(&bench, count);
    }
}

/// The default of a server.
const INTERVAL: Duration = Duration::from_secs(25);
/// How often a driver looks at the deadline at the most.
const TICK: Duration = Duration::from_millis(1);

fn idle(bench: &Bench, count: usize) {
    let mut fleet = Fleet::new(fleet::recovery());
    let before = allocator::bytes();
    // They come one after the other, and so do their pings ever after.
    let number = u32::try_from(count).expect("not that many");
    let start = fleet.now;
    for place in 0..number {
        fleet.connect();
        fleet.now = start.saturating_add(INTERVAL * (place + 1) / number);
    }
    let bytes = allocator::bytes() - before;
    bench.figure(&format!("{count} connections, heap of each"), mean(bytes, count), "bytes");
    // The first interval warms up.
    beat(&mut fleet);
    let mut costs = Vec::new();
    for _ in 0..if bench.is_smoke() { 1 } else { 3 } {
        let mut pings = 0;
        costs.push(cost_of(|| pings = beat(&mut fleet)));
        assert!(pings.abs_diff(count) <= count / 50, "{pings} of {count}");
    }
    assert_eq!(fleet.server.stats().connections, count, "all are alive");
    bench.report(&format!("{count} connections, ping and pong"), count, &costs);
    let beat = costs.iter().map(|cost| cost.time).min().unwrap_or_default();
    let share = 100.0 * beat.as_secs_f64() / INTERVAL.as_secs_f64();
    bench.figure(&format!("{count} connections, of a core"), share, "%");
}

/// Lets an interval pass. Returns the number of pings, all of which were answered at once.
fn beat(fleet: &mut Fleet) -> usize {
    let end = fleet.now.saturating_add(INTERVAL);
    let mut pings = 0;
    while fleet.now < end {
        let due = fleet.server.deadline().unwrap_or(end);
        fleet.now = due.max(fleet.now.saturating_add(TICK)).min(end);
        pings += fleet.time_out().frames;
    }
    pings
}
