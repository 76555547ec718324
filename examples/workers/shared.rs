//! What all threads share: the hub with the application behind a lock, and a mailbox for each.

use std::{
    error::Error,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use socketio_proto::{
    ConnectionId, ServerConfig, Timestamp,
    hub::{Delivery, Hub, HubOutput, Reply, Request},
    pool::Pool,
    server::ServerEvent,
};

use crate::{app, handles::Handles};

/// What all threads share.
pub struct Shared {
    pub config: Arc<ServerConfig>,
    hub: Mutex<Hub<()>>,
    mailboxes: Vec<Mutex<Vec<Mail>>>,
    handles: Handles,
    /// When the hub is to be told that it is time, in microseconds; [`NEVER`] if it waits for
    /// nothing. The first thread does so.
    deadline: AtomicU64,
}

const NEVER: u64 = u64::MAX;

/// From the hub to the links of a thread.
pub enum Mail {
    Reply {
        to: ConnectionId,
        reply: Reply,
    },
    /// For several links, perhaps on several threads.
    Delivery(Arc<Delivery>),
}

/// From the links of a thread to the hub and the application.
pub enum Word {
    Request(ConnectionId, Request),
    Event(ServerEvent<()>),
}

impl Shared {
    pub fn new(threads: usize, handles: Handles) -> Result<Self, Box<dyn Error>> {
        let config = app::config();
        let mut hub = Hub::new(config.clone(), app::entropy(0))?;
        hub.at(Timestamp::ZERO).add_namespace("/")?;
        let mailboxes = (0..threads).map(|_| Mutex::default()).collect();
        let deadline = AtomicU64::new(NEVER);
        Ok(Self { config, hub: Mutex::new(hub), mailboxes, handles, deadline })
    }

    /// When [`exchange`](Self::exchange) is due even if there is nothing to say.
    pub fn deadline(&self) -> Option<Timestamp> {
        let micros = self.deadline.load(Ordering::Acquire);
        (micros != NEVER).then(|| Timestamp::from_micros(micros))
    }

    /// Whether it is.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Tells the hub and the application what the links of a thread have said, all of it under one
    /// lock, and puts what they answer into the mailboxes. They are filled while the lock is held:
    /// so each link is told things in their order.
    pub fn exchange(&self, thread: usize, now: Timestamp, words: impl Iterator<Item = Word>) {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mails: Vec<Vec<Mail>> = self.mailboxes.iter().map(|_| Vec::new()).collect();
        for word in words {
            match word {
                Word::Request(from, request) => hub.handle_request(now, from, request),
                Word::Event(event) => {
                    // All share the hub: there is nobody to relay to.
                    app::handle_event(&mut hub.at(now), event);
                }
            }
            sort(&mut hub, now, &mut mails);
        }
        // Handle what has arrived before the timeout.
        if self.is_due(now) {
            hub.handle_timeout(now);
        }
        sort(&mut hub, now, &mut mails);
        for (to, mails) in mails.into_iter().enumerate() {
            self.post(thread, to, mails);
        }
        let deadline = hub.deadline().map_or(NEVER, Timestamp::as_micros);
        let earlier = self.deadline.swap(deadline, Ordering::AcqRel);
        drop(hub);
        if thread != 0 && deadline < earlier {
            self.wake(0);
        }
    }

    /// Takes the mail of a thread.
    pub fn take_mail(&self, thread: usize) -> Vec<Mail> {
        let Some(mailbox) = self.mailboxes.get(thread) else { return Vec::new() };
        mem::take(&mut *mailbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn post(&self, from: usize, to: usize, mails: Vec<Mail>) {
        let Some(mailbox) = self.mailboxes.get(to).filter(|_| !mails.is_empty()) else { return };
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = mailbox.is_empty();
        mailbox.extend(mails);
        drop(mailbox);
        // A link that has mail already is awake, or will be.
        if was_empty && from != to {
            self.wake(to);
        }
    }

    fn wake(&self, thread: usize) {
        let handle = self.handles.get().and_then(|handles| handles.get(thread));
        handle.expect("as many as threads").wake().expect("the thread runs");
    }
}

/// The thread of a connection.
fn thread_of(connection: ConnectionId) -> usize {
    Pool::<()>::number_of(connection).into()
}

/// Carries out what the hub wants, and sorts what is for links by their threads.
fn sort(hub: &mut Hub<()>, now: Timestamp, mails: &mut [Vec<Mail>]) {
    while let Some(output) = hub.poll_output() {
        match output {
            HubOutput::Reply { to, reply } => {
                if let Some(mails) = mails.get_mut(thread_of(to)) {
                    mails.push(Mail::Reply { to, reply });
                }
            }
            HubOutput::Deliver(delivery) => {
                let delivery = Arc::new(delivery);
                for (thread, mails) in mails.iter_mut().enumerate() {
                    if delivery.recipients().iter().any(|to| thread_of(*to) == thread) {
                        mails.push(Mail::Delivery(delivery.clone()));
                    }
                }
            }
            HubOutput::Event(event) => {
                app::handle_event(&mut hub.at(now), event);
            }
            _ => {}
        }
    }
}
