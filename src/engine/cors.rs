//! CORS: the header fields that let pages of other origins read responses.

use alloc::{format, string::ToString as _, vec::Vec};
use core::time::Duration;

use bytestring::ByteString;

use crate::Origins;

/// Header fields to add to a response: names in lower case, each at most once.
pub type Fields = Vec<(&'static str, ByteString)>;

/// The pages of other origins that may read the responses to their requests (CORS).
///
/// It returns the header fields to add to the responses of the core, refusals included, and to the
/// response to a preflight request, which the core does not see. Browsers apply CORS to HTTP
/// requests only: **every page can open a WebSocket**, whatever is set here, unless
/// [`ServerConfig::origins`](crate::ServerConfig::origins) refuses it.
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
/// // A browser does not show the response to a page of another origin.
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
    /// Lets these origins read the responses to requests without credentials.
    pub fn new(origins: Origins) -> Self {
        let max_age = Duration::from_secs(86_400);
        Self { origins, credentials: false, allowed_headers: None, max_age }
    }

    /// Lets pages send cookies and other credentials (`withCredentials`) and read the response.
    /// Default false. With [`Origins::any`], any page can do so: then a cookie must not identify a
    /// user.
    #[must_use]
    pub fn credentials(mut self, value: bool) -> Self {
        self.credentials = value;
        self
    }

    /// The header fields that a request may have beyond those that are always allowed. Default: all
    /// that the browser asks for.
    #[must_use]
    pub fn allowed_headers(mut self, names: &[&str]) -> Self {
        self.allowed_headers = Some(names.join(",").into());
        self
    }

    /// How long a browser may remember the response to a preflight request, in whole seconds.
    /// Default: one day. Browsers also have their own limits.
    #[must_use]
    pub fn max_age(mut self, value: Duration) -> Self {
        self.max_age = value;
        self
    }

    /// Returns the header fields to add to the response to a request with this `Origin` header.
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
        // Without it, a cache could give one origin the response for another.
        fields.push(("vary", ByteString::from_static("Origin")));
        fields
    }

    /// Returns the header fields of the response to a preflight request; its status is 204. A
    /// preflight request has the method OPTIONS and the headers `Origin` and
    /// `Access-Control-Request-Method`. `requested_headers` is its header
    /// `Access-Control-Request-Headers`.
    ///
    /// ```
    /// use socketio_proto::Origins;
    /// use socketio_proto::engine::Cors;
    ///
    /// let cors = Cors::new(Origins::any());
    /// let fields = cors.preflight(b"https://app.example", Some(b"x-token"));
    /// assert!(fields.contains(&("access-control-allow-origin", "*".into())));
    /// assert!(fields.contains(&("access-control-allow-headers", "x-token".into())));
    /// ```
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
