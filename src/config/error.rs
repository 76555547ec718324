//! Why a configuration is refused.

use thiserror::Error;

/// A setting that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value of this field is too small, or has the wrong form.
    #[error("the setting `{field}` is out of range")]
    OutOfRange {
        /// The path of the field, such as `limits.attachments`.
        field: &'static str,
    },
}

/// Fails with the name of the first rule that does not hold.
pub(crate) fn check(rules: &[(&'static str, bool)]) -> Result<(), ConfigError> {
    match rules.iter().find(|(_, holds)| !holds) {
        Some((field, _)) => Err(ConfigError::OutOfRange { field }),
        None => Ok(()),
    }
}
