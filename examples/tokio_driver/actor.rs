//! The task that owns a machine: everything that happens to it happens here, in order.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use hyper::http::request::Parts;
use socketio_proto::{
    WireId,
    engine::{Frame, Refusal, Response},
    server::Input,
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    clock::Clock,
    exchange::{Dropped, head},
    machine::{Machine, Outgoing},
    signal::{Shutdown, requested},
};

/// Commands that wait for the machine; beyond it, connections wait.
const INBOX: usize = 1024;
/// Frames that wait for one WebSocket; beyond it, the machine keeps them in its own bounded queue.
pub(super) const FRAMES: usize = 32;
/// The runtime's timers are late by a millisecond on average: they are aimed this much earlier, and
/// what is due within it is due.
const EARLY: Duration = Duration::from_millis(1);
/// Timers this far away are as good as none.
const FAR: Duration = Duration::from_hours(24);

/// Names an exchange or a WebSocket.
pub(super) fn next_wire() -> WireId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    WireId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Starts the task of a machine. It ends when the program is to end and all connections are gone.
pub fn spawn<M: Machine>(
    machine: M,
    messages: mpsc::Receiver<M::Message>,
    shutdown: Shutdown,
) -> (Endpoint, JoinHandle<()>) {
    let (commands, inbox) = mpsc::channel(INBOX);
    let actor = Actor {
        machine,
        clock: Clock::start(),
        wires: BTreeMap::new(),
        stalled: FuturesUnordered::new(),
        is_ending: false,
    };
    let task = tokio::spawn(actor.run(inbox, messages, shutdown));
    (Endpoint(commands), task)
}

/// The way to a machine.
#[derive(Clone)]
pub struct Endpoint(mpsc::Sender<Command>);

impl Endpoint {
    pub(super) async fn send(&self, command: Command) -> Result<(), Dropped> {
        self.0.send(command).await.map_err(|_| Dropped)
    }

    /// Reports a wire as lost from where nothing can be waited for.
    pub(super) fn report_lost(&self, wire: WireId) {
        if let Err(TrySendError::Full(command)) = self.0.try_send(Command::Lost { wire })
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let commands = self.0.clone();
            // One such task per lost wire, until the machine has caught up.
            runtime.spawn(async move { commands.send(command).await.ok() });
        }
    }
}

/// What connections tell the machine.
pub(super) enum Command {
    /// A plain HTTP request.
    Request { wire: WireId, parts: Box<Parts>, answer: oneshot::Sender<Response> },
    /// The body of a POST.
    Body { wire: WireId, body: Bytes },
    /// A WebSocket handshake to decide about.
    Verify { parts: Arc<Parts>, answer: oneshot::Sender<Result<(), Refusal>> },
    /// A WebSocket whose handshake was completed.
    WebSocket { wire: WireId, parts: Arc<Parts>, peer: Peer },
    /// A message on a WebSocket.
    Frame { wire: WireId, frame: Frame },
    /// A peer is gone.
    Lost { wire: WireId },
}

/// The way to a WebSocket.
pub(super) struct Peer {
    pub(super) frames: mpsc::Sender<Frame>,
    /// Filled before `frames` is dropped: close the WebSocket, with this status code.
    pub(super) close: oneshot::Sender<Option<u16>>,
}

enum Wire {
    Exchange(oneshot::Sender<Response>),
    WebSocket(Peer),
}

struct Actor<M: Machine> {
    machine: M,
    clock: Clock,
    wires: BTreeMap<WireId, Wire>,
    /// Paused WebSockets, each until it has taken half of what waits for it.
    stalled: FuturesUnordered<Pin<Box<dyn Future<Output = WireId> + Send>>>,
    is_ending: bool,
}

impl<M: Machine> Actor<M> {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut messages: mpsc::Receiver<M::Message>,
        mut shutdown: Shutdown,
    ) {
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let due = self.due();
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                Some(message) = messages.recv() => {
                    self.machine.handle_message(self.clock.now(), message);
                }
                Some(wire) = self.stalled.next() => self.machine.resume(wire),
                () = &mut timer => self.handle_timer(),
                () = requested(&mut shutdown), if !self.is_ending => {
                    self.is_ending = true;
                    self.machine.shutdown(self.clock.now());
                }
            }
            self.flush(None);
        }
    }

    fn due(&self) -> Instant {
        let far = Instant::now() + FAR;
        let deadline = self.machine.deadline();
        let due = deadline.and_then(|deadline| self.clock.instant(deadline));
        due.map_or(far, |due| (due.checked_sub(EARLY).unwrap_or(due)).min(far))
    }

    fn handle_timer(&mut self) {
        let now = self.clock.now();
        let deadline = self.machine.deadline();
        let due = deadline.filter(|deadline| deadline.saturating_since(now) <= EARLY);
        let now = due.map_or(now, |due| now.max(due));
        self.machine.handle_input(now, Input::Timeout);
    }

    fn handle_command(&mut self, command: Command) {
        // Whoever comes now is dropped without an answer, and may try the next process.
        let is_new = matches!(
            command,
            Command::Request { .. } | Command::Verify { .. } | Command::WebSocket { .. }
        );
        if self.is_ending && is_new {
            return;
        }
        let now = self.clock.now();
        match command {
            Command::Request { wire, parts, answer } => {
                self.wires.insert(wire, Wire::Exchange(answer));
                let head = head(&parts);
                let body = None;
                self.machine.handle_input(now, Input::Request { wire, head, body });
                self.flush(Some(&parts));
            }
            Command::Body { wire, body } => {
                self.machine.handle_input(now, Input::Body { wire, body });
            }
            Command::Verify { parts, answer } => {
                answer.send(self.machine.verify(&head(&parts))).ok();
            }
            Command::WebSocket { wire, parts, peer } => {
                self.wires.insert(wire, Wire::WebSocket(peer));
                let head = head(&parts);
                self.machine.handle_input(now, Input::WebSocketOpened { wire, head });
                self.flush(Some(&parts));
            }
            Command::Frame { wire, frame } => {
                self.machine.handle_input(now, Input::Frame { wire, frame });
            }
            Command::Lost { wire } => self.lose(wire),
        }
    }

    /// Carries out everything that the machine wants.
    fn flush(&mut self, request: Option<&Parts>) {
        let now = self.clock.now();
        while let Some(outgoing) = self.machine.poll_outgoing(now, request) {
            match outgoing {
                Outgoing::Respond { wire, response } => {
                    if let Some(Wire::Exchange(answer)) = self.wires.remove(&wire) {
                        answer.send(response).ok();
                    }
                }
                Outgoing::Send { wire, frame } => self.send(wire, frame),
                Outgoing::Close { wire, code } => {
                    // Dropping an exchange drops its connection.
                    if let Some(Wire::WebSocket(peer)) = self.wires.remove(&wire) {
                        peer.close.send(code).ok();
                    }
                }
            }
        }
    }

    fn send(&mut self, wire: WireId, frame: Frame) {
        let Some(Wire::WebSocket(Peer { frames, .. })) = self.wires.get(&wire) else {
            return;
        };
        if frames.try_send(frame).is_err() {
            // Gone, or a WebSocket that cannot be paused (one that only probes) and does not read.
            self.lose(wire);
        } else if frames.capacity() == 0 {
            let frames = frames.clone();
            self.machine.pause(wire);
            self.stalled.push(Box::pin(async move {
                // Room, or word that the peer is gone: both end the pause.
                frames.reserve_many(FRAMES / 2).await.ok();
                wire
            }));
        }
    }

    fn lose(&mut self, wire: WireId) {
        if self.wires.remove(&wire).is_some() {
            let now = self.clock.now();
            self.machine.handle_input(now, Input::WireClosed { wire });
        }
    }
}
