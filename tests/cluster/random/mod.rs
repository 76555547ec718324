//! Whatever happens to nodes, links and the engine: after a recovery on whichever node, a client has
//! received exactly the events that were addressed to its session, each once, in the order of the
//! channel. And where nothing stands in the way, it is recovered.
//!
//! These can stand in the way, and nothing else:
//!
//! | reason | why nobody can help it |
//! | --- | --- |
//! | kicked | the session is over |
//! | away, paused | a node that is needed has no engine, or does nothing |
//! | time | the client has waited for a second |
//! | full | a node that is needed has no room for the claim or for its answer |
//! | not introduced | the claimant and a node that may have the session have not read each other's heartbeats within a second |
//! | trimmed | the claimant has begun to read after what the client has missed |
//! | gap | a node that may have had the session has missed something |
//! | crashed | the same of a node that has crashed: it has never stored the session, or an earlier claim of the client has taken the session there |
//! | superseded by an abandoned claim | another node has taken the session for an earlier claim of the client |
//! | ambiguous offset | the client has kept its offset from an earlier session, because its node had read less, and the event there was addressed to the new session as well |
//! | over before its client knew of it | the session ended before the client had the answer to its CONNECT |
//!
//! A session that is in the store when its client comes needs only the claimant, unless an earlier claim
//! is under way, or an owner that stores it ahead is up and has no room for its answer.
//!
//! The model knows the entries of the channel, and which sockets have joined and left rooms between
//! which entries. `CLUSTER_SEED=<number>` replays one run. `CLUSTER_RUNS=<number>` plays more, from
//! `CLUSTER_START=<number>` on.

mod application;
mod faults;
mod kinds;
mod model;
mod plan;
mod run;
mod users;

use self::{kinds::Tally, run::Run};
use crate::dice::number;

/// The runs that every `cargo test` makes.
const RUNS: u64 = 300;
const STEPS: usize = 400;

fn play(seed: u64) -> Tally {
    let mut run = Run::new(seed);
    for _ in 0..STEPS {
        run.step();
    }
    run.finish()
}

#[test]
fn whatever_happens_each_client_gets_what_was_addressed_to_it() {
    if let Some(seed) = number("CLUSTER_SEED") {
        println!("{}", play(seed));
        return;
    }
    let start = number("CLUSTER_START").unwrap_or(0);
    let (mut sum, mut failed) = (Tally::default(), Vec::new());
    for seed in start..start + number("CLUSTER_RUNS").unwrap_or(RUNS) {
        let played = std::panic::catch_unwind(|| play(seed));
        match played {
            Ok(played) => sum.add(&played),
            Err(_) => failed.push(seed),
        }
    }
    println!("{sum}");
    assert!(failed.is_empty(), "CLUSTER_SEED=<number> replays one of {failed:?}");
    let count = |name| sum.count(name);
    assert!(count("recovered") > 3 * count("refused"), "too many are refused");
    assert!(count("moved") > count("recovered") / 2, "too few sessions move");
    assert!(count("checked") > 5 * count("recovered"), "too little to compare");
    let never = kinds::never_seen(&sum);
    assert!(never.is_empty(), "these are never drawn, so nothing is known about them: {never:?}");
}
