//! Drives the sans-IO client with tokio: sockets, HTTP, WebSocket frames, the clock.
//!
//! ```text
//!                        ┌─ one task per exchange ── hyper ───────┐
//!   Driver ── outputs ──►┤                                        ├── Report (bounded) ──► Driver
//!     one Client         └─ one task per WebSocket ── tungstenite ┘
//!     one timer
//! ```

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use socketio_proto::{
    Timestamp, WireId,
    client::{Client, ClientEvent, ClientOutput, ClientSnapshot},
    engine::{ClientInput, EngineClientOutput, Frame},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet, yield_now},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Options, OptionsError, WireError,
    clock::Clock,
    http::Http,
    report::{INBOX, Report, Reports},
    requests::Requests,
    websocket::{self, LINGER},
};

/// The most frames that wait for a WebSocket. Beyond it, the client keeps frames in its bounded queue.
const FRAMES: usize = 32;
/// The longest time that a timer is set for.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// A client and its wires, without a task of its own: the caller of [`next`](Self::next) owns it.
///
/// Between two calls only the tasks of the wires run, and they wait once the client has enough to do. Use
/// [`connect`](crate::connect) for a client that runs by itself.
///
/// Dropping the driver breaks its wires, as a lost network does. So the server keeps the sessions.
///
/// ```no_run
/// use socketio_proto::client::{Auth, ClientEvent};
/// use socketio_proto_tokio_client::{Driver, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut driver = Driver::new("http://localhost:3000", Options::new())?;
/// driver.client(|client, now| client.connect(now, "/", Auth::None))?;
/// loop {
///     match driver.next().await {
///         ClientEvent::Received { event, .. } => println!("{event:?}"),
///         ClientEvent::ConnectionClosed { reason, .. } => println!("{reason}: {:?}", driver.cause()),
///         _ => {}
///     }
/// }
/// # }
/// ```
pub struct Driver {
    client: Client,
    clock: Clock,
    requests: Arc<Requests>,
    http: Http,
    wires: BTreeMap<WireId, Wire>,
    tasks: JoinSet<()>,
    reports: Reports,
    inbox: mpsc::Receiver<Report>,
    /// Paused WebSockets. Each resumes when half of its waiting frames are written.
    stalled: FuturesUnordered<Pin<Box<dyn Future<Output = WireId> + Send>>>,
    is_online: bool,
    /// The last failure of a wire of this connection.
    failure: Option<Arc<WireError>>,
    /// The failure that the last event follows from.
    cause: Option<Arc<WireError>>,
}

struct Wire {
    task: AbortHandle,
    /// The frames for a WebSocket. Dropping it closes the WebSocket after the frames that were sent.
    frames: Option<mpsc::Sender<Frame>>,
}

impl Driver {
    /// Makes a client for the server at a URL: `http`, `https`, `ws` or `wss`. It opens no connection before
    /// a namespace is joined. The path of the URL is ignored; [`connect`](crate::connect) takes it for
    /// the name of a namespace. Parameters in the URL are added to each request.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] if the URL or a setting cannot be used.
    ///
    /// ```
    /// use socketio_proto_tokio_client::{Driver, Options};
    ///
    /// let driver = Driver::new("https://example.com/admin", Options::new())?;
    /// assert_eq!(driver.namespace(), "/admin");
    /// assert!(Driver::new("example.com", Options::new()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(url: &str, options: Options) -> Result<Self, OptionsError> {
        let (client, requests) = options.build(url)?;
        let (reports, inbox) = Reports::new();
        let requests = Arc::new(requests);
        Ok(Self {
            client,
            clock: Clock::start(),
            http: Http::new(requests.clone()),
            requests,
            wires: BTreeMap::new(),
            tasks: JoinSet::new(),
            reports,
            inbox,
            stalled: FuturesUnordered::new(),
            is_online: true,
            failure: None,
            cause: None,
        })
    }

    /// Calls a verb of the client with the current time.
    ///
    /// ```
    /// use socketio_proto::{client::Auth, socket::Event};
    /// use socketio_proto_tokio_client::{Driver, Options};
    ///
    /// let mut driver = Driver::new("http://localhost:3000", Options::new())?;
    /// driver.client(|client, now| client.connect(now, "/", Auth::None))?;
    /// let hello = Event::new("hello", &("world",))?;
    /// driver.client(|client, now| client.emit(now, "/", &hello))?;
    /// assert_eq!(driver.client(|client, _| client.buffered("/").count()), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client<R>(&mut self, verb: impl FnOnce(&mut Client, Timestamp) -> R) -> R {
        verb(&mut self.client, self.clock.now())
    }

    /// Returns the path of the URL, which names a namespace. [`new`](Self::new) has an example.
    pub fn namespace(&self) -> &str {
        self.requests.target.namespace()
    }

    /// Carries out what the client wants, until it has an event for the application. The future can be
    /// dropped at any time without losing anything. [`Driver`] has an example.
    pub async fn next(&mut self) -> ClientEvent {
        loop {
            if let Some(event) = self.flush() {
                return event;
            }
            let due = self.due();
            tokio::select! {
                Some(report) = self.inbox.recv() => self.handle_report(report),
                Some(wire) = self.stalled.next() => self.client.resume(self.clock.now(), wire),
                Some(_) = self.tasks.join_next() => {}
                () = sleep_until(due) => self.handle_timer().await,
            }
        }
    }

    /// Returns why the last event came: the request or the WebSocket that failed. `None` unless the event
    /// is [`TransportFailed`](ClientEvent::TransportFailed), [`UpgradeFailed`](ClientEvent::UpgradeFailed) or
    /// [`ConnectionClosed`](ClientEvent::ConnectionClosed), or if nothing failed: for example, after a ping
    /// timeout. [`Driver`] has an example.
    pub fn cause(&self) -> Option<&Arc<WireError>> {
        self.cause.as_ref()
    }

    /// Breaks every wire without telling the server, as a network failure does. The client reconnects as
    /// after any other loss. Use it in tests.
    ///
    /// ```
    /// use socketio_proto_tokio_client::{Driver, Options};
    ///
    /// let mut driver = Driver::new("http://localhost:3000", Options::new())?;
    /// driver.cut();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cut(&mut self) {
        for (wire, Wire { task, .. }) in std::mem::take(&mut self.wires) {
            task.abort();
            self.lose(wire);
        }
    }

    /// Says whether there is a network. Without a network the wires are broken and no new ones are made.
    /// When it is back, the client reconnects at once. A client is online until this is called.
    ///
    /// ```
    /// # use socketio_proto_tokio_client::Driver;
    /// fn on_network_change(driver: &mut Driver, is_online: bool) {
    ///     driver.set_online(is_online);
    /// }
    /// ```
    pub fn set_online(&mut self, is_online: bool) {
        self.is_online = is_online;
        if is_online {
            self.client.reconnect(self.clock.now());
        } else {
            self.cut();
        }
    }

    /// Closes the connection, if there still is one, and ends: sends what is queued, for five seconds at
    /// most, and passes the last events to `handle`. Returns the snapshot for the next process.
    ///
    /// To the server, the end of a client that was not disconnected before is a lost connection: it
    /// keeps the sessions.
    ///
    /// ```no_run
    /// # async fn example(mut driver: socketio_proto_tokio_client::Driver) {
    /// // Without this, the next process can continue the session with the snapshot.
    /// driver.client(|client, now| client.disconnect(now, "/"));
    /// let snapshot = driver.finish(|event| println!("{event:?}")).await;
    /// # }
    /// ```
    pub async fn finish(mut self, mut handle: impl FnMut(ClientEvent)) -> ClientSnapshot {
        self.client(Client::close);
        let drained = async {
            loop {
                while let Some(event) = self.flush() {
                    handle(event);
                }
                tokio::select! {
                    Some(report) = self.inbox.recv() => self.handle_report(report),
                    Some(wire) = self.stalled.next() => self.client.resume(self.clock.now(), wire),
                    ended = self.tasks.join_next() => if ended.is_none() {
                        return;
                    }
                }
            }
        };
        // Wires that need more time are broken when the driver is dropped.
        timeout(LINGER, drained).await.ok();
        self.client.snapshot()
    }

    /// It is time. What has arrived is handed in before: the process may not have run for a while.
    async fn handle_timer(&mut self) {
        // The tasks of the wires get a turn.
        yield_now().await;
        for _ in 0..INBOX {
            let Ok(report) = self.inbox.try_recv() else { break };
            self.handle_report(report);
        }
        self.client.handle_input(self.clock.now(), ClientInput::Timeout);
    }

    fn due(&self) -> Instant {
        let far = Instant::now() + FAR;
        let deadline = self.client.deadline();
        deadline.and_then(|deadline| self.clock.instant(deadline)).map_or(far, |due| due.min(far))
    }

    fn handle_report(&mut self, Report { input, error, .. }: Report) {
        if let ClientInput::Response { wire, .. }
        | ClientInput::TooLarge { wire }
        | ClientInput::WebSocketClosed { wire, .. }
        | ClientInput::WireClosed { wire } = &input
        {
            let is_awaited = self.wires.remove(wire).is_some();
            if is_awaited && error.is_some() {
                self.failure = error;
            }
        }
        self.client.handle_input(self.clock.now(), input);
    }

    /// There is no network, so a wire is lost.
    fn lose(&mut self, wire: WireId) {
        self.failure = Some(Arc::new(WireError::Offline));
        self.client.handle_input(self.clock.now(), ClientInput::WireClosed { wire });
    }

    /// Carries out all outputs before the next event, and returns it.
    fn flush(&mut self) -> Option<ClientEvent> {
        loop {
            match self.client.poll_output()? {
                ClientOutput::Event(event) => {
                    self.note_event(&event);
                    return Some(event);
                }
                ClientOutput::Wire(output) => self.carry_out(output),
                other => debug_assert!(false, "unknown: {other:?}"),
            }
        }
    }

    /// Finds the failure that an event follows from. An end of the connection comes after all failures of
    /// its wires that matter.
    fn note_event(&mut self, event: &ClientEvent) {
        self.cause = match event {
            ClientEvent::TransportFailed { .. } | ClientEvent::UpgradeFailed => {
                self.failure.clone()
            }
            ClientEvent::ConnectionClosed { .. } => self.failure.take(),
            ClientEvent::ConnectionOpened { .. } => {
                self.failure = None;
                None
            }
            _ => None,
        };
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
                let (requests, reports) = (self.requests.clone(), self.reports.clone());
                let end = async move {
                    websocket::run(&requests, &query, wire, outgoing, &reports).await
                };
                self.start(wire, Some(frames), end);
            }
            EngineClientOutput::Send { wire, frame } => self.send(wire, frame),
            EngineClientOutput::Close { wire } => {
                if let Some(Wire { task, frames: None }) = self.wires.remove(&wire) {
                    task.abort();
                }
            }
            EngineClientOutput::Event(_) => {}
            other => debug_assert!(false, "unknown: {other:?}"),
        }
    }

    /// Starts a wire, whose future ends with its last report.
    fn start(
        &mut self,
        wire: WireId,
        frames: Option<mpsc::Sender<Frame>>,
        wire_task: impl Future<Output = Report> + Send + 'static,
    ) {
        if !self.is_online {
            return self.lose(wire);
        }
        let reports = self.reports.clone();
        let task = self.tasks.spawn(async move {
            reports.send(wire_task.await).await;
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
