//! The task that owns the client.
//!
//! ```text
//!   Client, Socket ── commands (bounded) ──► Actor ── events (bounded by bytes) ──► Events
//!                  ◄─── oneshot answers ────   │ owns the Driver
//! ```

use std::sync::Arc;

use socketio_proto::{
    Timestamp,
    client::{Client, ClientEvent, ClientSnapshot},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant, sleep_until},
};

use crate::{
    Driver, WireError,
    calls::Calls,
    events::{EventSender, Room},
};

/// The most commands that wait. Beyond it, calls wait.
pub(crate) const COMMANDS: usize = 64;

/// The longest time that a timer is set for.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Something to do for a handle.
pub(crate) type Command = Box<dyn FnOnce(&mut Actor) + Send>;

/// An event for which there is no room yet, with the failure that it follows from.
type Waiting = (ClientEvent, Option<Arc<WireError>>);

pub(crate) struct Actor {
    pub(crate) driver: Driver,
    pub(crate) calls: Calls,
    pub(crate) closing: Option<oneshot::Sender<ClientSnapshot>>,
    events: EventSender,
    stall_timeout: Duration,
}

impl Actor {
    pub(crate) fn new(driver: Driver, events: EventSender, stall_timeout: Duration) -> Self {
        let stall_timeout = stall_timeout.min(LONGEST);
        Self { driver, calls: Calls::default(), closing: None, events, stall_timeout }
    }

    /// Calls a verb of the client. Calls that wait for a namespace are answered if the verb has left it.
    pub(crate) fn client<R>(&mut self, verb: impl FnOnce(&mut Client, Timestamp) -> R) -> R {
        let calls = &mut self.calls;
        self.driver.client(|client, now| {
            let active = calls.active(client);
            let result = verb(client, now);
            calls.note_left(client, &active);
            result
        })
    }

    /// Runs until it is closed, or until neither handles nor [`Events`](crate::Events) are left.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut has_handles = true;
        // While it holds an event, nothing is read from the server, and commands are carried out.
        let mut waiting: Option<Waiting> = None;
        let mut stalled_at = Instant::now();
        while self.closing.is_none() {
            tokio::select! {
                command = commands.recv(), if has_handles => match command {
                    Some(command) => command(&mut self),
                    None => has_handles = false,
                },
                () = self.events.closed(), if !has_handles => break,
                event = self.driver.next(), if waiting.is_none() => {
                    let cause = self.driver.cause().cloned();
                    let event = self.calls.answer(event, cause.as_ref());
                    waiting = event.map(|event| (event, cause));
                    stalled_at = Instant::now() + self.stall_timeout;
                }
                // The application may wait for an answer in the task that takes the events.
                () = sleep_until(stalled_at), if waiting.is_some() && self.calls.are_waiting() => {
                    self.calls.stall();
                }
                room = reserve(&self.events, waiting.as_ref()), if waiting.is_some() => {
                    if let Some((event, cause)) = waiting.take() {
                        self.events.send(event, cause, room);
                    }
                }
            }
        }
        // Calls that were not begun learn at once that the client has ended.
        drop(commands);
        self.end(waiting).await;
    }

    /// Sends what is queued, and passes on the last events.
    async fn end(self, waiting: Option<Waiting>) {
        let Self { driver, mut calls, closing, events, .. } = self;
        if let Some((event, cause)) = waiting {
            events.send(event, cause, Room::BEYOND);
        }
        let snapshot = driver.finish(|event| {
            if let Some(event) = calls.answer(event, None) {
                events.send(event, None, Room::BEYOND);
            }
        });
        let snapshot = snapshot.await;
        if let Some(closing) = closing {
            closing.send(snapshot).ok();
        }
    }
}

async fn reserve(events: &EventSender, waiting: Option<&Waiting>) -> Room {
    match waiting {
        Some((event, _)) => events.reserve(event).await,
        None => std::future::pending().await,
    }
}
