//! The links of one thread behind the wires of its loop.

use std::{collections::VecDeque, sync::Arc};

use socketio_proto::{
    ConnectionId, EngineId, Timestamp, WireId,
    engine::{
        self, Method, Refusal, RequestHead, Transport, Verified, WebSocketRequest,
        WebSocketResponse,
    },
    link::{self, Link},
    server::{Event, Input},
};

use crate::{
    app,
    driver::{Machine, Outgoing},
    links::{Links, thread_of},
    shared::{Mail, Shared, Word},
};

/// One thread's part of the server.
pub struct Worker {
    thread: usize,
    links: Links,
    shared: Arc<Shared>,
    /// Answers to requests that belong to no connection.
    answers: VecDeque<(WireId, Outgoing)>,
    /// What the links have said to the hub and the application since the last exchange.
    words: Vec<Word>,
}

impl Worker {
    pub fn new(thread: usize, shared: Arc<Shared>) -> Self {
        let links = Links::new(thread);
        Self { thread, links, shared, answers: VecDeque::new(), words: Vec::new() }
    }

    fn verify_head(&self, head: &RequestHead<'_>) -> Result<Verified<ConnectionId>, Refusal> {
        engine::verify(head, &self.shared.config, |sid| self.links.find(sid))
    }

    fn handle_request(&mut self, now: Timestamp, wire: WireId, head: &RequestHead<'_>) {
        match self.verify_head(head) {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire),
            Ok(Verified::Session(connection)) => {
                self.links.add_wire(wire, connection);
                let input = match head.method {
                    Method::Get => engine::Input::Poll { wire },
                    Method::Post => engine::Input::Post { wire, body: None, binary: head.binary },
                    Method::Other => engine::Input::OtherMethod { wire },
                };
                self.links.with(connection, |link| link.handle_input(now, input));
            }
            Err(refusal) => {
                let response = refusal.response(head.upgrade);
                self.answers.push_back((wire, Outgoing::Respond(response)));
            }
        }
    }

    fn handle_websocket(&mut self, now: Timestamp, wire: WireId, head: &RequestHead<'_>) {
        match self.verify_head(head) {
            Ok(Verified::Handshake { transport }) => self.open(now, transport, wire),
            Ok(Verified::Session(connection)) => {
                self.links.add_wire(wire, connection);
                let input = engine::Input::WebSocketOpened { wire };
                self.links.with(connection, |link| link.handle_input(now, input));
            }
            Err(_) => {
                self.answers.push_back((wire, Outgoing::Close(None)));
            }
        }
    }

    fn open(&mut self, now: Timestamp, transport: Transport, wire: WireId) {
        let sid = EngineId::from_entropy(&mut app::entropy(self.thread));
        let link = Link::new(now, self.shared.config.clone(), sid, transport, wire);
        let connection = self.links.insert(link);
        self.links.add_wire(wire, connection);
        self.links.with(connection, |_| ());
    }

    fn handle_wire(&mut self, now: Timestamp, wire: WireId, input: engine::Input) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.links.with(connection, |link| link.handle_input(now, input));
        }
    }

    /// Takes in what the hub has for the links.
    fn read_mail(&mut self, now: Timestamp) -> bool {
        let mails = self.shared.take_mail(self.thread);
        let has_mail = !mails.is_empty();
        for mail in mails {
            match mail {
                Mail::Reply { to, reply } => {
                    self.links.with(to, |link| link.handle_reply(now, reply));
                }
                Mail::Delivery(delivery) => {
                    let recipients = delivery.recipients().iter();
                    for to in recipients.filter(|to| thread_of(**to) == self.thread) {
                        self.links.with(*to, |link| {
                            link.deliver(&delivery);
                        });
                    }
                }
            }
        }
        has_mail
    }

    /// Tells the hub what the links have said, and hears its answers. Returns whether anything may
    /// have changed.
    fn exchange(&mut self, now: Timestamp) -> bool {
        let is_due = self.thread == 0 && self.shared.is_due(now);
        if !self.words.is_empty() || is_due {
            self.shared.exchange(self.thread, now, self.words.drain(..));
        }
        self.read_mail(now)
    }
}

impl Machine for Worker {
    fn verify_websocket(
        &mut self,
        _: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, Refusal> {
        let response = request.answer(&self.shared.config)?;
        self.verify_head(head).map(|_| response)
    }

    fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        match input {
            Input::Request { wire, head, .. } => self.handle_request(now, wire, &head),
            Input::WebSocketOpened { wire, head } => self.handle_websocket(now, wire, &head),
            Input::Body { wire, body } => {
                self.handle_wire(now, wire, engine::Input::Body { wire, body });
            }
            Input::Frame { wire, frame } => {
                self.handle_wire(now, wire, engine::Input::Frame { wire, frame });
            }
            Input::ControlFrame { wire } => {
                self.handle_wire(now, wire, engine::Input::ControlFrame { wire });
            }
            Input::CloseFrame { wire } => {
                self.handle_wire(now, wire, engine::Input::CloseFrame { wire });
            }
            Input::WireClosed { wire } => {
                self.handle_wire(now, wire, engine::Input::WireClosed { wire });
                self.links.forget_wire(wire);
            }
            Input::Timeout => {
                while let Some(connection) = self.links.pop_due(now) {
                    let timeout = engine::Input::Timeout;
                    self.links.with(connection, |link| link.handle_input(now, timeout));
                }
            }
        }
    }

    fn poll_outgoing(&mut self, now: Timestamp) -> Option<(WireId, Outgoing)> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        loop {
            let Some((connection, output)) = self.links.poll_output() else {
                // The lock is taken once for all that has come in.
                if self.exchange(now) {
                    continue;
                }
                return None;
            };
            match output {
                link::Output::Hub(request) => self.words.push(Word::Request(connection, request)),
                link::Output::Event(link::Event::Received { socket, event, ack }) => {
                    self.words.push(Word::Event(Event::Received { socket, event, ack }));
                }
                link::Output::Wire(output) => {
                    let (wire, outgoing) = match output {
                        engine::Output::Send { wire, frame } => (wire, Outgoing::Send(frame)),
                        engine::Output::Respond { wire, response } => {
                            self.links.forget_wire(wire);
                            (wire, Outgoing::Respond(response))
                        }
                        engine::Output::Close { wire, code } => {
                            self.links.forget_wire(wire);
                            (wire, Outgoing::Close(code))
                        }
                        engine::Output::Event(_) => continue,
                    };
                    return Some((wire, outgoing));
                }
                // The application does not care about connections.
                _ => {}
            }
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let hub = self.shared.deadline().filter(|_| self.thread == 0);
        [hub, self.links.deadline()].into_iter().flatten().min()
    }

    fn pause(&mut self, wire: WireId) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.links.with(connection, |link| link.pause(wire));
        }
    }

    fn resume(&mut self, wire: WireId) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.links.with(connection, |link| link.resume(wire));
        }
    }

    fn handle_wake(&mut self, now: Timestamp) {
        self.read_mail(now);
    }

    fn other_loop(&self, head: &RequestHead<'_>) -> Option<usize> {
        app::thread_of(head).filter(|thread| *thread != self.thread)
    }
}
