//! Socket.IO on plain threads: everything between the application and the operating system.
//!
//! The endpoint, which has the server and all streams, is behind a mutex. Whoever has something for
//! it takes the lock, hands it in, and carries out what the endpoint wants. That never waits for a
//! peer: each stream has a thread that reads and one that writes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::thread::{self, Builder};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{Request, Response, request::Parts};
use socketio_proto::server::{Server, ServerEvent};
use socketio_proto::{ConnectionId, Timestamp};
use socketio_proto_http1::{Endpoint, EndpointOutput, StreamId};

/// Time that streams have to end.
const END: Duration = Duration::from_secs(5);
const POISONED: &str = "no handler has panicked";
/// The pause after an error of the system: it is out of file descriptors or threads, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// An application. Its events are handled under the lock, so their handler must not wait. Each
/// request has a thread of its own, which may. A panic of a handler of events ends the server.
pub trait App: Send + Sized + 'static {
    type Data: Default + Send + 'static;
    /// A connection was opened, by this request.
    fn handle_handshake(&mut self, connection: ConnectionId, request: &Parts);
    fn handle_event(
        &mut self,
        server: &mut Server<Self::Data>,
        now: Timestamp,
        event: ServerEvent<Self::Data>,
    );
    /// Answers a request that is not for Socket.IO.
    fn answer(driver: &Driver<Self>, request: Request<Bytes>) -> Response<Bytes>;
}

/// The server, for any thread. Cheap to clone.
pub struct Driver<A: App>(Arc<Shared<A>>);

struct Shared<A: App> {
    state: Mutex<State<A>>,
    /// The timer has to wake up earlier.
    sooner: Condvar,
    /// A stream is closed.
    closed: Condvar,
}

struct State<A: App> {
    app: A,
    endpoint: Endpoint<A::Data>,
    /// The streams, and what is to be written to them.
    streams: BTreeMap<StreamId, (Arc<Stream>, Sender<BytesMut>)>,
    /// When the timer wakes up.
    armed: Option<Timestamp>,
}

struct Stream {
    tcp: TcpStream,
    /// The endpoint may want input again.
    go_on: Condvar,
}

impl<A: App> Driver<A> {
    pub fn new(endpoint: Endpoint<A::Data>, app: A) -> Self {
        let state = State { app, endpoint, streams: BTreeMap::new(), armed: None };
        let (sooner, closed) = (Condvar::new(), Condvar::new());
        Self(Arc::new(Shared { state: Mutex::new(state), sooner, closed }))
    }

    /// Accepts connections in threads of its own, `most` at a time. More wait in the system.
    pub fn serve(&self, listener: TcpListener, most: usize) {
        let (timer, driver) = (self.clone(), self.clone());
        thread::spawn(move || timer.keep_time());
        thread::spawn(move || {
            loop {
                let full = |state: &mut State<A>| state.streams.len() >= most;
                drop(driver.0.closed.wait_while(driver.lock(), full));
                if listener.accept().and_then(|(tcp, _)| driver.open(tcp)).is_err() {
                    thread::sleep(PAUSE);
                }
            }
        });
    }

    /// Calls the application, from any thread.
    pub fn with<R>(&self, call: impl FnOnce(&mut A, &mut Server<A::Data>, Timestamp) -> R) -> R {
        self.step(|state, now| call(&mut state.app, state.endpoint.server_mut(), now))
    }

    /// Closes all connections, which parks their sessions, and waits until the streams have ended.
    pub fn shut_down(&self) {
        self.step(|state, now| state.endpoint.shutdown(now));
        let open = |state: &mut State<A>| !state.streams.is_empty();
        drop(self.0.closed.wait_timeout_while(self.lock(), END, open));
    }

    fn step<R>(&self, call: impl FnOnce(&mut State<A>, Timestamp) -> R) -> R {
        let (mut state, now) = (self.lock(), now());
        let result = call(&mut state, now);
        while let Some(output) = state.endpoint.poll_output(now) {
            self.carry_out(&mut state, now, output);
        }
        let deadline = state.endpoint.deadline();
        // A timer that wakes up too early does no harm.
        if deadline.is_some_and(|at| state.armed.is_none_or(|armed| at < armed)) {
            self.0.sooner.notify_one();
        }
        result
    }

    fn carry_out(&self, state: &mut State<A>, now: Timestamp, output: EndpointOutput<A::Data>) {
        let State { app, endpoint, streams, .. } = state;
        match output {
            EndpointOutput::Event(event) => {
                if let ServerEvent::ConnectionOpened { connection, wire } = event
                    && let Some(request) = endpoint.request(wire)
                {
                    app.handle_handshake(connection, request);
                }
                app.handle_event(endpoint.server_mut(), now, event);
            }
            EndpointOutput::Request { stream, request } => {
                let driver = self.clone();
                let answer = move || {
                    let response = catch_unwind(AssertUnwindSafe(|| A::answer(&driver, request)));
                    driver.step(|state, now| match response {
                        Ok(response) => state.endpoint.respond(now, stream, response),
                        Err(_) => state.endpoint.fail(now, stream),
                    });
                };
                if Builder::new().spawn(answer).is_err() {
                    endpoint.fail(now, stream);
                }
            }
            EndpointOutput::Write { stream, bytes } => {
                streams.get(&stream).map(|(_, output)| output.send(bytes));
            }
            EndpointOutput::ShutWrite { stream } => {
                streams.get(&stream).map(|(stream, _)| stream.tcp.shutdown(Shutdown::Write));
            }
            EndpointOutput::Close { stream } => {
                if let Some((stream, _)) = streams.remove(&stream) {
                    // Its threads notice.
                    stream.tcp.shutdown(Shutdown::Both).ok();
                    stream.go_on.notify_one();
                    self.0.closed.notify_all();
                }
            }
            _ => unreachable!("an output that this driver does not know"),
        }
    }

    fn open(&self, tcp: TcpStream) -> io::Result<()> {
        // Without it, small messages wait for the acknowledgement of others.
        tcp.set_nodelay(true).ok();
        let (output, outputs) = mpsc::channel();
        let stream = Arc::new(Stream { tcp, go_on: Condvar::new() });
        let id = self.step(|state, now| {
            let id = state.endpoint.open(now)?;
            state.streams.insert(id, (stream.clone(), output));
            Some(id)
        });
        let Some(id) = id else { return Ok(()) };
        let (reader, writer) = ((self.clone(), stream.clone()), (self.clone(), stream));
        let spawned = Builder::new()
            .spawn(move || reader.0.read(id, &reader.1))
            .and_then(|_| Builder::new().spawn(move || writer.0.write(id, &writer.1, outputs)));
        spawned.map(drop).inspect_err(|_| self.fail(id))
    }

    fn fail(&self, id: StreamId) {
        self.step(|state, now| state.endpoint.fail(now, id));
    }

    fn read(&self, id: StreamId, stream: &Stream) {
        let mut chunk = [0; 16 << 10];
        loop {
            // A closed stream is read as well: it has ended.
            let is_full = |state: &mut State<A>| {
                state.streams.contains_key(&id) && !state.endpoint.wants_input(id)
            };
            drop(stream.go_on.wait_while(self.lock(), is_full));
            match (&stream.tcp).read(&mut chunk) {
                Ok(0) => return self.step(|state, now| state.endpoint.end(now, id)),
                Ok(len) => self.step(|state, now| state.endpoint.receive(now, id, &chunk[..len])),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.fail(id),
            }
        }
    }

    fn write(&self, id: StreamId, stream: &Stream, outputs: Receiver<BytesMut>) {
        for mut bytes in outputs {
            while !bytes.is_empty() {
                match (&stream.tcp).write(&bytes) {
                    Ok(len) => {
                        bytes.advance(len);
                        self.step(|state, now| state.endpoint.written(now, id, len));
                        stream.go_on.notify_one();
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return self.fail(id),
                }
            }
        }
    }

    fn keep_time(&self) {
        let mut state = self.lock();
        loop {
            state.armed = state.endpoint.deadline();
            let time = state.armed.map_or(END, |at| at.saturating_since(now()));
            state = self.0.sooner.wait_timeout(state, time).expect(POISONED).0;
            if state.endpoint.deadline().is_some_and(|at| at <= now()) {
                drop(state);
                // Threads that have read something and wait for the lock go first.
                thread::yield_now();
                self.step(|state, now| state.endpoint.handle_timeout(now));
                state = self.lock();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.0.state.lock().expect(POISONED)
    }
}

impl<A: App> Clone for Driver<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The UNIX epoch, read once, plus monotonic time elapsed since.
#[expect(clippy::disallowed_methods, reason = "the one place that looks at a clock")]
fn now() -> Timestamp {
    static START: LazyLock<(Duration, Instant)> = LazyLock::new(|| {
        (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), Instant::now())
    });
    Timestamp::ZERO.saturating_add(START.0).saturating_add(START.1.elapsed())
}
