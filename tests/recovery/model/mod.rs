//! Recovery is compared with a model. The model implements only the promise: it has no indexes of
//! the log, no watermarks and no windows.
//!
//! The promise has two sides. Sound: a recovered client has received exactly the packets that were
//! addressed to its session, each once, in order. Complete: it is refused only if its session is
//! gone, or if a packet that was addressed to its session, and that would be replayed, is really
//! gone. A failing list of operations is printed in its shrunk form, and `proptest-regressions`
//! replays it.
//!
//! The fuzz target `recovery` draws its operations from bytes, and uses the same model.

mod op;
mod peer;
mod promise;
mod steps;
mod strategy;

use proptest::{prelude::*, strategy::ValueTree as _};
use socketio_proto::ReplayOrder;

use self::{
    op::{CLIENTS, Op},
    promise::Limits,
    steps::{Model, Setup, Tally},
    strategy::{op, with_crowd},
};

/// Nothing is refused because it is too much.
const NO_LIMITS: Limits = Limits { replay: 12, memberships: 1_000 };

/// More own rooms to except than a room remembers sets of.
const CROWD: usize = 100;

fn run(setup: Setup, ops: &[Op]) -> Tally {
    let mut model = Model::new(setup);
    for op in ops {
        model.apply(op);
    }
    for who in 0..CLIENTS {
        model.apply(&Op::Return { who, rewind: 0 });
    }
    model.tally
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..120)
}

proptest! {
    #![proptest_config(crate::random::cases(400))]

    #[test]
    fn recovery_is_exact_with_a_small_log(capacity in 1_usize..12, ops in ops()) {
        let order = ReplayOrder::AfterConnect;
        run(Setup { capacity, order, asks: true, limits: NO_LIMITS, crowd: 0 }, &ops);
    }

    #[test]
    fn recovery_is_exact_in_the_order_of_the_reference(capacity in 1_usize..12, ops in ops()) {
        let order = ReplayOrder::BeforeConnect;
        run(Setup { capacity, order, asks: true, limits: NO_LIMITS, crowd: 0 }, &ops);
    }

    #[test]
    fn recovery_is_exact_within_its_limits(
        capacity in 1_usize..40,
        asks: bool,
        replay in 1_usize..12,
        memberships in 1_usize..6,
        ops in ops(),
    ) {
        let (order, limits) = (ReplayOrder::AfterConnect, Limits { replay, memberships });
        run(Setup { capacity, order, asks, limits, crowd: 0 }, &ops);
    }
}

proptest! {
    #![proptest_config(crate::random::cases(40))]

    /// Nobody is refused because of what was withheld from it for one room, by however many
    /// different sets.
    #[test]
    fn recovery_is_exact_with_any_number_of_exceptions(
        capacity in 1_usize..12,
        ops in with_crowd(CROWD),
    ) {
        let order = ReplayOrder::AfterConnect;
        run(Setup { capacity, order, asks: true, limits: NO_LIMITS, crowd: CROWD }, &ops);
    }
}

/// The lists above are only worth something if they reach every outcome.
#[test]
fn random_operations_reach_every_outcome() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(op(), 100);
    let mut sum = Tally::default();
    for _ in 0..60 {
        let ops = strategy.new_tree(&mut runner).unwrap().current();
        let limits = Limits { replay: 5, memberships: 3 };
        let order = ReplayOrder::AfterConnect;
        let tally = run(Setup { capacity: 16, order, asks: true, limits, crowd: 0 }, &ops);
        sum.recovered += tally.recovered;
        sum.gaps += tally.gaps;
        sum.limited += tally.limited;
        sum.stale += tally.stale;
    }
    assert!(sum.recovered > 300 && sum.stale > 30, "{sum:?}");
    assert!(sum.gaps > 30 && sum.limited > 10, "{sum:?}");
}
