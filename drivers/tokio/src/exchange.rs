//! One plain HTTP request and its response.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use socketio_proto::WireId;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    body::{Aborted, Body},
    endpoint::{Command, Connection, next_wire},
    http::to_http,
};

/// Limits for the body of a POST.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// How long a body is heard out whose answer is known already. Most of them are on their way.
const LINGER: Duration = Duration::from_secs(1);

/// Gives a request to the machine and waits for the response. A POST is announced before its body
/// is read, so that overlapping and aborted ones are recognised.
pub(crate) async fn answer<B: http_body::Body>(
    connection: Connection,
    request: Request<B>,
    limits: BodyLimits,
) -> Result<Response<Body>, Aborted> {
    let (parts, body) = request.into_parts();
    let has_body = parts.method == Method::POST;
    let wire = next_wire();
    let (answer, mut answered) = oneshot::channel();
    let parts = Arc::new(parts);
    connection.send(Command::Request { wire, parts, answer }).await?;
    let guard = Guard { wire, connection: &connection, is_answered: false };
    let mut response = None;
    if has_body {
        let mut body = pin!(body);
        tokio::select! {
            early = &mut answered => {
                if early.is_ok() {
                    hear_out(body, limits).await;
                }
                response = Some(early);
            }
            body = read(body.as_mut(), limits) => {
                let body = body?;
                connection.send(Command::Body { wire, body }).await?;
            }
        }
    }
    let response = match response {
        Some(response) => response,
        None => answered.await,
    };
    guard.disarm();
    Ok(to_http(response.map_err(|_| Aborted)?))
}

/// Reads a body within the time limit. It stops one byte beyond the size limit, which is enough for
/// the refusal.
async fn read<B: http_body::Body>(
    mut body: Pin<&mut B>,
    limits: BodyLimits,
) -> Result<Bytes, Aborted> {
    let mut read = BytesMut::new();
    let all = async {
        while let Some(frame) = body.frame().await {
            let Ok(mut data) = frame.map_err(|_| Aborted)?.into_data() else {
                continue;
            };
            // A frame may be in several pieces.
            while data.has_remaining() && read.len() <= limits.bytes {
                let room = limits.bytes.saturating_add(1).saturating_sub(read.len());
                let taken = data.chunk().len().min(room);
                read.extend_from_slice(data.chunk().get(..taken).unwrap_or_default());
                data.advance(taken);
            }
            if read.len() > limits.bytes {
                break;
            }
        }
        Ok(())
    };
    match timeout(limits.time, all).await {
        Ok(Ok(())) => Ok(read.freeze()),
        Ok(Err(Aborted)) | Err(_) => Err(Aborted),
    }
}

/// Reads the rest of a body that nobody needs, within limits. If an answer overtakes its request, hyper
/// closes the connection. Bytes that arrive after that would reset it, and the client might not see the
/// answer: that its session is over, for example.
async fn hear_out<B: http_body::Body>(mut body: Pin<&mut B>, limits: BodyLimits) {
    let mut room = limits.bytes;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let heard = frame.data_ref().map_or(0, bytes::Buf::remaining);
            let Some(left) = room.checked_sub(heard) else { return };
            room = left;
        }
    };
    // What is late is not heard.
    timeout(LINGER.min(limits.time), rest).await.ok();
}

/// Reports an exchange as lost if its future is dropped, which hyper does when the client goes.
struct Guard<'a> {
    wire: WireId,
    connection: &'a Connection,
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
            self.connection.report_lost(self.wire);
        }
    }
}
