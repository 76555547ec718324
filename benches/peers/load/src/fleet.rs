//! All clients of one server, behind one poll.

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::client::{Client, News, Stage};

/// Handshakes at a time.
const HANDSHAKES: usize = 256;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_mins(5);

/// What has happened to all clients together.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub events: u64,
    pub acks: u64,
    pub failures: u64,
}

/// The clients, and one more that controls.
pub struct Fleet {
    poll: Poll,
    events: Events,
    chunk: Vec<u8>,
    port: u16,
    clients: Vec<Client>,
    pub tally: Tally,
    /// Clients that have joined the namespace, or got an acknowledgement, since they were taken.
    joined: Vec<usize>,
    acked: Vec<usize>,
    next_id: u32,
}

impl Fleet {
    /// Connects the client that controls.
    pub fn new(port: u16, clients: usize) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            chunk: vec![0; 256 << 10],
            port,
            clients: (0..=clients).map(|_| Client::new()).collect(),
            tally: Tally::default(),
            joined: Vec::new(),
            acked: Vec::new(),
            next_id: 0,
        };
        fleet.open(fleet.control())?;
        fleet.until("the control client", |fleet| Ok(!fleet.joined.is_empty()))?;
        Ok(fleet)
    }

    /// The number of clients.
    pub fn len(&self) -> usize {
        self.clients.len() - 1
    }

    /// The client that controls.
    pub fn control(&self) -> usize {
        self.clients.len() - 1
    }

    pub fn client(&mut self, index: usize) -> &mut Client {
        &mut self.clients[index]
    }

    /// The clients that have come back to their session.
    pub fn recovered(&self) -> usize {
        self.clients.iter().filter(|client| client.is_recovered).count()
    }

    /// Takes the clients whose events were acknowledged.
    pub fn take_acked(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.acked)
    }

    /// Cuts the links of all clients and waits until the server has noticed.
    pub fn cut(&mut self) -> Result<(), Box<dyn Error>> {
        let control = self.control();
        self.clients[..control].iter_mut().for_each(Client::cut);
        while self.call(control, r#"["count"]"#)? != "[1]" {
            self.pump_for(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Connects all clients; with their sessions, or as new ones that join the room.
    pub fn connect(&mut self, with_sessions: bool) -> Result<(), Box<dyn Error>> {
        for client in &mut self.clients {
            client.claims = with_sessions;
            client.is_recovered = false;
        }
        self.joined.clear();
        let (all, acks) = (self.len(), self.tally.acks);
        let (mut opened, mut ready) = (0, 0);
        let wanted = acks + if with_sessions { 0 } else { all as u64 };
        self.until("all clients", |fleet| {
            for index in std::mem::take(&mut fleet.joined) {
                ready += 1;
                if !with_sessions {
                    fleet.emit(index, r#"["join","lobby"]"#)?;
                }
            }
            while opened < all && opened - ready < HANDSHAKES {
                fleet.open(opened)?;
                opened += 1;
            }
            Ok(ready == all && fleet.tally.acks == wanted)
        })
    }

    /// Emits an event and asks for an acknowledgement.
    pub fn emit(&mut self, index: usize, event: &str) -> io::Result<()> {
        self.next_id = (self.next_id + 1) % 100_000;
        let client = &mut self.clients[index];
        client.emitted = Instant::now();
        client.send(&format!("42{}{event}", self.next_id))
    }

    /// Emits an event and waits for the acknowledgement, of which it returns the arguments.
    pub fn call(&mut self, index: usize, event: &str) -> Result<String, Box<dyn Error>> {
        self.acked.clear();
        self.emit(index, event)?;
        self.until(event, |fleet| Ok(fleet.acked.contains(&index)))?;
        let answer = &self.clients[index].answer;
        let arguments = answer.find('[').map_or("", |start| &answer[start..]);
        Ok(arguments.to_owned())
    }

    /// Handles what comes until `is_done` says so.
    pub fn until(
        &mut self,
        what: &str,
        mut is_done: impl FnMut(&mut Self) -> io::Result<bool>,
    ) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        while !is_done(self)? {
            if start.elapsed() > PATIENCE {
                return Err(format!("waited too long for {what}").into());
            }
            self.pump(Duration::from_millis(20))?;
            if self.tally.failures > 0 {
                return Err(format!("a client failed while waiting for {what}").into());
            }
        }
        Ok(())
    }

    /// Handles what comes for some time.
    pub fn pump_for(&mut self, time: Duration) -> io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.pump(Duration::from_millis(10))?;
        }
        Ok(())
    }

    fn open(&mut self, index: usize) -> io::Result<()> {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest)?;
        stream.set_nodelay(true)?;
        self.clients[index].open(stream);
        Ok(())
    }

    fn pump(&mut self, time: Duration) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(time))?;
        for event in &self.events {
            let Token(index) = event.token();
            let client = &mut self.clients[index];
            if client.stage == Stage::Closed {
                continue;
            }
            if event.is_writable() {
                client.handle_writable(self.port)?;
            }
            let (tally, acked, joined) = (&mut self.tally, &mut self.acked, &mut self.joined);
            let tell = |news| match news {
                News::Joined => joined.push(index),
                News::Acked => {
                    tally.acks += 1;
                    acked.push(index);
                }
                News::Events(count) => tally.events += count,
                News::Failed => tally.failures += 1,
            };
            if event.is_readable() {
                client.handle_readable(&mut self.chunk, tell)?;
            }
        }
        Ok(())
    }
}
