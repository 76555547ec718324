//! What all requests of a client have in common.

use std::sync::Arc;

use hyper::{HeaderMap, header::HeaderValue};

use crate::{connector::Connector, cookies::CookieJar, target::Target};

/// The server, the way to it, and the headers of each request.
pub(crate) struct Requests {
    pub(crate) target: Arc<Target>,
    pub(crate) connector: Connector,
    pub(crate) headers: HeaderMap,
    pub(crate) cookies: Option<CookieJar>,
    /// For a proxy that reads the requests.
    pub(crate) proxy_authorization: Option<HeaderValue>,
    /// The most bytes of a response or a message.
    pub(crate) body_limit: usize,
}

impl Requests {
    /// Adds the headers of the application and the cookies of the server.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap) {
        headers.extend(self.headers.clone());
        if let Some(cookies) = &self.cookies {
            cookies.add_to(headers);
        }
    }

    /// Keeps the cookies of a response.
    pub(crate) fn note_response(&self, headers: &HeaderMap) {
        if let Some(cookies) = &self.cookies {
            cookies.store(headers);
        }
    }
}
