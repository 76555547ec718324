//! The connections of one thread behind the wires of its loop.

use std::{error::Error, sync::Arc};

use socketio_proto::{
    Entropy, Timestamp, WireId,
    engine::{RequestHead, RequestRefusal, WebSocketRequest, WebSocketResponse},
    pool::{Pool, PoolOutput},
    server::{ServerEvent, ServerInput},
};

use crate::{
    app,
    driver::{Machine, Outgoing},
    shared::{Mail, Shared, Word},
};

/// One thread's part of the server.
pub struct Worker {
    thread: usize,
    pool: Pool,
    entropy: Box<dyn Entropy>,
    shared: Arc<Shared>,
    /// What the connections have said to the hub and the application since the last exchange.
    words: Vec<Word>,
}

impl Worker {
    pub fn new(thread: usize, shared: Arc<Shared>) -> Result<Self, Box<dyn Error>> {
        let mut entropy = app::entropy(thread);
        let pool = Pool::new(shared.config.clone(), u8::try_from(thread)?, &mut entropy)?;
        Ok(Self { thread, pool, entropy: Box::new(entropy), shared, words: Vec::new() })
    }

    /// Takes in what the hub has for the connections.
    fn read_mail(&mut self, now: Timestamp) -> bool {
        let mails = self.shared.take_mail(self.thread);
        let has_mail = !mails.is_empty();
        for mail in mails {
            match mail {
                Mail::Reply { to, reply } => self.pool.handle_reply(now, to, reply),
                Mail::Delivery(delivery) => {
                    self.pool.deliver(now, &delivery);
                }
            }
        }
        has_mail
    }

    /// Tells the hub what the connections have said, and takes its answers. Returns whether anything
    /// may have changed.
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
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal> {
        self.pool.verify_websocket(now, head, request)
    }

    fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>) {
        self.pool.handle_input(now, input, &mut *self.entropy);
    }

    fn poll_outgoing(&mut self, now: Timestamp) -> Option<(WireId, Outgoing)> {
        loop {
            let Some(output) = self.pool.poll_output() else {
                // The lock is taken once for all that has come in.
                if self.exchange(now) {
                    continue;
                }
                return None;
            };
            return Some(match output {
                PoolOutput::Respond { wire, response } => (wire, Outgoing::Respond(response)),
                PoolOutput::Send { wire, frame } => (wire, Outgoing::Send(frame)),
                PoolOutput::Close { wire, code } => (wire, Outgoing::Close(code)),
                PoolOutput::Request { from, request } => {
                    self.words.push(Word::Request(from, request));
                    continue;
                }
                PoolOutput::Event(event @ ServerEvent::Received { .. }) => {
                    self.words.push(Word::Event(event));
                    continue;
                }
                // The application does not care about connections.
                _ => continue,
            });
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let hub = self.shared.deadline().filter(|_| self.thread == 0);
        [hub, self.pool.deadline()].into_iter().flatten().min()
    }

    fn pause(&mut self, wire: WireId) {
        self.pool.pause(wire);
    }

    fn resume(&mut self, _: Timestamp, wire: WireId) {
        self.pool.resume(wire);
    }

    fn handle_wake(&mut self, now: Timestamp) {
        self.read_mail(now);
    }

    fn other_loop(&self, head: &RequestHead<'_>) -> Option<usize> {
        app::thread_of(head).filter(|thread| *thread != self.thread)
    }
}
