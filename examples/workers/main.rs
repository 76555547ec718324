//! A server on several threads, in two ways:
//!
//! * `--mode hub`: each thread has a pool of connections, and all of them share one hub
//!   behind a lock. Rooms, broadcasts and recoveries know nothing of threads.
//! * `--mode servers`: each thread has a whole server. Nothing is shared, so it scales further; but
//!   what is for all has to be passed on by the application, and a client is recovered only by the
//!   server that has its session, as with several processes behind a load balancer.
//!
//! ```sh
//! cargo run --release --example workers -- --mode hub --threads 4 --port 3001
//! ```
//!
//! It answers the events of the benchmarks (see `app`). Connections go to the threads in turns; a
//! request that belongs to a session of another thread moves there with its connection.
//!
//! ```text
//!               ┌─ EventLoop ─ Worker: pool ──┐  requests, events      ┌─────────────────────┐
//!   accept ─────┤                             ├──────────────────────► │ Mutex: hub and      │
//!   (in turns)  └─ EventLoop ─ Worker: pool ──┘ ◄────────────────────  │ application         │
//!                    ▲  moves connections  ▲      replies, deliveries  └─────────────────────┘
//!                    └─────────────────────┘      (one mailbox per thread)
//! ```

mod app;
#[path = "../event_loop/driver/mod.rs"]
mod driver;
mod handles;
mod servers;
mod shared;
mod worker;

use std::{
    error::Error,
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use bytes::BytesMut;
use driver::{Arrival, EventLoop, Handle, Machine};
use lexopt::prelude::{Long, ValueExt as _};

use self::{handles::Handles, shared::Shared, worker::Worker};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut mode, mut threads, mut port) = (String::from("hub"), 2, 3001);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("mode") => mode = arguments.value()?.string()?,
            Long("threads") => threads = arguments.value()?.parse()?,
            Long("port") => port = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if !(1..=app::MOST_THREADS).contains(&threads) {
        return Err(format!("--threads: 1 to {}", app::MOST_THREADS).into());
    }
    let handles = Handles::default();
    match mode.as_str() {
        "hub" => {
            let shared = Arc::new(Shared::new(threads, handles.clone())?);
            let workers = (0..threads).map(|index| Worker::new(index, shared.clone()));
            run(port, workers.collect(), &handles)
        }
        "servers" => run(port, servers::new(threads, &handles), &handles),
        _ => Err("--mode: hub or servers".into()),
    }
}

/// Runs a loop for each machine on a thread of its own, and accepts connections for them.
fn run<M: Machine + Send + 'static>(
    port: u16,
    machines: Result<Vec<M>, Box<dyn Error>>,
    handles: &Handles,
) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::from(driver::listen(port)?);
    listener.set_nonblocking(false)?;
    let port = listener.local_addr()?.port();
    let loops: Result<Vec<_>, _> = machines?
        .into_iter()
        .map(|machine| EventLoop::new(machine, app::MAX_PAYLOAD, None))
        .collect();
    let mut loops = loops?;
    let all: Vec<Handle> = loops.iter().map(EventLoop::handle).collect();
    for event_loop in &mut loops {
        event_loop.set_others(all.clone());
    }
    let all = handles.get_or_init(|| all);
    for mut event_loop in loops {
        thread::spawn(move || {
            let result = event_loop.run();
            eprintln!("a thread has ended: {result:?}");
            std::process::exit(1);
        });
    }
    println!("listening {port}");
    for handle in all.iter().cycle() {
        let (stream, _) = listener.accept()?;
        handle.send(arrival(stream)?)?;
    }
    Ok(())
}

fn arrival(stream: TcpStream) -> Result<Arrival, Box<dyn Error>> {
    stream.set_nonblocking(true)?;
    let stream = mio::net::TcpStream::from_std(stream);
    Ok(Arrival { stream, input: BytesMut::new(), request: None })
}
