//! How a namespace is joined.

use core::fmt;

use crate::socket::Json;

/// How a namespace is joined.
#[derive(Clone, Default)]
pub enum Auth {
    /// Without credentials.
    #[default]
    None,
    /// With these, an object, at each attempt.
    Value(Json),
    /// With fresh ones, that the application is asked for at each attempt by
    /// [`Event::AuthRequested`](super::Event::AuthRequested).
    Ask,
}

impl fmt::Debug for Auth {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Value(_) => "Value(..)",
            Self::Ask => "Ask",
        })
    }
}
