//! One plain HTTP request and its response.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response, body::Incoming};
use socketio_proto::WireId;
use tokio::sync::oneshot;

use crate::{
    endpoint::{Command, Dropped, Endpoint, next_wire},
    http::{Body, to_http},
};

/// Gives a request to the machine and waits for the response. A POST is announced before its body
/// is read, so that overlapping and aborted ones are recognised.
pub(crate) async fn answer(
    endpoint: &Endpoint,
    request: Request<Incoming>,
    max_payload: usize,
    body_timeout: Duration,
) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let has_body = parts.method == Method::POST;
    let wire = next_wire();
    let (answer, mut answered) = oneshot::channel();
    let parts = Box::new(parts);
    endpoint.send(Command::Request { wire, parts, answer }).await?;
    let guard = Guard { wire, endpoint, is_answered: false };
    let mut response = None;
    if has_body {
        tokio::select! {
            early = &mut answered => response = Some(early),
            body = read(body, max_payload, body_timeout) => {
                let body = body?;
                endpoint.send(Command::Body { wire, body }).await?;
            }
        }
    }
    let response = match response {
        Some(response) => response,
        None => answered.await,
    };
    guard.disarm();
    Ok(to_http(response.map_err(|_| Dropped)?))
}

/// Reads a body within the time limit. It stops one byte beyond the size limit, which is enough for
/// the refusal.
async fn read(mut body: Incoming, limit: usize, timeout: Duration) -> Result<Bytes, Dropped> {
    let mut read = BytesMut::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Dropped)?.into_data() else {
                continue;
            };
            let room = limit.saturating_add(1).saturating_sub(read.len());
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
            if data.len() >= room {
                break;
            }
        }
        Ok(())
    };
    match tokio::time::timeout(timeout, all).await {
        Ok(Ok(())) => Ok(read.freeze()),
        Ok(Err(Dropped)) | Err(_) => Err(Dropped),
    }
}

/// Reports an exchange as lost if its future is dropped, which hyper does when the client goes.
struct Guard<'a> {
    wire: WireId,
    endpoint: &'a Endpoint,
    is_answered: bool,
}

impl Guard<'_> {
    fn disarm(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.endpoint.report_lost(self.wire);
        }
    }
}
