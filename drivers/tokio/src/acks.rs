//! What a task waits for: acknowledgements, and the answers of other servers.

use socketio_proto::{
    AckId,
    cluster::{
        Missing,
        message::{NodeId, RequestId, Value},
    },
    hub::{AckFailure, FetchedSocket, Responder},
    server::ServerEvent,
    socket::Args,
};
use tokio::sync::oneshot;

/// The acknowledgements of a broadcast.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BroadcastAnswers {
    /// The answers in the order in which they arrived.
    pub responses: Vec<(Responder, Args)>,
    /// The number of sockets that have not answered, or whose answers were dropped because of
    /// [`Limits::broadcast_answer_bytes`](socketio_proto::Limits::broadcast_answer_bytes).
    pub missing: usize,
    /// The nodes of the cluster that have not told how many sockets they have asked.
    pub nodes_missing: Missing,
    /// Whether the timeout was reached.
    pub timed_out: bool,
}

/// The connected sockets of all servers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchedSockets {
    /// The sockets: those of this server first.
    pub sockets: Vec<FetchedSocket>,
    /// The servers that have not answered.
    pub missing: Missing,
}

/// The answers of the other servers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerAnswers {
    /// The first argument of each answer, in the order in which they arrived.
    pub responses: Vec<(NodeId, Value)>,
    /// The servers that have not answered.
    pub missing: Missing,
}

/// Identifies what a task waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Awaited {
    Ack(AckId),
    Request(RequestId),
}

/// Who waits. It may have gone.
pub(crate) enum Waiting {
    One(oneshot::Sender<Result<Args, AckFailure>>),
    All(oneshot::Sender<BroadcastAnswers>),
    Sockets(oneshot::Sender<FetchedSockets>),
    Servers(oneshot::Sender<ServerAnswers>),
    Count(oneshot::Sender<usize>),
}

impl From<AckId> for Awaited {
    fn from(ack: AckId) -> Self {
        Self::Ack(ack)
    }
}

impl From<RequestId> for Awaited {
    fn from(request: RequestId) -> Self {
        Self::Request(request)
    }
}

impl Awaited {
    /// What an event settles.
    pub(crate) fn settled_by<D>(event: &ServerEvent<D>) -> Option<Self> {
        match event {
            ServerEvent::Acked { ack, .. }
            | ServerEvent::AckFailed { ack, .. }
            | ServerEvent::BroadcastAcked { ack, .. } => Some(Self::Ack(*ack)),
            ServerEvent::SocketsFetched { request, .. }
            | ServerEvent::ServersCounted { request, .. }
            | ServerEvent::ServerSideAcked { request, .. } => Some(Self::Request(request.clone())),
            _ => None,
        }
    }
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
                ServerEvent::BroadcastAcked {
                    responses, missing, nodes_missing, timed_out, ..
                },
            ) => {
                let answers = BroadcastAnswers { responses, missing, nodes_missing, timed_out };
                drop(answer.send(answers));
            }
            (Self::Sockets(answer), ServerEvent::SocketsFetched { sockets, missing, .. }) => {
                drop(answer.send(FetchedSockets { sockets, missing }));
            }
            (Self::Servers(answer), ServerEvent::ServerSideAcked { responses, missing, .. }) => {
                drop(answer.send(ServerAnswers { responses, missing }));
            }
            (Self::Count(answer), ServerEvent::ServersCounted { servers, .. }) => {
                answer.send(servers).ok();
            }
            // The core answers each in its own way.
            _ => {}
        }
    }
}
