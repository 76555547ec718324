//! The number of random cases per property.

use std::env;

use proptest::test_runner::Config;

/// Runs `count` random cases, or as many as `PROPTEST_CASES` says.
pub fn cases(count: u32) -> Config {
    let default = Config::default();
    let is_set = env::var_os("PROPTEST_CASES").is_some();
    if is_set { default } else { Config { cases: count, ..default } }
}
