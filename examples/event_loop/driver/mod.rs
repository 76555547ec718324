//! Drives the sans-IO server with mio: one thread, one poll, no async runtime.
//!
//! The parts:
//!
//! ```text
//!   mod        poll, accept, timers, and who gets its turn
//!   machine    what is driven: a server with its application
//!   conn       one TCP connection: exchange after exchange, or a WebSocket; its deadlines
//!   http       heads of requests, responses          ┐
//!   (socketio-proto-websocket: messages)             ├ in memory
//!   buffers    bytes between them and the stream     ┘
//!   handle     the way to a loop from other threads
//! ```
//!
//! Each round takes in whatever has arrived on all connections, then tells who is late, and then
//! carries out what the machine wants, wire after wire: however many frames there are for a
//! WebSocket, one `write` takes them.
//!
//! The time of a round is taken before its last look at the sockets. So what has arrived by then
//! counts before its sender is judged, also if the process did not run for a while.

#![allow(dead_code, unused_imports, reason = "each program that includes it uses a part")]

pub mod buffers;
mod clock;
pub mod conn;
mod handle;
pub mod http;
mod listen;
mod machine;

pub use self::{
    handle::{Arrival, Handle},
    listen::listen,
    machine::{Hosted, Machine, Outgoing},
};

use std::{collections::BTreeSet, error::Error, io, mem, time::Duration};

use bytes::BytesMut;
use mio::{Events, Interest, Poll, Token, Waker, event::Event, net::TcpListener};
use slab::Slab;
use socketio_proto::{Timestamp, WireId, engine::Cors, server::ServerInput};

use self::{
    buffers::{Buffers, Chunk},
    clock::Clock,
    conn::{Connection, Incoming},
    http::Request,
};

/// Where the server answers.
const PATH: &str = "/socket.io/";
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// TCP connections at a time. One more is closed at once.
const MAX_CONNECTIONS: usize = 100_000;
/// Things that a connection may bring in before it is the next one's turn.
const TURN: usize = 16;
/// News that the poll brings at a time.
const EVENTS: usize = 1024;
/// Looks at the poll that suffice for news of every connection.
const LOOKS: usize = MAX_CONNECTIONS / EVENTS + 1;
/// Time until the next attempt when the system has no resources for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything: the machine, the sockets and the time.
pub struct EventLoop<M> {
    machine: M,
    max_payload: usize,
    cors: Option<Cors>,
    poll: Poll,
    listener: Option<TcpListener>,
    /// When to accept, unless there is nothing to be accepted.
    accept_at: Option<Timestamp>,
    handle: Handle,
    others: Vec<Handle>,
    connections: Slab<Slot>,
    /// Connections that are to have a turn, each once.
    turns: Vec<usize>,
    timers: BTreeSet<(Timestamp, usize)>,
    wires: u64,
    spare: Buffers,
    chunk: Chunk,
    clock: Clock,
    /// The time of this round.
    now: Timestamp,
}

struct Slot {
    connection: Connection,
    has_turn: bool,
    /// Its entry in the timers.
    armed: Option<Timestamp>,
}

impl<M: Machine> EventLoop<M> {
    /// A loop that accepts connections, if there is a listener, and those that its
    /// [`Handle`] brings. `max_payload` is that of the machine.
    ///
    /// # Errors
    ///
    /// If the system does not provide what is needed.
    pub fn new(
        machine: M,
        max_payload: usize,
        mut listener: Option<TcpListener>,
    ) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, LISTENER, Interest::READABLE)?;
        }
        let clock = Clock::new()?;
        Ok(Self {
            machine,
            max_payload,
            cors: None,
            handle: Handle::new(Waker::new(poll.registry(), WAKER)?),
            poll,
            listener,
            accept_at: None,
            others: Vec::new(),
            connections: Slab::new(),
            turns: Vec::new(),
            timers: BTreeSet::new(),
            wires: 0,
            spare: Buffers::default(),
            chunk: Chunk::default(),
            now: clock.now(),
            clock,
        })
    }

    /// The way to this loop from other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Says where [`Machine::other_loop`] sends requests.
    pub fn set_others(&mut self, others: Vec<Handle>) {
        self.others = others;
    }

    /// Lets pages of other origins read answers. By default none may.
    pub fn set_cors(&mut self, cors: Cors) {
        self.cors = Some(cors);
    }

    /// Runs until the poll fails.
    ///
    /// # Errors
    ///
    /// Why it has failed.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.look(&mut events, self.time_to_sleep())?;
            self.now = self.clock.now();
            if self.is_due() {
                // The clock may have been read long after the sockets were looked at.
                let mut looks = 0..LOOKS;
                while looks.next().is_some() && self.look(&mut events, Some(Duration::ZERO))? {}
            }
            if self.accept_at.is_some_and(|at| at <= self.now) {
                self.accept();
            }
            // A connection that needs another turn meanwhile gets it after the next poll.
            let mut turns = mem::take(&mut self.turns);
            for index in turns.drain(..) {
                self.serve(index);
            }
            self.handle_deadlines();
            self.drain();
            if self.turns.is_empty() {
                self.turns = turns;
            }
        }
    }

    /// Waits for news and takes it. Returns whether there may be more.
    fn look(&mut self, events: &mut Events, time: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(events, time) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for event in events.iter() {
            self.handle_readiness(event);
        }
        Ok(events.iter().count() >= EVENTS)
    }

    fn is_due(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= self.now)
    }

    fn deadline(&self) -> Option<Timestamp> {
        let timer = self.timers.first().map(|(deadline, _)| *deadline);
        [self.machine.deadline(), timer, self.accept_at].into_iter().flatten().min()
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        if !self.turns.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.deadline();
        deadline.map(|deadline| deadline.saturating_since(self.clock.now()))
    }

    fn handle_readiness(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept_at = Some(self.now),
            WAKER => {
                self.machine.handle_wake(self.now);
                for arrival in self.handle.take() {
                    self.adopt(arrival);
                }
            }
            // It may be news of a stream that is gone, for the next one with its number: harmless.
            Token(index) => {
                if let Some(slot) = self.connections.get_mut(index) {
                    slot.connection.handle_readiness(event);
                    self.give_turn(index);
                }
            }
        }
    }

    fn handle_deadlines(&mut self) {
        if self.machine.deadline().is_some_and(|at| at <= self.now) {
            self.machine.handle_input(self.now, ServerInput::Timeout);
        }
        while let Some(timer) = self.timers.first().copied().filter(|(at, _)| *at <= self.now) {
            self.timers.remove(&timer);
            let (_, index) = timer;
            if let Some(slot) = self.connections.get_mut(index) {
                slot.armed = None;
                slot.connection.handle_timeout(self.now);
                self.give_turn(index);
            }
        }
    }

    fn accept(&mut self) {
        self.accept_at = None;
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok((stream, _)) => {
                    self.adopt(Arrival { stream, input: BytesMut::new(), request: None });
                }
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

    fn adopt(&mut self, arrival: Arrival) {
        let Arrival { mut stream, input, request } = arrival;
        if self.connections.len() >= MAX_CONNECTIONS {
            return;
        }
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(index), interest);
        // Packets are whole when they are written: waiting for more to send only delays them.
        if registered.and_then(|()| stream.set_nodelay(true)).is_ok() {
            let connection = Connection::new(self.now, stream, input);
            entry.insert(Slot { connection, has_turn: false, armed: None });
            self.give_turn(index);
            if let Some(request) = request {
                self.handle_request(index, request);
            }
        }
    }

    fn give_turn(&mut self, index: usize) {
        if let Some(slot) = self.connections.get_mut(index)
            && !slot.has_turn
        {
            slot.has_turn = true;
            self.turns.push(index);
        }
    }

    /// Gives a connection its turn: hands what it brings to the machine.
    fn serve(&mut self, index: usize) {
        let Some(slot) = self.connections.get_mut(index) else { return };
        slot.has_turn = false;
        slot.connection.borrow(&mut self.spare);
        let is_quiet = (0..TURN).any(|_| !self.step(index));
        if !is_quiet {
            self.give_turn(index);
        }
        self.settle(index);
    }

    /// Takes one thing from a connection. Returns false if there was none.
    fn step(&mut self, index: usize) -> bool {
        let Some(slot) = self.connections.get_mut(index) else { return false };
        match slot.connection.advance(self.now, &mut self.chunk) {
            Some(Incoming::Request(request)) => self.handle_request(index, request),
            Some(Incoming::Input(input)) => self.machine.handle_input(self.now, input),
            None => return false,
        }
        true
    }

    fn handle_request(&mut self, index: usize, mut request: Request) {
        let is_preflight = self.cors.as_ref().is_some_and(|cors| request.apply(cors));
        let (path, head) = request.split();
        let other = self.machine.other_loop(&head).filter(|_| path == PATH);
        if let Some(other) = other.and_then(|other| self.others.get(other)).cloned() {
            self.hand_over(index, request, &other);
            return;
        }
        let wire = self.name_wire(index);
        let Some(slot) = self.connections.get_mut(index) else { return };
        let (connection, now) = (&mut slot.connection, self.now);
        if path != PATH {
            connection.refuse(404);
            return;
        }
        if is_preflight {
            connection.answer_preflight(&request);
            return;
        }
        let Some(websocket) = &request.websocket else {
            connection.begin(now, wire, &request, self.max_payload);
            self.machine.handle_input(now, ServerInput::Request { wire, head, body: None });
            return;
        };
        match self.machine.verify_websocket(now, &head, websocket) {
            Ok(switching) => {
                connection.upgrade(wire, &switching, self.max_payload);
                self.machine.handle_input(now, ServerInput::WebSocketOpened { wire, head });
            }
            Err(refusal) => {
                connection.begin(now, wire, &request, self.max_payload);
                connection.respond(&refusal.response(true));
            }
        }
    }

    /// Moves a connection to the loop that has the session of its request.
    fn hand_over(&mut self, index: usize, request: Request, other: &Handle) {
        let slot = self.connections.remove(index);
        if let Some(deadline) = slot.armed {
            self.timers.remove(&(deadline, index));
        }
        let (mut stream, input) = slot.connection.into_parts();
        // If one of the two fails the connection is dropped, and the client has to come again.
        if self.poll.registry().deregister(&mut stream).is_ok() {
            other.send(Arrival { stream, input, request: Some(request) }).ok();
        }
    }

    /// Does what the machine wants done, until it wants nothing. What there is for one wire comes
    /// without a break.
    fn drain(&mut self) {
        let mut current = None;
        loop {
            let Some((wire, outgoing)) = self.machine.poll_outgoing(self.now) else {
                let Some(index) = current.take() else { return };
                self.settle(index);
                continue;
            };
            let index = index_of(wire);
            if let Some(last) = current.replace(index).filter(|last| *last != index) {
                self.settle(last);
            }
            let Some(slot) = self.connections.get_mut(index) else { continue };
            if slot.connection.has_wire(wire) {
                slot.connection.borrow(&mut self.spare);
                slot.connection.carry_out(self.now, outgoing);
                if slot.connection.has_much() {
                    self.settle(index);
                }
            }
        }
    }

    /// Writes, and schedules what a connection needs next.
    fn settle(&mut self, index: usize) {
        let Some(slot) = self.connections.get_mut(index) else { return };
        slot.connection.write(self.now);
        slot.connection.give_back(&mut self.spare);
        let is_gone = slot.connection.is_gone();
        let deadline = slot.connection.deadline().filter(|_| !is_gone);
        if slot.armed != deadline {
            self.timers.extend(deadline.map(|deadline| (deadline, index)));
            if let Some(earlier) = mem::replace(&mut slot.armed, deadline) {
                self.timers.remove(&(earlier, index));
            }
        }
        if is_gone {
            self.connections.remove(index);
            return;
        }
        let congestion = slot.connection.take_congestion();
        if slot.connection.is_ready() {
            self.give_turn(index);
        }
        match congestion {
            Some((wire, true)) => self.machine.pause(wire),
            Some((wire, false)) => self.machine.resume(self.now, wire),
            None => {}
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
