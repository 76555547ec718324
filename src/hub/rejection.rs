//! Why a client is rejected.

use alloc::string::String;

use serde::Serialize;

use crate::socket::{EncodeError, Encoded, Json, NamespaceName};

/// Why a client is rejected from a namespace. CONNECT_ERROR carries it.
///
/// ```
/// use socketio_proto::hub::Rejection;
///
/// let rejection = Rejection::new("not authorized").data(&serde_json::json!({ "retry": false }))?;
/// # Ok::<(), socketio_proto::socket::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    message: String,
    data: Option<Json>,
}

impl Rejection {
    /// Creates a rejection with a message and no data.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// Adds data, which the client gets as `err.data`.
    ///
    /// # Errors
    ///
    /// [`EncodeError`](crate::socket::EncodeError) if the value cannot be written as JSON.
    pub fn data(mut self, data: &impl Serialize) -> Result<Self, EncodeError> {
        self.data = Some(Json::new(data)?);
        Ok(self)
    }

    pub(super) fn encode(&self, namespace: &NamespaceName) -> Encoded {
        let message = serde_json::to_string(&self.message).unwrap_or_default();
        let mut text = alloc::format!("{{\"message\":{message}");
        if let Some(data) = &self.data {
            text.push_str(",\"data\":");
            text.push_str(data.as_str());
        }
        text.push('}');
        let error = Json::from_text(&text).unwrap_or_else(|_| Json::empty_object());
        Encoded::connect_error(namespace, &error)
    }
}
