//! Skips tests if a program that they need is missing.

use std::env;

/// Says that a test is skipped, except on CI, where that would hide that nothing was tested.
pub(crate) fn missing(program: &str) {
    let on_ci = env::var("CI").is_ok_and(|value| value == "true");
    assert!(!on_ci, "`{program}` is needed on CI");
    println!("skipped: there is no `{program}` on this machine");
}
