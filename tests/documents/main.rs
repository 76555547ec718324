//! The documentation matches the code and its tests.

mod attacks;
mod driving;
mod holes;
mod migration;
mod mutations;
mod names;
#[path = "../support/mod.rs"]
mod support;
