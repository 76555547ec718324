//! The web pages that may use a server.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt;

/// A set of web origins: those that may use a server, or whose pages may read its answers (CORS).
///
/// An origin is what a browser sends in the `Origin` header: a scheme, a host, and the port unless
/// it is the default port of the scheme. It has no path. Examples are `https://app.example` and
/// `http://localhost:8080`.
///
/// ```
/// use socketio_proto::Origins;
///
/// let origins = Origins::list(["https://app.example", "https://admin.example"]);
/// assert!(origins.allows(b"https://app.example"));
/// assert!(!origins.allows(b"https://app.example.evil.example"));
///
/// let origins = Origins::matching(|origin| {
///     let host = origin.strip_prefix("https://");
///     host.is_some_and(|host| host == "example.org" || host.ends_with(".example.org"))
/// });
/// assert!(origins.allows(b"https://a.example.org"));
/// ```
#[derive(Clone, Default)]
pub struct Origins(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    Any,
    List(Arc<[String]>),
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Origins {
    /// All origins. This is the default.
    pub fn any() -> Self {
        Self(Kind::Any)
    }

    /// The listed origins. They are compared as a whole, without regard to case. `null`, which
    /// pages without an origin send, is allowed only if it is listed. Any page can bring a browser
    /// to send `null`.
    pub fn list(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        Self(Kind::List(origins.into()))
    }

    /// The origins for which `is_allowed` returns true. It is called for each request that has the
    /// header, and must always give the same answer for the same origin.
    pub fn matching(is_allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Kind::Matching(Arc::new(is_allowed)))
    }

    /// Returns whether this is [`any`](Self::any).
    pub fn is_any(&self) -> bool {
        matches!(self.0, Kind::Any)
    }

    /// Returns whether this value of the `Origin` header is allowed.
    pub fn allows(&self, origin: &[u8]) -> bool {
        match &self.0 {
            Kind::Any => true,
            Kind::List(list) => {
                list.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin))
            }
            Kind::Matching(is_allowed) => core::str::from_utf8(origin).is_ok_and(|o| is_allowed(o)),
        }
    }

    /// Whether every listed origin has a form that a browser can send.
    pub(super) fn is_valid(&self) -> bool {
        let Kind::List(list) = &self.0 else { return true };
        list.iter().all(|origin| {
            let parts = origin.split_once("://");
            let has_form = parts.is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '?', '#', '@', ','])
            });
            origin == "null" || has_form && origin.bytes().all(|byte| byte.is_ascii_graphic())
        })
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Any => f.write_str("Any"),
            Kind::List(list) => f.debug_list().entries(list.iter()).finish(),
            Kind::Matching(_) => f.write_str("Matching(..)"),
        }
    }
}
