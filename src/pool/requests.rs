//! Requests and WebSocket handshakes: each is verified, then given to its connection or to a new
//! one.

use bytes::Bytes;

use super::{LinkReport, Pool};
use crate::{
    engine::{
        self, EngineInput, EngineOutput, Method, RequestHead, RequestRefusal, TRY_AGAIN_LATER,
        Transport, Verified, WebSocketRequest, WebSocketResponse,
    },
    entropy::Entropy,
    hub::ServerEvent,
    id::{ConnectionId, EngineId, WireId},
    link::Link,
    shrink,
    stats::increment,
    time::Timestamp,
};

/// The purpose of a verified request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: a request opens a session or belongs to one")]
pub enum Admission {
    /// It opens a session. The application can refuse it now for its own reasons, with
    /// [`RequestRefusal::forbidden`].
    Handshake,
    /// It belongs to this connection.
    Session(ConnectionId),
}

impl<D> Pool<D> {
    /// Verifies a request before it is handed in. Call this if the application itself decides about
    /// new sessions. [`handle_input`](Self::handle_input) verifies the request again. A refusal is
    /// counted here; the caller answers the request.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::engine::{RequestHead, RequestRefusal};
    /// use socketio_proto::pool::{Admission, Pool};
    ///
    /// fn check(
    ///     pool: &mut Pool,
    ///     now: Timestamp,
    ///     head: &RequestHead<'_>,
    ///     is_banned: bool,
    /// ) -> Result<(), RequestRefusal> {
    ///     match pool.verify(now, head)? {
    ///         Admission::Handshake if is_banned => Err(RequestRefusal::forbidden("banned")),
    ///         Admission::Handshake | Admission::Session(_) => Ok(()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The [`RequestRefusal`] to answer with.
    pub fn verify(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
    ) -> Result<Admission, RequestRefusal> {
        let now = self.advance(now);
        let admission = match self.verify_head(head) {
            Ok(Verified::Handshake { .. }) => self.check_limits(now).map(|()| Admission::Handshake),
            Ok(Verified::Session(connection)) => Ok(Admission::Session(connection)),
            Err(refusal) => Err(refusal),
        };
        admission.inspect_err(|refusal| self.totals.requests_refused.count(refusal))
    }

    /// Verifies a request for a WebSocket before its handshake is completed: first the handshake
    /// itself, then the request as in [`verify`](Self::verify). The caller sends the answer. After
    /// an answer with status 101, it hands in
    /// [`ServerInput::WebSocketOpened`](super::ServerInput::WebSocketOpened).
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::engine::{RequestHead, WebSocketRequest};
    /// use socketio_proto::pool::Pool;
    ///
    /// /// Returns the status code to answer with, and whether the handshake is complete.
    /// fn answer(
    ///     pool: &mut Pool,
    ///     now: Timestamp,
    ///     head: &RequestHead<'_>,
    ///     request: &WebSocketRequest,
    /// ) -> (u16, bool) {
    ///     match pool.verify_websocket(now, head, request) {
    ///         Ok(_response) => (101, true),
    ///         Err(refusal) => (refusal.response(false).status, false),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The [`RequestRefusal`] to answer with.
    pub fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal> {
        let response = request.answer(&self.config);
        let response =
            response.inspect_err(|refusal| self.totals.requests_refused.count(refusal))?;
        self.verify(now, &RequestHead { upgrade: true, ..*head })?;
        Ok(response)
    }

    pub(super) fn handle_request(
        &mut self,
        now: Timestamp,
        wire: WireId,
        head: &RequestHead<'_>,
        body: Option<Bytes>,
        entropy: &mut dyn Entropy,
    ) {
        if self.links.is_wire_in_use(wire) {
            increment(&mut self.totals.stale);
            return;
        }
        let verified = self.verify_head(head);
        match verified {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire, entropy),
            Ok(Verified::Session(connection)) => {
                self.links.add_wire(wire, connection);
                let input = match head.method {
                    Method::Get => EngineInput::Poll { wire },
                    Method::Post => EngineInput::Post { wire, body, binary: head.binary },
                    Method::Other => EngineInput::OtherMethod { wire },
                };
                self.with_link(connection, |link| {
                    link.handle_input(now, input);
                });
            }
            Err(refusal) => self.refuse(wire, &refusal, head.upgrade),
        }
    }

    pub(super) fn handle_websocket(
        &mut self,
        now: Timestamp,
        wire: WireId,
        head: &RequestHead<'_>,
        entropy: &mut dyn Entropy,
    ) {
        if self.links.is_wire_in_use(wire) {
            increment(&mut self.totals.stale);
            return;
        }
        let head = RequestHead { upgrade: true, ..*head };
        match self.verify_head(&head) {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire, entropy),
            Ok(Verified::Session(connection)) => {
                self.links.add_wire(wire, connection);
                let input = EngineInput::WebSocketOpened { wire };
                self.with_link(connection, |link| {
                    link.handle_input(now, input);
                });
            }
            Err(refusal) => self.close_unopened(wire, &refusal),
        }
    }

    fn open(
        &mut self,
        now: Timestamp,
        transport: Transport,
        wire: WireId,
        entropy: &mut dyn Entropy,
    ) {
        if let Err(refusal) = self.check_limits(now) {
            match transport {
                Transport::Polling => self.refuse(wire, &refusal, false),
                Transport::WebSocket => self.close_unopened(wire, &refusal),
            }
            return;
        }
        self.handshakes.take(now, self.config.limits.handshake_rate(), 1);
        increment(&mut self.totals.connections_opened);
        let id = EngineId::from_entropy(entropy);
        let link = Link::new(now, self.config.clone(), id, transport, wire);
        let connection = self.links.insert(link);
        self.links.add_wire(wire, connection);
        // Cheaper here than after each input.
        shrink::empty_if_large(&mut self.reports);
        self.reports
            .push_back(LinkReport::Event(ServerEvent::ConnectionOpened { connection, wire }));
        self.with_link(connection, |_| ());
    }

    /// Checks whether one more connection may be opened now.
    fn check_limits(&self, now: Timestamp) -> Result<(), RequestRefusal> {
        let limits = &self.config.limits;
        if self.links.len() >= limits.connections || self.links.is_full() {
            return Err(RequestRefusal::too_many_connections());
        }
        if self.handshakes.next_at(limits.handshake_rate()) > now {
            return Err(RequestRefusal::too_many_handshakes());
        }
        Ok(())
    }

    /// Closes a WebSocket that is refused after its handshake. An HTTP answer is no longer
    /// possible.
    fn close_unopened(&mut self, wire: WireId, refusal: &RequestRefusal) {
        self.totals.requests_refused.count(refusal);
        let is_limited =
            [RequestRefusal::TOO_MANY_CONNECTIONS, RequestRefusal::TOO_MANY_HANDSHAKES]
                .contains(&refusal.context);
        let code = is_limited.then_some(TRY_AGAIN_LATER);
        self.answers.push_back(EngineOutput::Close { wire, code });
    }

    fn refuse(&mut self, wire: WireId, refusal: &RequestRefusal, is_upgrade: bool) {
        self.totals.requests_refused.count(refusal);
        let response = refusal.response(is_upgrade);
        self.answers.push_back(EngineOutput::Respond { wire, response });
    }

    fn verify_head(
        &self,
        head: &RequestHead<'_>,
    ) -> Result<Verified<ConnectionId>, RequestRefusal> {
        engine::verify(head, &self.config, |id| self.links.find(id))
    }
}
