//! Acknowledgements that a task waits for.

use socketio_proto::{SocketKey, hub::AckFailure, server::ServerEvent, socket::Args};
use tokio::sync::oneshot;

/// The acknowledgements of a broadcast.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BroadcastAnswers {
    /// The answers in the order in which they arrived.
    pub responses: Vec<(SocketKey, Args)>,
    /// The number of sockets that have not answered, or whose answers were dropped because of
    /// [`Limits::broadcast_answer_bytes`](socketio_proto::Limits::broadcast_answer_bytes).
    pub missing: usize,
    /// Whether the timeout was reached.
    pub timed_out: bool,
}

/// Who waits for an acknowledgement. It may have gone.
pub(crate) enum Waiting {
    One(oneshot::Sender<Result<Args, AckFailure>>),
    All(oneshot::Sender<BroadcastAnswers>),
}

impl Waiting {
    pub(crate) fn settle<D>(self, event: ServerEvent<D>) {
        match (self, event) {
            (Self::One(answer), ServerEvent::Acked { args, .. }) => drop(answer.send(Ok(args))),
            (Self::One(answer), ServerEvent::AckFailed { cause, .. }) => {
                drop(answer.send(Err(cause)));
            }
            (
                Self::All(answer),
                ServerEvent::BroadcastAcked { responses, missing, timed_out, .. },
            ) => {
                drop(answer.send(BroadcastAnswers { responses, missing, timed_out }));
            }
            // The core answers each in its own way.
            _ => {}
        }
    }
}
