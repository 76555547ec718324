//! Drives the sans-IO client with tokio: sockets, HTTP, WebSocket frames, the clock.
//!
//! ```text
//!                        ┌─ one task per exchange ── hyper ───────┐
//!   Driver ── outputs ──►┤                                        ├── ClientInput (bounded) ──► Driver
//!     one Client         └─ one task per WebSocket ── tungstenite ┘
//!     one timer
//! ```
//!
//! The caller of [`Driver::next`] owns the client. Between two calls only the tasks of the links run.
//! Dropping the driver breaks its links.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use socketio_proto::{
    Timestamp, WireId,
    client::{Client, ClientEvent, ClientOutput},
    engine::{ClientInput, EngineClientOutput, Frame},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet, yield_now},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    clock::Clock,
    http::{Http, Site},
    websocket::{self, LINGER},
};

/// The most inputs that wait for the client. Beyond it, links wait.
const INBOX: usize = 64;
/// The most frames that wait for a WebSocket. Beyond it, the client keeps frames in its bounded queue.
const FRAMES: usize = 32;
/// The longest time that a timer is set for.
const FAR: Duration = Duration::from_hours(24);

/// A client and its links.
pub struct Driver {
    client: Client,
    clock: Clock,
    site: Arc<Site>,
    http: Http,
    wires: BTreeMap<WireId, Wire>,
    tasks: JoinSet<()>,
    reports: mpsc::Sender<ClientInput>,
    inbox: mpsc::Receiver<ClientInput>,
    /// Paused WebSockets. Each resumes when half of its waiting frames are written.
    stalled: FuturesUnordered<Pin<Box<dyn Future<Output = WireId> + Send>>>,
    is_online: bool,
}

struct Wire {
    task: AbortHandle,
    /// The frames for a WebSocket. Dropping it closes the WebSocket after the frames that were sent.
    frames: Option<mpsc::Sender<Frame>>,
}

impl Driver {
    /// Wraps a client. Its links are made in [`next`](Self::next).
    pub fn new(client: Client, site: Site) -> Self {
        let (reports, inbox) = mpsc::channel(INBOX);
        let site = Arc::new(site);
        Self {
            client,
            clock: Clock::start(),
            http: Http::new(site.clone()),
            site,
            wires: BTreeMap::new(),
            tasks: JoinSet::new(),
            reports,
            inbox,
            stalled: FuturesUnordered::new(),
            is_online: true,
        }
    }

    /// Calls a verb of the client with the current time.
    pub fn client<R>(&mut self, verb: impl FnOnce(&mut Client, Timestamp) -> R) -> R {
        verb(&mut self.client, self.clock.now())
    }

    /// Carries out what the client wants, until it has an event for the application. The future can be
    /// dropped at any time without losing anything.
    pub async fn next(&mut self) -> ClientEvent {
        loop {
            if let Some(event) = self.flush() {
                return event;
            }
            let due = self.due();
            tokio::select! {
                Some(input) = self.inbox.recv() => self.handle_input(input),
                Some(wire) = self.stalled.next() => self.client.resume(self.clock.now(), wire),
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(due) => self.handle_timer().await,
            }
        }
    }

    /// Breaks every link without telling the server, as a network failure does.
    pub fn cut(&mut self) {
        for (wire, Wire { task, .. }) in std::mem::take(&mut self.wires) {
            task.abort();
            self.handle_input(ClientInput::WireClosed { wire });
        }
    }

    /// Simulates that there is a network, or that there is none. Without a network the links are broken
    /// and no new ones can be made. When it is back, the client reconnects at once.
    pub fn set_online(&mut self, is_online: bool) {
        self.is_online = is_online;
        if is_online {
            self.client.reconnect(self.clock.now());
        } else {
            self.cut();
        }
    }

    /// Sends what is queued after the client was disconnected, and ends.
    pub async fn finish(mut self) {
        let drained = async {
            loop {
                while self.flush().is_some() {}
                tokio::select! {
                    Some(input) = self.inbox.recv() => self.handle_input(input),
                    Some(wire) = self.stalled.next() => self.client.resume(self.clock.now(), wire),
                    ended = self.tasks.join_next() => if ended.is_none() {
                        return;
                    }
                }
            }
        };
        // Links that need more time are broken when the driver is dropped.
        timeout(LINGER, drained).await.ok();
    }

    /// It is time. What has arrived is handed in before: the process may not have run for a while.
    async fn handle_timer(&mut self) {
        // The tasks of the links get a turn.
        yield_now().await;
        for _ in 0..INBOX {
            let Ok(input) = self.inbox.try_recv() else { break };
            self.handle_input(input);
        }
        self.handle_input(ClientInput::Timeout);
    }

    fn due(&self) -> Instant {
        let far = Instant::now() + FAR;
        let deadline = self.client.deadline();
        deadline.and_then(|deadline| self.clock.instant(deadline)).map_or(far, |due| due.min(far))
    }

    fn handle_input(&mut self, input: ClientInput) {
        if let ClientInput::Response { wire, .. }
        | ClientInput::WebSocketClosed { wire, .. }
        | ClientInput::WireClosed { wire } = &input
        {
            self.wires.remove(wire);
        }
        self.client.handle_input(self.clock.now(), input);
    }

    /// Carries out all outputs before the next event, and returns it.
    fn flush(&mut self) -> Option<ClientEvent> {
        loop {
            match self.client.poll_output()? {
                ClientOutput::Event(event) => return Some(event),
                ClientOutput::Wire(output) => self.carry_out(output),
                other => unreachable!("unknown: {other:?}"),
            }
        }
    }

    fn carry_out(&mut self, output: EngineClientOutput) {
        match output {
            EngineClientOutput::Get { wire, query } => {
                self.start(wire, None, self.http.get(wire, &query));
            }
            EngineClientOutput::Post { wire, query, body } => {
                self.start(wire, None, self.http.post(wire, &query, body));
            }
            EngineClientOutput::OpenWebSocket { wire, query } => {
                let (frames, outgoing) = mpsc::channel(FRAMES);
                let (site, reports) = (self.site.clone(), self.reports.clone());
                let end =
                    async move { websocket::run(&site, &query, wire, outgoing, &reports).await };
                self.start(wire, Some(frames), end);
            }
            EngineClientOutput::Send { wire, frame } => self.send(wire, frame),
            EngineClientOutput::Close { wire } => {
                if let Some(Wire { task, frames: None }) = self.wires.remove(&wire) {
                    task.abort();
                }
            }
            EngineClientOutput::Event(_) => {}
            other => unreachable!("unknown: {other:?}"),
        }
    }

    /// Starts a link, whose future ends with the last that there is to report of it.
    fn start(
        &mut self,
        wire: WireId,
        frames: Option<mpsc::Sender<Frame>>,
        link: impl Future<Output = ClientInput> + Send + 'static,
    ) {
        if !self.is_online {
            return self.handle_input(ClientInput::WireClosed { wire });
        }
        let reports = self.reports.clone();
        let task = self.tasks.spawn(async move {
            let end = link.await;
            reports.send(end).await.ok();
        });
        self.wires.insert(wire, Wire { task, frames });
    }

    fn send(&mut self, wire: WireId, frame: Frame) {
        let Some(Wire { frames: Some(frames), .. }) = self.wires.get(&wire) else {
            return;
        };
        // If the task has ended its report is on its way; it is full only if it cannot be paused.
        if frames.try_send(frame).is_ok() && frames.capacity() == 0 {
            let frames = frames.clone();
            self.client.pause(wire);
            self.stalled.push(Box::pin(async move {
                frames.reserve_many(FRAMES / 2).await.ok();
                wire
            }));
        }
    }
}
