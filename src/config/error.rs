//! Why a configuration is refused.

use thiserror::Error;

/// A setting that cannot be used.
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::{ConfigError, ServerConfig};
///
/// let error = ServerConfig::new().ping_interval(Duration::ZERO).validate();
/// assert_eq!(error, Err(ConfigError::OutOfRange { field: "ping_interval" }));
/// ```
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
