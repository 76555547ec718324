//! What the loop drives.

use socketio_proto::{
    Timestamp, WireId,
    engine::{Frame, RequestHead, RequestRefusal, Response, WebSocketRequest, WebSocketResponse},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
};

/// A state machine behind wires: one input, one output queue, one deadline.
pub trait Machine {
    /// Decides about a WebSocket handshake before it is completed.
    ///
    /// # Errors
    ///
    /// The [`RequestRefusal`] to answer with.
    fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal>;

    /// Takes what happened on a wire, or that it is time.
    fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>);

    /// Takes the next thing to do, and the wire to do it with.
    fn poll_outgoing(&mut self, now: Timestamp) -> Option<(WireId, Outgoing)>;

    /// When [`ServerInput::Timeout`] is due.
    fn deadline(&self) -> Option<Timestamp>;

    /// Stops sending on a WebSocket.
    fn pause(&mut self, wire: WireId);

    /// Goes on sending on a WebSocket.
    fn resume(&mut self, now: Timestamp, wire: WireId);

    /// Another thread has something for it: it has woken the loop.
    fn handle_wake(&mut self, _now: Timestamp) {}

    /// Which of several loops has the session of a request, if it is another one.
    fn other_loop(&self, _head: &RequestHead<'_>) -> Option<usize> {
        None
    }
}

/// What a machine wants done with a wire.
pub enum Outgoing {
    /// Answer an HTTP exchange.
    Respond(Response),
    /// Send a message on a WebSocket.
    Send(Frame),
    /// Close a WebSocket, or drop an HTTP exchange without an answer.
    Close(Option<u16>),
}

/// A server and what is done about its events, as one machine.
pub struct Hosted<D, F> {
    server: Server<D>,
    handle_event: F,
}

impl<D, F> Hosted<D, F>
where
    D: Default,
    F: FnMut(&mut Server<D>, Timestamp, ServerEvent<D>),
{
    /// A server and its application.
    pub fn new(server: Server<D>, handle_event: F) -> Self {
        Self { server, handle_event }
    }
}

impl<D, F> Machine for Hosted<D, F>
where
    D: Default,
    F: FnMut(&mut Server<D>, Timestamp, ServerEvent<D>),
{
    fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal> {
        self.server.verify_websocket(now, head, request)
    }

    fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>) {
        self.server.handle_input(now, input);
    }

    fn poll_outgoing(&mut self, now: Timestamp) -> Option<(WireId, Outgoing)> {
        loop {
            return Some(match self.server.poll_output()? {
                ServerOutput::Event(event) => {
                    (self.handle_event)(&mut self.server, now, event);
                    continue;
                }
                ServerOutput::Respond { wire, response } => (wire, Outgoing::Respond(response)),
                ServerOutput::Send { wire, frame } => (wire, Outgoing::Send(frame)),
                ServerOutput::Close { wire, code } => (wire, Outgoing::Close(code)),
                _ => unreachable!("an output that this driver does not know"),
            });
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.server.deadline()
    }

    fn pause(&mut self, wire: WireId) {
        self.server.pause(wire);
    }

    fn resume(&mut self, now: Timestamp, wire: WireId) {
        self.server.resume(now, wire);
    }
}
