//! The documentation matches the code and its tests.

mod attacks;
mod driving;
mod holes;
mod migration;
mod mutations;
mod names;
mod quick_start;
#[path = "../support/mod.rs"]
mod support;
