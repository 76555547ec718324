//! The documentation matches the code and its tests.

mod attacks;
mod driving;
mod features;
mod figures;
mod holes;
mod lengths;
mod migration;
#[expect(dead_code, reason = "it is only compiled")]
mod migration_calls;
mod mutations;
mod names;
mod packages;
mod paths;
mod quick_start;
mod repository;
mod rust_version;
#[path = "../support/mod.rs"]
mod support;
