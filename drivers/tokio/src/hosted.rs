//! A [`Server`] together with the application that handles its events.

use hyper::http::request::Parts;
use socketio_proto::{
    ConnectionId, Timestamp, WireId,
    engine::{RequestHead, RequestRefusal, WebSocketRequest, WebSocketResponse},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
};

use crate::machine::{Machine, Outgoing};

/// An application: its handlers for events and for messages from its own tasks.
pub trait App: Send + 'static {
    /// The application's data of a socket. It is kept across recoveries.
    type Data: Default + Send + 'static;
    /// Messages from the application's own tasks.
    type Message: Send + 'static;

    /// Called once, before anything else.
    fn start(&mut self, _cx: &mut Context<'_, Self::Data>) {}

    /// A connection was opened, by this request.
    fn handle_handshake(&mut self, _connection: ConnectionId, _request: &Parts) {}

    /// Something happened.
    fn handle_event(&mut self, cx: &mut Context<'_, Self::Data>, event: ServerEvent<Self::Data>);

    /// One of the application's own tasks has sent a message.
    fn handle_message(&mut self, cx: &mut Context<'_, Self::Data>, message: Self::Message);

    /// The program has to end. The application's own tasks have to end, too.
    fn handle_shutdown(&mut self) {}

    /// Called once, after everything else.
    fn finish(&mut self, _cx: &mut Context<'_, Self::Data>) {}
}

/// The context of a handler.
pub struct Context<'a, D> {
    /// The server, with its verbs.
    pub server: &'a mut Server<D>,
    /// The current time.
    pub now: Timestamp,
}

/// A server and its application as one machine.
pub struct Hosted<A: App> {
    server: Server<A::Data>,
    app: A,
}

impl<A: App> Hosted<A> {
    /// A server whose events the application handles.
    pub fn new(server: Server<A::Data>, app: A) -> Self {
        Self { server, app }
    }
}

impl<A: App> Machine for Hosted<A> {
    type Message = A::Message;

    fn start(&mut self, now: Timestamp) {
        let mut cx = Context { server: &mut self.server, now };
        self.app.start(&mut cx);
    }

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

    fn handle_message(&mut self, now: Timestamp, message: A::Message) {
        let mut cx = Context { server: &mut self.server, now };
        self.app.handle_message(&mut cx, message);
    }

    fn poll_outgoing(&mut self, now: Timestamp, request: Option<&Parts>) -> Option<Outgoing> {
        loop {
            return Some(match self.server.poll_output()? {
                ServerOutput::Event(event) => {
                    if let ServerEvent::ConnectionOpened { connection, .. } = event
                        && let Some(request) = request
                    {
                        self.app.handle_handshake(connection, request);
                    }
                    let mut cx = Context { server: &mut self.server, now };
                    self.app.handle_event(&mut cx, event);
                    continue;
                }
                ServerOutput::Respond { wire, response } => Outgoing::Respond { wire, response },
                ServerOutput::Send { wire, frame } => Outgoing::Send { wire, frame },
                ServerOutput::Close { wire, code } => Outgoing::Close { wire, code },
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

    fn shutdown(&mut self, now: Timestamp) {
        self.server.shutdown(now);
        self.app.handle_shutdown();
    }

    fn finish(&mut self, now: Timestamp) {
        let mut cx = Context { server: &mut self.server, now };
        self.app.finish(&mut cx);
    }
}
