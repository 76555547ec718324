//! The URL of a server.

use hyper::Uri;

use crate::OptionsError;

/// Where a server is, and what the URL says besides.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    authority: String,
    host: String,
    port: u16,
    is_secure: bool,
    /// The path of the server, such as `/socket.io/`.
    path: String,
    /// The path of the URL, which names a namespace.
    namespace: String,
    /// The query of the URL, which goes into each request.
    query: String,
}

impl Target {
    pub(crate) fn new(url: &str, path: &str) -> Result<Self, OptionsError> {
        let invalid = || OptionsError::Url { url: without_credentials(url).to_owned() };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let is_secure = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(invalid()),
        };
        let authority = uri.authority().ok_or_else(invalid)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(invalid());
        }
        let is_path =
            path.starts_with('/') && !path.contains(['?', '#']) && path.parse::<Uri>().is_ok();
        if !is_path {
            return Err(OptionsError::Path { path: path.to_owned() });
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            is_secure,
            path: path.to_owned(),
            namespace: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host, an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// The URL of a request.
    pub(crate) fn http(&self, query: &str) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}?{query}", self.authority, self.path)
    }

    /// The URL of a WebSocket.
    pub(crate) fn websocket(&self, query: &str) -> String {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}?{query}", self.authority, self.path)
    }
}

/// Errors are printed, and a password is not to be.
fn without_credentials(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_server_the_namespace_and_parameters() {
        let target = Target::new("https://example.com/admin?token=1", "/socket.io/").unwrap();
        assert_eq!((target.host(), target.port()), ("example.com", 443));
        assert_eq!((target.namespace(), target.query()), ("/admin", "token=1"));
        assert_eq!(target.http("EIO=4"), "https://example.com/socket.io/?EIO=4");
        assert_eq!(target.websocket("EIO=4"), "wss://example.com/socket.io/?EIO=4");
        let target = Target::new("ws://[::1]:3000", "/chat/").unwrap();
        assert_eq!((target.host(), target.port()), ("[::1]", 3000));
        assert_eq!(target.namespace(), "/");
        assert_eq!(target.http("a"), "http://[::1]:3000/chat/?a");
    }

    #[test]
    fn other_urls_are_refused_without_showing_a_password() {
        for url in ["", "localhost:3000", "ftp://a", "http://", "/path", "http://u:p@host/"] {
            let error = Target::new(url, "/socket.io/").unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{error}");
            assert!(matches!(error, OptionsError::Url { .. }), "{url}: {error}");
        }
        for path in ["", "socket.io", "/a?b", "/a#b", "/a b"] {
            let error = Target::new("http://host", path).unwrap_err();
            assert!(matches!(error, OptionsError::Path { .. }), "{path}: {error}");
        }
    }
}
