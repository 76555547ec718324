//! Attacks on the core. Attacks on a driver are in `tests/drivers/tokio_driver.rs`.

mod content;
mod peers;
#[path = "../support/random.rs"]
mod random;
mod requests;
mod sessions;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;
