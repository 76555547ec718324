//! The documentation says what the code and its tests say.

mod attacks;
mod driving;
mod holes;
mod mutations;
#[path = "../support/mod.rs"]
mod support;
