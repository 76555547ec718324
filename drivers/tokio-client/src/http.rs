//! HTTP exchanges.

use std::{error::Error, future::Future, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Uri,
    header::{CONTENT_TYPE, HeaderValue},
};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use socketio_proto::{WireId, client::ClientLimits, engine::ClientInput};

/// Where a server is.
pub struct Site {
    authority: String,
    path: String,
}

impl Site {
    /// `authority` is a host with an optional port. `path` is the path of the server, usually
    /// `/socket.io/`.
    pub fn new(authority: &str, path: &str) -> Self {
        Self { authority: authority.to_owned(), path: path.to_owned() }
    }

    pub(crate) fn url(&self, scheme: &str, query: &str) -> String {
        format!("{scheme}://{}{}?{query}", self.authority, self.path)
    }

    /// The host and the port.
    pub(crate) fn address(&self) -> String {
        let has_port = self
            .authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        if has_port { self.authority.clone() } else { format!("{}:80", self.authority) }
    }
}

/// Makes requests over reusable connections.
pub(crate) struct Http {
    site: Arc<Site>,
    client: legacy::Client<HttpConnector, Full<Bytes>>,
    body_limit: usize,
}

impl Http {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self { site, client, body_limit: ClientLimits::default().max_payload }
    }

    pub(crate) fn get(
        &self,
        wire: WireId,
        query: &str,
    ) -> impl Future<Output = ClientInput> + use<> {
        self.exchange(wire, Method::GET, query, Bytes::new())
    }

    pub(crate) fn post(
        &self,
        wire: WireId,
        query: &str,
        body: Bytes,
    ) -> impl Future<Output = ClientInput> + use<> {
        self.exchange(wire, Method::POST, query, body)
    }

    fn exchange(
        &self,
        wire: WireId,
        method: Method,
        query: &str,
        body: Bytes,
    ) -> impl Future<Output = ClientInput> + use<> {
        let (client, body_limit) = (self.client.clone(), self.body_limit);
        let url = self.site.url("http", query);
        async move {
            let answered = async {
                let mut request = Request::new(Full::new(body));
                *request.uri_mut() = Uri::try_from(url)?;
                if method == Method::POST {
                    let text = HeaderValue::from_static("text/plain;charset=UTF-8");
                    request.headers_mut().insert(CONTENT_TYPE, text);
                }
                *request.method_mut() = method;
                let response = client.request(request).await?;
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), body_limit).collect().await?;
                Ok::<_, Box<dyn Error + Send + Sync>>((status, body.to_bytes()))
            };
            match answered.await {
                Ok((status, body)) => ClientInput::Response { wire, status, body },
                Err(_) => ClientInput::WireClosed { wire },
            }
        }
    }
}
