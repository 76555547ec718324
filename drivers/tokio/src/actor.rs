//! The task that owns a machine. Everything that happens to the machine happens here, in order.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::request::Parts;
use socketio_proto::{Timestamp, WireId, engine::Response, server::ServerInput};
use socketio_proto_websocket::{http::request_head, write_message};
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

#[cfg(feature = "tracing")]
use crate::trace;
use crate::{
    calls::{Call, Calls},
    clock::{Clock, FAR},
    ending::Ending,
    endpoint::{Command, Endpoint},
    machine::{Machine, Outgoing},
    peer::{Peer, Written},
    service::SocketIoService,
    stats::{DriverStats, add},
};

/// Commands that wait for the machine. When the inbox is full, connections wait, and each gets a
/// place in turn. This bounds how many commands one flooding peer can queue ahead of others, and
/// how many bodies and messages are in memory. A larger inbox would be neither faster nor fairer.
const INBOX: usize = BATCH;
/// Calls of the application's tasks that wait for the machine.
const CALLS: usize = BATCH;
/// Commands or calls that are handled before their outputs are carried out. All their outputs for one
/// WebSocket are then written together.
const BATCH: usize = 64;
/// Bytes for one WebSocket that are written without waiting for more.
const MUCH: usize = 64 << 10;
/// If a timer is later than this, the task did not run for a while, and perhaps the readers of the
/// streams did not either.
const LATE: Duration = Duration::from_millis(5);
/// If nothing arrives from the readers for this long, they have caught up.
const QUIET: Duration = Duration::from_millis(10);
/// The readers have this much time to catch up, so that a flood does not delay the timers for
/// longer.
const CATCH_UP: Duration = Duration::from_millis(100);
/// How long connections may take to end.
const CONNECTIONS_END: Duration = Duration::from_secs(3);
/// How long the machine may take after that.
const SETTLE: Duration = Duration::from_secs(5);

/// Starts a machine in a task of its own. Call this within a runtime.
///
/// The task ends when [`Calls::end`] says so, or when every clone of the service and of the calls is
/// dropped and all connections are gone.
pub fn spawn<M: Machine>(machine: M) -> (SocketIoService, Calls<M>) {
    spawn_after(machine, |_, _, _| ())
}

/// The same, after a first thing was done with the machine.
pub(crate) fn spawn_after<M: Machine>(
    machine: M,
    first: impl FnOnce(&mut M, Timestamp, &Calls<M>),
) -> (SocketIoService, Calls<M>) {
    let (commands, inbox) = mpsc::channel(INBOX);
    let (callers, called) = mpsc::channel(CALLS);
    let (tracker, closing) = (TaskTracker::new(), CancellationToken::new());
    let calls = Calls::new(callers.clone(), closing.clone());
    let service = SocketIoService::new(
        Endpoint { commands, tracker: tracker.clone() },
        machine.max_payload(),
    );
    let mut actor = Actor {
        machine,
        clock: Clock::start(),
        wires: BTreeMap::new(),
        stalled: FuturesUnordered::new(),
        output: BytesMut::new(),
        tracker,
        open: Some(closing.drop_guard()),
        ending: None,
        stats: DriverStats::default(),
        callers: Some(callers),
    };
    #[cfg(feature = "tracing")]
    trace::started();
    first(&mut actor.machine, actor.clock.now(), &calls);
    actor.flush(None);
    tokio::spawn(actor.run(inbox, called));
    (service, calls)
}

enum Wire {
    Exchange(oneshot::Sender<Response>),
    WebSocket(Peer),
}

struct Actor<M: Machine> {
    machine: M,
    clock: Clock,
    wires: BTreeMap<WireId, Wire>,
    /// Waits for the streams of paused WebSockets, until they take bytes again.
    stalled: FuturesUnordered<Pin<Box<dyn Future<Output = WireId> + Send>>>,
    /// Bytes to write to the WebSocket whose frames the machine is returning.
    output: BytesMut,
    tracker: TaskTracker,
    /// Dropped when connections have to end, which others wait for.
    open: Option<DropGuard>,
    ending: Option<Ending<M>>,
    /// The counters. What there is at the moment is added when it is asked for.
    stats: DriverStats,
    /// What happens on connections can need a handle. So there is one as long as there are
    /// connections, even if everybody else has dropped theirs.
    callers: Option<mpsc::Sender<Call<M>>>,
}

impl<M: Machine> Actor<M> {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, mut calls: mpsc::Receiver<Call<M>>) {
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut end = pin!(sleep_until(Instant::now() + FAR));
        let tracker = self.tracker.clone();
        let mut batch = Vec::with_capacity(BATCH);
        let mut called = Vec::new();
        let (mut has_connections, mut has_callers) = (true, true);
        while (has_connections || has_callers) && !self.is_finished() {
            let mut is_busy = false;
            let due = self.clock.due(self.machine.deadline());
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            let is_ending = self.ending.as_ref().is_some_and(|ending| !ending.is_done);
            let end_due = self.ending.as_ref().and_then(Ending::deadline);
            if end_due.is_some_and(|due| due != end.deadline()) {
                end.as_mut().reset(end_due.unwrap_or_else(Instant::now));
            }
            tokio::select! {
                count = inbox.recv_many(&mut batch, BATCH), if has_connections => {
                    if count == 0 {
                        has_connections = false;
                        self.callers = None;
                    }
                    self.handle_commands(&mut batch);
                    is_busy = count == BATCH;
                }
                count = calls.recv_many(&mut called, BATCH), if has_callers => {
                    has_callers = count > 0;
                    is_busy = count == BATCH;
                    let behind = calls.len() + called.len();
                    for (handled, call) in called.drain(..).enumerate() {
                        self.handle_call(call, inbox.len(), behind - handled - 1);
                    }
                }
                Some(wire) = self.stalled.next() => self.go_on(wire),
                () = &mut timer => {
                    self.catch_up(due, &mut inbox, &mut batch).await;
                    let now = self.clock.reached(self.machine.deadline());
                    self.machine.handle_input(now, ServerInput::Timeout);
                }
                () = tracker.wait(), if is_ending => self.connections_ended(),
                () = &mut end, if end_due.is_some() => self.out_of_time(),
            }
            self.flush(None);
            if is_busy {
                // There is more to do. Let the other tasks have a turn first.
                yield_now().await;
            }
        }
        self.finish();
    }

    /// Gives the machine what has arrived before it gets a timeout. If the timer is late, the
    /// process or this task did not run for a while, and perhaps the readers did not either. Then
    /// they get some time to catch up.
    async fn catch_up(
        &mut self,
        due: Instant,
        inbox: &mut mpsc::Receiver<Command>,
        batch: &mut Vec<Command>,
    ) {
        let is_late = due.elapsed() > LATE;
        if is_late {
            add(&mut self.stats.late_timers, 1);
            #[cfg(feature = "tracing")]
            trace::late(due.elapsed());
        }
        let quiet = if is_late { QUIET } else { Duration::ZERO };
        let end = Instant::now() + CATCH_UP;
        while Instant::now() < end {
            // Lets the runtime poll the sockets and the readers read.
            yield_now().await;
            let silence = end.min(Instant::now() + quiet);
            let Ok(1..) = timeout_at(silence, inbox.recv_many(batch, BATCH)).await else { return };
            self.handle_commands(batch);
            self.flush(None);
        }
    }

    /// Handles a call behind which so many commands and calls wait.
    fn handle_call(&mut self, call: Call<M>, commands: usize, calls: usize) {
        let now = self.clock.now();
        match call {
            Call::With(job) => {
                job(&mut self.machine, now);
                // Before the next one, so that it does not find a longer queue than it has to.
                self.flush(None);
            }
            Call::CloseConnections(answer) => self.ending(now).waiting.push(answer),
            Call::End(job) => {
                let ending = self.ending(now);
                ending.last.push(job);
                if ending.is_done {
                    ending.deadline = Instant::now() + SETTLE;
                }
            }
            Call::Stats(answer) => drop(answer.send(self.stats(commands, calls))),
        }
        if let Some(ending) = self.ending.as_mut().filter(|ending| ending.is_done) {
            ending.answer();
        }
    }

    fn stats(&self, commands_waiting: usize, calls_waiting: usize) -> DriverStats {
        let is_websocket = |wire: &&Wire| matches!(wire, Wire::WebSocket(_));
        let websockets = self.wires.values().filter(is_websocket).count();
        DriverStats {
            exchanges: self.wires.len().saturating_sub(websockets),
            websockets,
            websockets_paused: self.stalled.len(),
            commands_waiting,
            calls_waiting,
            ..self.stats
        }
    }

    /// Makes all connections end, unless that has begun.
    fn ending(&mut self, now: Timestamp) -> &mut Ending<M> {
        self.ending.get_or_insert_with(|| {
            #[cfg(feature = "tracing")]
            trace::closing();
            self.open = None;
            self.tracker.close();
            self.machine.close_connections(now);
            Ending::new(Instant::now() + CONNECTIONS_END)
        })
    }

    fn connections_ended(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.is_done = true;
            ending.deadline = Instant::now() + SETTLE;
            ending.answer();
        }
    }

    fn out_of_time(&mut self) {
        match &mut self.ending {
            Some(ending) if ending.is_done => ending.is_overdue = true,
            _ => self.connections_ended(),
        }
    }

    fn is_finished(&self) -> bool {
        let Some(ending) = &self.ending else { return false };
        let is_due = ending.is_done && !ending.last.is_empty();
        is_due && (ending.is_overdue || self.machine.is_settled())
    }

    fn finish(mut self) {
        #[cfg(feature = "tracing")]
        trace::ended();
        let now = self.clock.now();
        for job in self.ending.take().map(|ending| ending.last).unwrap_or_default() {
            job(&mut self.machine, now);
        }
    }

    fn handle_commands(&mut self, batch: &mut Vec<Command>) {
        let now = self.clock.now();
        for command in batch.drain(..) {
            self.handle_command(now, command);
        }
    }

    fn handle_command(&mut self, now: Timestamp, command: Command) {
        // A client that connects now is dropped without a response. It can try the next process.
        if self.ending.is_some() && command.is_new() {
            return;
        }
        match command {
            Command::Request { wire, parts, answer } => {
                self.wires.insert(wire, Wire::Exchange(answer));
                let head = request_head(&parts, false);
                let body = None;
                self.machine.handle_input(now, ServerInput::Request { wire, head, body });
                self.flush(Some(&parts));
            }
            Command::Body { wire, body } => {
                add(&mut self.stats.bytes_received, body.len());
                self.machine.handle_input(now, ServerInput::Body { wire, body });
            }
            Command::Verify { parts, request, answer } => {
                let head = request_head(&parts, true);
                answer.send(self.machine.verify_websocket(now, &head, &request)).ok();
            }
            Command::WebSocket { wire, parts, peer } => {
                self.wires.insert(wire, Wire::WebSocket(peer));
                let head = request_head(&parts, true);
                self.machine.handle_input(now, ServerInput::WebSocketOpened { wire, head });
                self.flush(Some(&parts));
            }
            Command::Frame { wire, frame } => {
                add(&mut self.stats.bytes_received, frame.len());
                self.machine.handle_input(now, ServerInput::Frame { wire, frame });
            }
            Command::ControlFrame { wire } => {
                self.machine.handle_input(now, ServerInput::ControlFrame { wire });
            }
            Command::CloseFrame { wire } => {
                self.machine.handle_input(now, ServerInput::CloseFrame { wire });
            }
            Command::Reply { wire, bytes } => {
                self.output = bytes;
                self.write(wire);
            }
            Command::Lost { wire, mut last } => {
                if let Some(Wire::WebSocket(peer)) = self.lose(wire) {
                    peer.close_with(&mut last);
                }
            }
        }
    }

    /// Carries out all outputs of the machine. The frames for one WebSocket come one after another,
    /// and are written together.
    fn flush(&mut self, request: Option<&Arc<Parts>>) {
        let now = self.clock.now();
        let mut current = None;
        loop {
            let outgoing = self.machine.poll_outgoing(now, request);
            let wire = outgoing.as_ref().map(Outgoing::wire);
            if wire != current || self.output.len() > MUCH {
                if let Some(previous) = current.filter(|_| !self.output.is_empty()) {
                    self.write(previous);
                }
                current = wire;
            }
            match outgoing {
                Some(Outgoing::Respond { wire, response }) => {
                    if let Some(Wire::Exchange(answer)) = self.wires.remove(&wire) {
                        add(&mut self.stats.bytes_sent, response.body.len());
                        answer.send(response).ok();
                    }
                }
                Some(Outgoing::Send { frame, .. }) => write_message(&mut self.output, frame),
                Some(Outgoing::Close { wire, code }) => {
                    self.write(wire);
                    // Dropping an exchange drops its connection.
                    if let Some(Wire::WebSocket(peer)) = self.wires.remove(&wire) {
                        peer.close(code);
                    }
                }
                None => return,
            }
        }
    }

    /// Writes the collected frames to a WebSocket.
    fn write(&mut self, wire: WireId) {
        let Some(Wire::WebSocket(peer)) = self.wires.get_mut(&wire) else {
            self.output.clear();
            return;
        };
        add(&mut self.stats.bytes_sent, self.output.len());
        match peer.write(&mut self.output) {
            Written::Done => {}
            Written::Stalled => {
                #[cfg(feature = "tracing")]
                trace::stalled(wire);
                self.stalled.push(Box::pin(peer.wait(wire)));
                self.machine.pause(wire);
            }
            Written::Broken => drop(self.lose(wire)),
        }
    }

    /// The stream of a paused WebSocket takes bytes again, or the peer is gone.
    fn go_on(&mut self, wire: WireId) {
        let Some(Wire::WebSocket(peer)) = self.wires.get_mut(&wire) else {
            return;
        };
        match peer.write_rest() {
            Written::Done => self.machine.resume(self.clock.now(), wire),
            Written::Stalled => self.stalled.push(Box::pin(peer.wait(wire))),
            Written::Broken => drop(self.lose(wire)),
        }
    }

    /// Reports a wire as lost. Its task is not told of it, except by what is returned.
    fn lose(&mut self, wire: WireId) -> Option<Wire> {
        let lost = self.wires.remove(&wire)?;
        add(&mut self.stats.wires_lost, 1);
        #[cfg(feature = "tracing")]
        trace::lost(wire);
        let now = self.clock.now();
        self.machine.handle_input(now, ServerInput::WireClosed { wire });
        Some(lost)
    }
}
