//! A Socket.IO server on a hand-written event loop: one thread, one poll, no async runtime.
//!
//! ```sh
//! cargo run --release --example event_loop -- --port 3001
//! ```
//!
//! It listens on 127.0.0.1; port 0 lets the system choose one. `RECOVERY_MS`, `PING_INTERVAL` and
//! `PING_TIMEOUT` (milliseconds) in the environment override the defaults of the library. Ctrl-C
//! ends it as the system does by default: connections are cut.
//!
//! Who does what:
//!
//! ```text
//!   main       poll, accept, timers, and who gets its turn
//!   conn       one TCP connection: exchange after exchange, or a WebSocket; its deadlines
//!   http       heads of requests, responses          ┐
//!   websocket  messages (tungstenite)                ├ in memory
//!   buffers    bytes between them and the stream     ┘
//!   app        what the server does with events
//! ```
//!
//! The core fits in by three calls: `handle_input` for whatever comes in, `poll_output` until
//! nothing is left to do, and `deadline` for how long to sleep.

mod app;
mod buffers;
mod conn;
mod http;
mod websocket;

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    io::{self, Write as _},
    mem,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant, SystemTime, SystemTimeError, UNIX_EPOCH},
};

use conn::{Connection, Incoming};
use http::Request;
use mio::{
    Events, Interest, Poll, Token,
    event::Event,
    net::{TcpListener, TcpStream},
};
use slab::Slab;
use socketio_proto::{
    Timestamp, WireId,
    server::{Input, Output},
};

/// Where the server answers.
const PATH: &str = "/socket.io/";
const LISTENER: Token = Token(usize::MAX);
/// TCP connections at a time. One more is closed at once.
const MAX_CONNECTIONS: usize = 10_000;
/// Things that a connection may bring in before it is the next one's turn.
const TURN: usize = 16;
/// Time until the next attempt when the system has no resources for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    let port = port_of(env::args().skip(1))?;
    let settings = app::Settings {
        max_disconnection: millis_of("RECOVERY_MS", 120_000)?,
        ping_interval: millis_of("PING_INTERVAL", 25_000)?,
        ping_timeout: millis_of("PING_TIMEOUT", 20_000)?,
    };
    let mut event_loop = EventLoop::new(port, settings)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening {}", event_loop.listener.local_addr()?.port())?;
    stdout.flush()?;
    event_loop.run()
}

fn port_of(mut args: impl Iterator<Item = String>) -> Result<u16, Box<dyn Error>> {
    let mut port = 3001;
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--port", Some(value)) => port = value.parse()?,
            _ => return Err("usage: event_loop [--port PORT]".into()),
        }
    }
    Ok(port)
}

fn millis_of(name: &str, default: u64) -> Result<Duration, Box<dyn Error>> {
    let millis = env::var(name).map_or(Ok(default), |value| value.parse())?;
    Ok(Duration::from_millis(millis))
}

/// Everything: the core, the sockets and the time.
struct EventLoop {
    server: app::Server,
    poll: Poll,
    listener: TcpListener,
    /// When to accept, unless there is nothing to be accepted.
    accept_at: Option<Timestamp>,
    connections: Slab<Slot>,
    /// Connections that are to have a turn.
    turns: BTreeSet<usize>,
    timers: BTreeSet<(Timestamp, usize)>,
    wires: u64,
    clock: Clock,
    /// The time of this round.
    now: Timestamp,
}

struct Slot {
    connection: Connection,
    /// Its entry in the timers.
    armed: Option<Timestamp>,
}

impl EventLoop {
    fn new(port: u16, settings: app::Settings) -> Result<Self, Box<dyn Error>> {
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let clock = Clock::new()?;
        Ok(Self {
            server: app::new_server(settings)?,
            poll,
            listener,
            accept_at: None,
            connections: Slab::new(),
            turns: BTreeSet::new(),
            timers: BTreeSet::new(),
            wires: 0,
            now: clock.now(),
            clock,
        })
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.time_to_sleep()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                Ok(()) | Err(_) => {}
            }
            self.now = self.clock.now();
            for event in &events {
                self.handle_readiness(event);
            }
            self.handle_deadlines();
            // Who gets another turn meanwhile has it after the next poll.
            for index in mem::take(&mut self.turns) {
                self.serve(index);
            }
        }
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        if !self.turns.is_empty() {
            return Some(Duration::ZERO);
        }
        let timer = self.timers.first().map(|(deadline, _)| *deadline);
        let deadline = [self.server.deadline(), timer, self.accept_at].into_iter().flatten().min();
        deadline.map(|deadline| deadline.saturating_since(self.clock.now()))
    }

    fn handle_readiness(&mut self, event: &Event) {
        if event.token() == LISTENER {
            self.accept_at = Some(self.now);
            return;
        }
        // It may be news of a stream that is gone, for the next one with its number: harmless.
        let Token(index) = event.token();
        if let Some(slot) = self.connections.get_mut(index) {
            slot.connection.handle_readiness(event);
            self.turns.insert(index);
        }
    }

    fn handle_deadlines(&mut self) {
        if self.accept_at.is_some_and(|at| at <= self.now) {
            self.accept();
        }
        if self.server.deadline().is_some_and(|at| at <= self.now) {
            self.server.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        while let Some(timer) = self.timers.first().copied().filter(|(at, _)| *at <= self.now) {
            self.timers.remove(&timer);
            let (_, index) = timer;
            if let Some(slot) = self.connections.get_mut(index) {
                slot.armed = None;
                slot.connection.handle_timeout(self.now);
                self.turns.insert(index);
            }
        }
    }

    fn accept(&mut self) {
        self.accept_at = None;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.adopt(stream),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // Too many open files, for example. The poll will not tell again.
                    _ => {
                        self.accept_at = Some(self.now.saturating_add(ACCEPT_PAUSE));
                        return;
                    }
                },
            }
        }
    }

    fn adopt(&mut self, mut stream: TcpStream) {
        if self.connections.len() >= MAX_CONNECTIONS {
            return;
        }
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(index), interest);
        // Packets are whole when they are written: waiting for more to send only delays them.
        if registered.and_then(|()| stream.set_nodelay(true)).is_ok() {
            entry.insert(Slot { connection: Connection::new(self.now, stream), armed: None });
            self.turns.insert(index);
        }
    }

    /// Gives a connection its turn.
    fn serve(&mut self, index: usize) {
        let is_quiet = (0..TURN).any(|_| !self.step(index));
        if !is_quiet {
            self.turns.insert(index);
        }
        self.settle(index);
    }

    /// Takes one thing from a connection. Returns false if there was none.
    fn step(&mut self, index: usize) -> bool {
        let incoming =
            self.connections.get_mut(index).map(|slot| slot.connection.advance(self.now));
        match incoming.flatten() {
            Some(Incoming::Request(request)) => self.handle_request(index, &request),
            Some(Incoming::Input(input)) => self.server.handle_input(self.now, input),
            None => return false,
        }
        self.drain();
        true
    }

    fn handle_request(&mut self, index: usize, request: &Request) {
        let wire = self.name_wire(index);
        let Some(slot) = self.connections.get_mut(index) else { return };
        let (connection, now) = (&mut slot.connection, self.now);
        let (path, head) = request.split();
        if path != PATH {
            connection.refuse(now, 404);
            return;
        }
        let Some(key) = &request.websocket_key else {
            connection.begin(now, wire, request);
            self.server.handle_input(now, Input::Request { wire, head, body: None });
            return;
        };
        match self.server.verify(&head) {
            Ok(_) => {
                connection.upgrade(wire, key);
                self.server.handle_input(now, Input::WebSocketOpened { wire, head });
            }
            Err(refusal) => {
                connection.begin(now, wire, request);
                connection.respond(now, &refusal.response(true));
            }
        }
    }

    /// Does what the core wants done, until it wants nothing.
    fn drain(&mut self) {
        let now = self.now;
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Event(event) => app::handle_event(&mut self.server, now, event),
                Output::Respond { wire, response } => {
                    self.with_wire(wire, |connection| connection.respond(now, &response));
                }
                Output::Send { wire, frame } => {
                    self.with_wire(wire, |connection| connection.send(now, frame));
                }
                Output::Close { wire, code } => {
                    self.with_wire(wire, |connection| connection.finish(now, code));
                }
            }
        }
    }

    fn with_wire(&mut self, wire: WireId, f: impl FnOnce(&mut Connection)) {
        let index = index_of(wire);
        let slot = self.connections.get_mut(index);
        if let Some(slot) = slot.filter(|slot| slot.connection.has_wire(wire)) {
            f(&mut slot.connection);
            if let Some((wire, true)) = slot.connection.take_congestion() {
                self.server.pause(wire);
            }
            self.turns.insert(index);
        }
    }

    /// Sees to what a connection needs next.
    fn settle(&mut self, index: usize) {
        let Some(slot) = self.connections.get_mut(index) else { return };
        if let Some(deadline) = slot.armed.take() {
            self.timers.remove(&(deadline, index));
        }
        if slot.connection.is_gone() {
            self.connections.remove(index);
            return;
        }
        slot.armed = slot.connection.deadline();
        self.timers.extend(slot.armed.map(|deadline| (deadline, index)));
        if slot.connection.is_ready() {
            self.turns.insert(index);
        }
        if let Some((wire, false)) = slot.connection.take_congestion() {
            self.server.resume(wire);
            self.drain();
        }
    }

    /// Numbers are never used twice, so news of a wire that is finished meets nobody.
    fn name_wire(&mut self, index: usize) -> WireId {
        self.wires += 1;
        WireId(self.wires * MAX_CONNECTIONS as u64 + index as u64)
    }
}

/// Which connection a wire is on.
fn index_of(wire: WireId) -> usize {
    usize::try_from(wire.0 % MAX_CONNECTIONS as u64).unwrap_or(usize::MAX)
}

/// The one place that looks at a clock.
struct Clock {
    start: Instant,
    origin: Timestamp,
}

#[expect(clippy::disallowed_methods, reason = "the clock belongs to the embedder, and here it is")]
impl Clock {
    fn new() -> Result<Self, SystemTimeError> {
        let origin = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self { start: Instant::now(), origin: Timestamp::ZERO.saturating_add(origin) })
    }

    fn now(&self) -> Timestamp {
        self.origin.saturating_add(self.start.elapsed())
    }
}
