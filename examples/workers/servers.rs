//! A whole server on each thread.

use std::{
    error::Error,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use socketio_proto::{
    Timestamp, WireId,
    engine::{RequestHead, RequestRefusal, WebSocketRequest, WebSocketResponse},
    server::{Server, ServerInput, ServerOutput},
};

use crate::{
    app::{self, Relay},
    driver::{Machine, Outgoing},
    handles::Handles,
};

/// What the others have broadcast, for each thread.
type Mailboxes = Arc<Vec<Mutex<Vec<Relay>>>>;

/// The server of one thread, and the way to the others.
pub struct Whole {
    index: usize,
    server: Server<()>,
    mailboxes: Mailboxes,
    handles: Handles,
}

/// Makes as many servers as there are threads.
pub fn new(threads: usize, handles: &Handles) -> Result<Vec<Whole>, Box<dyn Error>> {
    let mailboxes: Mailboxes = Arc::new((0..threads).map(|_| Mutex::default()).collect());
    let whole = |index| -> Result<Whole, Box<dyn Error>> {
        let config = Arc::unwrap_or_clone(app::config());
        let mut server = Server::new(config, app::entropy(index))?;
        server.at(Timestamp::ZERO).add_namespace("/")?;
        let (mailboxes, handles) = (mailboxes.clone(), handles.clone());
        Ok(Whole { index, server, mailboxes, handles })
    };
    (0..threads).map(whole).collect()
}

impl Whole {
    fn relay(&self, relay: &Relay) {
        let handles = self.handles.get().map(Vec::as_slice).unwrap_or_default();
        for (index, (mailbox, handle)) in self.mailboxes.iter().zip(handles).enumerate() {
            if index != self.index {
                let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
                mailbox.push(relay.clone());
                // The first one wakes it for all that follow.
                if mailbox.len() == 1 {
                    handle.wake().expect("the thread runs");
                }
            }
        }
    }
}

impl Machine for Whole {
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
                    if let Some(relay) = app::handle_event(&mut self.server.at(now), event) {
                        self.relay(&relay);
                    }
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

    fn handle_wake(&mut self, now: Timestamp) {
        let Some(mailbox) = self.mailboxes.get(self.index) else { return };
        let relays = mem::take(&mut *mailbox.lock().unwrap_or_else(PoisonError::into_inner));
        for relay in relays {
            app::handle_relay(&mut self.server.at(now), &relay);
        }
    }

    fn other_loop(&self, head: &RequestHead<'_>) -> Option<usize> {
        app::thread_of(head).filter(|thread| *thread != self.index)
    }
}
