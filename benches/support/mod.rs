//! The harness of the benches: CPU time, allocations, medians.
//!
//! Time is that of the CPU, since the wall time of a shared machine says little. Under `cargo test`
//! each bench runs once on a small scale, only to assert its results.

#![allow(dead_code, reason = "each bench and test uses a part of it")]

pub mod allocator;
pub mod cluster;
pub mod fleet;
pub mod guard;
pub mod held;
pub mod workers;
pub mod workload;

use std::{fs, hint::black_box, thread, time::Duration};

/// What one bench binary has been asked for.
pub struct Bench {
    is_smoke: bool,
}

/// What a piece of work has cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub time: Duration,
    pub allocations: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.time += other.time;
        self.allocations += other.allocations;
    }
}

impl Bench {
    /// Reads the command line. `cargo bench` passes `--bench`, `cargo test` does not.
    pub fn from_args(title: &str) -> Self {
        let has = |name: &str| std::env::args().any(|arg| arg == name);
        let bench = Self { is_smoke: has("--smoke") || !has("--bench") };
        if !bench.is_smoke {
            println!(
                "\n{title}\n{:<44} {:>12} {:>25} {:>12}",
                "", "ns", "(min-max)", "allocations"
            );
        }
        bench
    }

    /// Whether this run is for its assertions alone.
    pub fn is_smoke(&self) -> bool {
        self.is_smoke
    }

    /// Measures `op`, which does `items` pieces of work a call, and prints the cost of one.
    pub fn run<T>(&self, name: &str, items: usize, mut op: impl FnMut() -> T) {
        let mut calls = 1;
        if !self.is_smoke {
            // The first calls warm up and say how many make a round.
            while cost_of(|| repeat(calls, &mut op)).time < ROUND {
                calls *= 2;
            }
        }
        self.rounds(name, items * calls, || cost_of(|| repeat(calls, &mut op)));
    }

    /// Prints the cost of one of `items`, the median over rounds that measure themselves.
    pub fn rounds(&self, name: &str, items: usize, mut round: impl FnMut() -> Cost) {
        let rounds = if self.is_smoke { 1 } else { ROUNDS };
        let costs: Vec<Cost> = (0..rounds).map(|_| round()).collect();
        self.report(name, items, &costs);
    }

    /// Prints a figure that is not a cost.
    pub fn figure(&self, name: &str, value: f64, unit: &str) {
        if !self.is_smoke {
            println!("{name:<44} {value:>12.1} {unit}");
        }
    }

    /// Prints the cost of one of `items`, the median over rounds.
    pub fn report(&self, name: &str, items: usize, costs: &[Cost]) {
        if self.is_smoke {
            return;
        }
        let mut times: Vec<f64> =
            costs.iter().map(|cost| mean(cost.time.as_nanos(), items)).collect();
        times.sort_unstable_by(f64::total_cmp);
        let (min, max) = (times[0], times[times.len() - 1]);
        let spread = format!("({min:.1}-{max:.1})");
        let median = times[times.len() / 2];
        let allocations = mean(costs[costs.len() - 1].allocations, items);
        println!("{name:<44} {median:>12.1} {spread:>25} {allocations:>12.3}");
    }
}

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(40);

/// Runs `op` once and says what it has cost.
pub fn cost_of<T>(op: impl FnOnce() -> T) -> Cost {
    let allocations = allocator::allocations();
    let start = cpu_time();
    let result = op();
    let time = cpu_time().saturating_sub(start);
    let allocations = allocator::allocations() - allocations;
    black_box(result);
    // The second look at the clock has allocated as the first one.
    Cost { time, allocations: allocations.saturating_sub(*CLOCK_ALLOCATIONS) }
}

/// The share of one of `items`.
#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
pub fn mean(sum: impl TryInto<i64>, items: usize) -> f64 {
    let sum = sum.try_into().ok().expect("not that much");
    sum as f64 / items as f64
}

fn repeat<T>(calls: usize, op: &mut impl FnMut() -> T) {
    for _ in 0..calls {
        black_box(op());
    }
}

static CLOCK_ALLOCATIONS: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
    let before = allocator::allocations();
    black_box(cpu_time());
    let once = allocator::allocations() - before;
    2 * once
});

/// The time that this thread has been on a CPU; wall time where the system does not say.
fn cpu_time() -> Duration {
    // Makes the kernel bring its books up to date.
    thread::yield_now();
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match stat.split(' ').next().and_then(|nanos| nanos.parse().ok()) {
        Some(nanos) => Duration::from_nanos(nanos),
        None => wall_time(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench is about time")]
fn wall_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}
