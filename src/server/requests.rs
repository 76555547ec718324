//! Requests and WebSocket handshakes: verified, then given to their connection or to a new one.

use bytes::Bytes;

use super::{Event, Server};
use crate::{
    engine::{self, Method, Refusal, RequestHead, Transport, Verified},
    id::{ConnectionId, EngineId, WireId},
    link::Link,
    stats::increment,
    time::Timestamp,
};

/// What a request that was verified is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It opens a session. This is the moment to refuse it on grounds of the application's own,
    /// with [`Refusal::forbidden`].
    Handshake,
    /// It belongs to this connection.
    Session(ConnectionId),
}

impl<D: Default> Server<D> {
    /// Decides about a request. To be called before a WebSocket handshake is completed, and by an
    /// application that has its own say about new sessions; [`Server::handle_input`] verifies
    /// again.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub fn verify(&self, head: &RequestHead<'_>) -> Result<Admission, Refusal> {
        match self.verify_head(head)? {
            Verified::Handshake { .. } if self.links.len() >= self.config.limits.connections => {
                Err(Refusal::too_many_connections())
            }
            Verified::Handshake { .. } | Verified::UpgradeThenClose(_) => Ok(Admission::Handshake),
            Verified::Session(connection) => Ok(Admission::Session(connection)),
        }
    }

    pub(super) fn handle_request(
        &mut self,
        now: Timestamp,
        wire: WireId,
        head: &RequestHead<'_>,
        body: Option<Bytes>,
    ) {
        if self.links.is_wire_in_use(wire) {
            increment(&mut self.stale);
            return;
        }
        let verified = self.verify_head(head);
        match verified {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire),
            Ok(Verified::Session(connection)) => {
                self.links.add_wire(wire, connection);
                let input = match head.method {
                    Method::Get => engine::Input::Poll { wire },
                    Method::Post => engine::Input::Post { wire, body, binary: head.binary },
                    Method::Other => engine::Input::OtherMethod { wire },
                };
                self.with_link(connection, |link| {
                    link.handle_input(now, input);
                });
            }
            Ok(Verified::UpgradeThenClose(refusal)) | Err(refusal) => {
                self.refuse(wire, &refusal, head.upgrade);
            }
        }
    }

    pub(super) fn handle_websocket(
        &mut self,
        now: Timestamp,
        wire: WireId,
        head: &RequestHead<'_>,
    ) {
        if self.links.is_wire_in_use(wire) {
            increment(&mut self.stale);
            return;
        }
        let head = RequestHead { upgrade: true, ..*head };
        match self.verify_head(&head) {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire),
            Ok(Verified::Session(connection)) => {
                self.links.add_wire(wire, connection);
                let input = engine::Input::WebSocketOpened { wire };
                self.with_link(connection, |link| {
                    link.handle_input(now, input);
                });
            }
            Ok(Verified::UpgradeThenClose(_)) | Err(_) => {
                increment(&mut self.refused);
                self.answers.push_back(engine::Output::Close { wire, code: None });
            }
        }
    }

    fn open(&mut self, now: Timestamp, transport: Transport, wire: WireId) {
        if self.links.len() >= self.config.limits.connections {
            match transport {
                Transport::Polling => {
                    self.refuse(wire, &Refusal::too_many_connections(), false);
                }
                Transport::WebSocket => self.close_unopened(wire),
            }
            return;
        }
        let id = EngineId::from_entropy(self.hub.entropy());
        let link = Link::new(now, self.config.clone(), id, transport, wire);
        let connection = self.links.insert(link);
        self.links.add_wire(wire, connection);
        self.events.push_back(Event::ConnectionOpened { connection });
        self.with_link(connection, |_| ());
    }

    fn close_unopened(&mut self, wire: WireId) {
        increment(&mut self.refused);
        self.answers.push_back(engine::Output::Close { wire, code: None });
    }

    fn refuse(&mut self, wire: WireId, refusal: &Refusal, is_upgrade: bool) {
        increment(&mut self.refused);
        let response = refusal.response(is_upgrade);
        self.answers.push_back(engine::Output::Respond { wire, response });
    }

    fn verify_head(&self, head: &RequestHead<'_>) -> Result<Verified<ConnectionId>, Refusal> {
        engine::verify(head, &self.config, |id| self.links.find(id))
    }
}
