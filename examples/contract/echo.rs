//! Engine.IO without Socket.IO: every message comes back.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use hyper::http::request::Parts;
use socketio_proto::{
    EngineId, EngineIdMap, ServerConfig, Timestamp, WireId,
    engine::{
        self, CloseReason, Event, Method, Output, Refusal, RequestHead, ServerConnection,
        Transport, Verified, WebSocketRequest, WebSocketResponse, verify,
    },
    server::Input,
};

use crate::tokio_driver::{Machine, Outgoing, entropy};

/// Sessions by number, by id and by wire.
pub struct Echo {
    config: Arc<ServerConfig>,
    sessions: BTreeMap<u64, ServerConnection>,
    ids: EngineIdMap<u64>,
    wires: BTreeMap<WireId, u64>,
    next: u64,
    /// What belongs to no session.
    answers: Vec<Outgoing>,
}

impl Echo {
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(config),
            sessions: BTreeMap::new(),
            ids: EngineIdMap::new(&mut entropy),
            wires: BTreeMap::new(),
            next: 0,
            answers: Vec::new(),
        }
    }

    fn verify_head(&self, head: &RequestHead<'_>) -> Result<Verified<u64>, Refusal> {
        verify(head, &self.config, |id| {
            let number = *self.ids.get(id)?;
            let session = self.sessions.get(&number)?;
            (!session.is_closed()).then(|| (number, session.transport()))
        })
    }

    fn open(&mut self, now: Timestamp, transport: Transport, wire: WireId) {
        let id = EngineId::from_entropy(&mut entropy);
        let session = ServerConnection::new(now, self.config.clone(), id, transport, wire);
        self.next += 1;
        self.sessions.insert(self.next, session);
        self.ids.insert(id, self.next);
        self.wires.insert(wire, self.next);
    }

    fn handle_request(&mut self, now: Timestamp, wire: WireId, head: &RequestHead<'_>) {
        let binary = head.binary;
        match self.verify_head(head) {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire),
            Ok(Verified::Session(number)) => {
                let body = None;
                let input = match head.method {
                    Method::Get => engine::Input::Poll { wire },
                    Method::Post => engine::Input::Post { wire, body, binary },
                    Method::Other => engine::Input::OtherMethod { wire },
                };
                self.wires.insert(wire, number);
                self.tell(now, wire, input);
            }
            Err(refusal) => {
                let response = refusal.response(false);
                self.answers.push(Outgoing::Respond { wire, response });
            }
        }
    }

    fn handle_websocket(&mut self, now: Timestamp, wire: WireId, head: &RequestHead<'_>) {
        match self.verify_head(head) {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire),
            Ok(Verified::Session(number)) => {
                self.wires.insert(wire, number);
                self.tell(now, wire, engine::Input::WebSocketOpened { wire });
            }
            Err(_) => {
                self.answers.push(Outgoing::Close { wire, code: None });
            }
        }
    }

    fn tell(&mut self, now: Timestamp, wire: WireId, input: engine::Input) {
        if let Some(session) = self.session(wire) {
            session.handle_input(now, input);
        }
    }

    fn session(&mut self, wire: WireId) -> Option<&mut ServerConnection> {
        self.sessions.get_mut(self.wires.get(&wire)?)
    }

    /// Takes what one session wants done; its messages are sent back on the way.
    fn poll_session(session: &mut ServerConnection) -> Option<Outgoing> {
        loop {
            return Some(match session.poll_output()? {
                Output::Event(Event::Message(payload)) => {
                    session.send(payload).ok();
                    continue;
                }
                Output::Event(_) => continue,
                Output::Respond { wire, response } => Outgoing::Respond { wire, response },
                Output::Send { wire, frame } => Outgoing::Send { wire, frame },
                Output::Close { wire, code } => Outgoing::Close { wire, code },
            });
        }
    }
}

impl Machine for Echo {
    type Message = Infallible;

    fn verify_websocket(
        &mut self,
        _: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, Refusal> {
        let response = request.answer(&self.config)?;
        self.verify_head(head).map(|_| response)
    }

    fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        match input {
            Input::Request { wire, head, .. } => self.handle_request(now, wire, &head),
            Input::WebSocketOpened { wire, head } => self.handle_websocket(now, wire, &head),
            Input::Body { wire, body } => self.tell(now, wire, engine::Input::Body { wire, body }),
            Input::Frame { wire, frame } => {
                self.tell(now, wire, engine::Input::Frame { wire, frame });
            }
            Input::ControlFrame { wire } => {
                self.tell(now, wire, engine::Input::ControlFrame { wire });
            }
            Input::CloseFrame { wire } => {
                self.tell(now, wire, engine::Input::CloseFrame { wire });
            }
            Input::WireClosed { wire } => {
                self.tell(now, wire, engine::Input::WireClosed { wire });
                self.wires.remove(&wire);
            }
            Input::Timeout => {
                for session in self.sessions.values_mut() {
                    session.handle_input(now, engine::Input::Timeout);
                }
            }
        }
    }

    fn handle_message(&mut self, _: Timestamp, message: Infallible) {
        match message {}
    }

    fn poll_outgoing(&mut self, _: Timestamp, _: Option<&Parts>) -> Option<Outgoing> {
        let mut outgoing = self.answers.pop();
        if outgoing.is_none() {
            outgoing = self.sessions.values_mut().find_map(Self::poll_session);
        }
        match outgoing {
            Some(Outgoing::Respond { wire, .. } | Outgoing::Close { wire, .. }) => {
                self.wires.remove(&wire);
            }
            Some(Outgoing::Send { .. }) => {}
            None => self.sessions.retain(|_, session| {
                if session.is_closed() {
                    self.ids.remove(&session.id());
                }
                !session.is_closed()
            }),
        }
        outgoing
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.sessions.values().filter_map(ServerConnection::deadline).min()
    }

    fn pause(&mut self, wire: WireId) {
        if let Some(session) = self.session(wire) {
            session.pause(wire);
        }
    }

    fn resume(&mut self, wire: WireId) {
        if let Some(session) = self.session(wire) {
            session.resume(wire);
        }
    }

    fn shutdown(&mut self, _: Timestamp) {
        for session in self.sessions.values_mut() {
            session.abort(CloseReason::ServerShutdown);
        }
    }
}
