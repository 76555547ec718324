//! Connection state recovery: the promise, and each hole of the reference.

mod claim_queue;
mod earlier_links;
mod exact;
mod lookup;
mod model;
mod poison;
#[path = "../support/random.rs"]
mod random;
mod restart;
mod secure;
mod slow_application;
mod succeeds;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
