//! The documentation matches the code and its tests.

mod attacks;
mod driving;
mod features;
mod holes;
mod migration;
mod mutations;
mod names;
mod packages;
mod quick_start;
mod rust_version;
#[path = "../support/mod.rs"]
mod support;
