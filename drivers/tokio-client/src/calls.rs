//! Calls that wait for the server.

use std::{collections::BTreeMap, sync::Arc};

use socketio_proto::{
    AckId,
    client::{Client, ClientEvent, ConnectError as Refusal},
    socket::{Args, NamespaceName},
};
use tokio::sync::oneshot;

use crate::{AckError, ConnectError, Session, WireError};

pub(crate) type Acked = Result<Args, AckError>;
pub(crate) type Joined = Result<Session, ConnectError>;

/// The calls that wait for an event of the client.
#[derive(Default)]
pub(crate) struct Calls {
    /// The client completes each acknowledgement.
    acks: BTreeMap<AckId, oneshot::Sender<Acked>>,
    joins: Vec<(NamespaceName, oneshot::Sender<Joined>)>,
}

impl Calls {
    pub(crate) fn wait_for_ack(&mut self, ack: AckId, call: oneshot::Sender<Acked>) {
        self.acks.insert(ack, call);
    }

    /// Answers at once if the namespace is joined.
    pub(crate) fn wait_for_join(
        &mut self,
        client: &Client,
        namespace: NamespaceName,
        call: oneshot::Sender<Joined>,
    ) {
        self.joins.retain(|(_, call)| !call.is_closed());
        if let Some(id) = client.socket_id(namespace.as_str()) {
            let recovered = client.is_recovered(namespace.as_str());
            call.send(Ok(Session { id: id.to_owned(), recovered })).ok();
        } else {
            self.joins.push((namespace, call));
        }
    }

    pub(crate) fn are_waiting(&self) -> bool {
        !self.acks.is_empty() || !self.joins.is_empty()
    }

    /// The application takes no events, and the answers may be behind these.
    pub(crate) fn stall(&mut self) {
        for (_, call) in std::mem::take(&mut self.acks) {
            call.send(Err(AckError::Stalled)).ok();
        }
        for (_, call) in self.joins.drain(..) {
            call.send(Err(ConnectError::Stalled)).ok();
        }
    }

    /// Returns the namespaces that calls wait for and that are active.
    pub(crate) fn active(&self, client: &Client) -> Vec<NamespaceName> {
        let names = self.joins.iter().map(|(name, _)| name);
        names.filter(|name| client.is_active(name.as_str())).cloned().collect()
    }

    /// Answers the calls that wait for a namespace that was active and is not any more.
    pub(crate) fn note_left(&mut self, client: &Client, active: &[NamespaceName]) {
        for name in active.iter().filter(|name| !client.is_active(name.as_str())) {
            self.finish(name, || Err(ConnectError::Left(name.clone())));
        }
    }

    /// Answers the calls that wait for an event. Returns the event, unless it is an acknowledgement that a
    /// call has waited for.
    pub(crate) fn answer(
        &mut self,
        event: ClientEvent,
        cause: Option<&Arc<WireError>>,
    ) -> Option<ClientEvent> {
        match event {
            ClientEvent::Acked { namespace, ack, args } => match self.acks.remove(&ack) {
                Some(call) => {
                    call.send(Ok(args)).ok();
                    None
                }
                None => Some(ClientEvent::Acked { namespace, ack, args }),
            },
            ClientEvent::AckFailed { namespace, ack, cause } => match self.acks.remove(&ack) {
                Some(call) => {
                    call.send(Err(AckError::Failed(cause))).ok();
                    None
                }
                None => Some(ClientEvent::AckFailed { namespace, ack, cause }),
            },
            event => {
                self.answer_joins(&event, cause);
                Some(event)
            }
        }
    }

    fn answer_joins(&mut self, event: &ClientEvent, cause: Option<&Arc<WireError>>) {
        match event {
            ClientEvent::Connected { namespace, id, recovered } => {
                let session = || Session { id: id.to_string(), recovered: *recovered };
                self.finish(namespace, || Ok(session()));
            }
            ClientEvent::ConnectError { namespace, error } => {
                let refused = |error: &Refusal| Err(ConnectError::Refused(error.clone()));
                self.finish(namespace, || refused(error));
            }
            ClientEvent::ConnectionClosed { reason, .. } => {
                for (_, call) in self.joins.drain(..) {
                    let cause = cause.cloned();
                    call.send(Err(ConnectError::Connection { reason: *reason, cause })).ok();
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, namespace: &NamespaceName, outcome: impl Fn() -> Joined) {
        for (_, call) in self.joins.extract_if(.., |(name, _)| name == namespace) {
            call.send(outcome()).ok();
        }
    }
}
