//! What lets pages of other origins read answers: CORS, as far as a server has a say in it.

use alloc::{format, string::ToString as _, vec::Vec};
use core::time::Duration;

use bytestring::ByteString;

use crate::Origins;

/// Header fields to be added to an answer: names in lower case, each once.
pub type Fields = Vec<(&'static str, ByteString)>;

/// Which pages of other origins may read the answers to their requests (CORS).
///
/// It says what to add to the answers of the core, refusals included, and to a preflight request,
/// which the core does not see. A browser asks it for HTTP requests only: **a WebSocket is open to
/// every page**, whatever stands here, unless [`ServerConfig::origins`](crate::ServerConfig::origins)
/// refuses it.
///
/// ```
/// use socketio_proto::Origins;
/// use socketio_proto::engine::Cors;
///
/// let cors = Cors::new(Origins::list(["https://app.example"])).credentials(true);
/// let fields = cors.fields(Some(b"https://app.example"));
/// assert!(fields.contains(&("access-control-allow-origin", "https://app.example".into())));
/// assert!(fields.contains(&("access-control-allow-credentials", "true".into())));
/// assert!(fields.contains(&("vary", "Origin".into())));
/// // Whoever is not listed gets an answer that its browser does not show to it.
/// assert_eq!(cors.fields(Some(b"https://evil.example")), [("vary", "Origin".into())]);
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    allowed_headers: Option<ByteString>,
    max_age: Duration,
}

impl Cors {
    /// Lets these origins read answers, to requests without credentials.
    pub fn new(origins: Origins) -> Self {
        let max_age = Duration::from_secs(86_400);
        Self { origins, credentials: false, allowed_headers: None, max_age }
    }

    /// Lets pages send cookies and other credentials (`withCredentials`) and read the answer.
    /// Default false. With [`Origins::any`] that is every page there is: then cookies must not say
    /// who a user is.
    #[must_use]
    pub fn credentials(mut self, value: bool) -> Self {
        self.credentials = value;
        self
    }

    /// The header fields that a request may have beyond those that are always allowed. Default all
    /// that the browser asks for.
    #[must_use]
    pub fn allowed_headers(mut self, names: &[&str]) -> Self {
        self.allowed_headers = Some(names.join(",").into());
        self
    }

    /// How long a browser may remember the answer to a preflight request, in whole seconds. Default
    /// a day; browsers have limits of their own.
    #[must_use]
    pub fn max_age(mut self, value: Duration) -> Self {
        self.max_age = value;
        self
    }

    /// Returns what to add to the answer to a request with this field `Origin`.
    pub fn fields(&self, origin: Option<&[u8]>) -> Fields {
        let mut fields = Vec::new();
        if self.origins.is_any() && !self.credentials {
            fields.push(("access-control-allow-origin", ByteString::from_static("*")));
            return fields;
        }
        let allowed = origin.filter(|origin| self.origins.allows(origin)).and_then(visible);
        if let Some(origin) = allowed {
            fields.push(("access-control-allow-origin", origin));
            if self.credentials {
                let yes = ByteString::from_static("true");
                fields.push(("access-control-allow-credentials", yes));
            }
        }
        // Without it a cache gives one origin what was meant for another.
        fields.push(("vary", ByteString::from_static("Origin")));
        fields
    }

    /// Returns what the answer to a preflight request has, whose status is 204. Such a request has
    /// the method OPTIONS and the fields `Origin` and `Access-Control-Request-Method`;
    /// `requested_headers` is its field `Access-Control-Request-Headers`.
    pub fn preflight(&self, origin: &[u8], requested_headers: Option<&[u8]>) -> Fields {
        let mut fields = self.fields(Some(origin));
        fields.push(("access-control-allow-methods", ByteString::from_static("GET,POST")));
        let allowed = self.allowed_headers.clone();
        if let Some(names) = allowed.or_else(|| requested_headers.and_then(visible))
            && !names.is_empty()
        {
            fields.push(("access-control-allow-headers", names));
        }
        fields.push(("access-control-max-age", self.max_age.as_secs().to_string().into()));
        if self.allowed_headers.is_none() {
            fields.retain(|(name, _)| *name != "vary");
            let by = if self.origins.is_any() && !self.credentials { "" } else { "Origin, " };
            fields.push(("vary", format!("{by}Access-Control-Request-Headers").into()));
        }
        fields
    }
}

/// A value that can be sent back: visible ASCII, spaces and tabs.
fn visible(value: &[u8]) -> Option<ByteString> {
    let is_visible = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    let text = core::str::from_utf8(value).ok()?;
    value.iter().all(is_visible).then(|| text.into())
}
