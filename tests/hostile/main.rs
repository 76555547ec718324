//! Attacks on the core. `tests/drivers/tokio_driver.rs` has those on a driver.

mod content;
mod peers;
#[path = "../support/random.rs"]
mod random;
mod requests;
mod sessions;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;
