//! HTTP exchanges.

use std::{error::Error as _, future::Future, sync::Arc};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Uri,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue, PROXY_AUTHORIZATION},
};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use socketio_proto::{WireId, engine::ClientInput};

use crate::{
    WireError, connector::Connector, failures::http_error, report::Report, requests::Requests,
};

/// Makes requests over reusable connections.
pub(crate) struct Http {
    requests: Arc<Requests>,
    client: legacy::Client<Connector, Full<Bytes>>,
}

impl Http {
    pub(crate) fn new(requests: Arc<Requests>) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(requests.connector.clone());
        Self { requests, client }
    }

    pub(crate) fn get(&self, wire: WireId, query: &str) -> impl Future<Output = Report> + use<> {
        self.exchange(wire, Method::GET, query, Bytes::new())
    }

    pub(crate) fn post(
        &self,
        wire: WireId,
        query: &str,
        body: Bytes,
    ) -> impl Future<Output = Report> + use<> {
        self.exchange(wire, Method::POST, query, body)
    }

    fn exchange(
        &self,
        wire: WireId,
        method: Method,
        query: &str,
        body: Bytes,
    ) -> impl Future<Output = Report> + use<> {
        let (requests, client) = (self.requests.clone(), self.client.clone());
        let url = requests.target.http(query);
        async move {
            let answered = async {
                let request = requests.http(&url, method, body)?;
                let response = client.request(request).await.map_err(request_error)?;
                requests.note_response(response.headers());
                let status = response.status().as_u16();
                if status != 200 {
                    // What an error page says is of no use.
                    return Ok((status, Bytes::new()));
                }
                let body = read(response.into_body(), requests.body_limit).await?;
                Ok::<_, Arc<WireError>>((status, body))
            };
            match answered.await {
                Ok((status, body)) => {
                    let error = (status != 200).then(|| Arc::new(WireError::Status { status }));
                    Report::new(ClientInput::Response { wire, status, body }, error)
                }
                Err(error) => Report::failed(wire, error),
            }
        }
    }
}

impl Requests {
    fn http(
        &self,
        url: &str,
        method: Method,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Arc<WireError>> {
        let invalid = |error| WireError::InvalidResponse { source: Box::new(error) };
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = Uri::try_from(url).map_err(invalid)?;
        if method == Method::POST {
            let text = HeaderValue::from_static("text/plain;charset=UTF-8");
            request.headers_mut().insert(CONTENT_TYPE, text);
        }
        *request.method_mut() = method;
        self.add_headers(request.headers_mut());
        if let Some(authorization) = &self.proxy_authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

/// Reads a body, but not beyond the limit.
async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, WireError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(http_error)?.into_data() else { continue };
        if data.len() > limit.saturating_sub(read.len()) {
            return Err(WireError::TooLarge { limit });
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn request_error(error: legacy::Error) -> Arc<WireError> {
    let connector = error.source().and_then(|source| source.downcast_ref::<Arc<WireError>>());
    connector.cloned().unwrap_or_else(|| Arc::new(http_error(error)))
}
