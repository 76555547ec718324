//! How a namespace is joined.

use core::fmt;

use crate::socket::Json;

/// How a namespace is joined.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::client::{Auth, Client, ClientConfig};
/// use socketio_proto::socket::Json;
///
/// let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
/// let token = Json::from_text(r#"{"token":"t"}"#)?;
/// client.connect(Timestamp::ZERO, "/admin", Auth::Value(token))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Auth {
    /// Without credentials.
    #[default]
    None,
    /// With these credentials, a JSON object, at each attempt.
    Value(Json),
    /// With new credentials at each attempt. The application is asked for them by
    /// [`ClientEvent::AuthRequested`](super::ClientEvent::AuthRequested).
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
