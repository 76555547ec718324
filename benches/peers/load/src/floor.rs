//! What the system itself costs on loopback sockets: to write to many of them in turn, and to read
//! and answer. No server can do it for less, but by writing several messages together.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use serde_json::json;

use crate::meter::HostTime;

/// Bytes of a message: what an event with a payload of 100 bytes takes.
const BYTES: usize = 114;
/// Rounds of writing that the reader may be behind.
const WINDOW: usize = 16;
/// Sockets that echo, each one message at a time.
const ECHOES: usize = 100;

/// Measures both; `rounds` is how often each of the `sockets` is written to.
pub fn run(sockets: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    write(sockets, rounds)?;
    echo(sockets * rounds / 4)
}

fn write(sockets: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let (mut writers, mut readers) = pairs(sockets)?;
    let seen = Arc::new(AtomicU64::new(0));
    let total = (sockets * BYTES * rounds) as u64;
    let reading = thread::spawn({
        let seen = seen.clone();
        move || {
            pin(1);
            read(&mut readers, &seen, total).expect("the sockets are read");
        }
    });
    pin(0);
    let payload = [b'x'; BYTES];
    let section = Section::start();
    for round in 1..=rounds {
        for writer in &mut writers {
            writer.write_all(&payload)?;
        }
        let least = (sockets * BYTES * round.saturating_sub(WINDOW)) as u64;
        while seen.load(Ordering::Acquire) < least {
            thread::yield_now();
        }
    }
    section.end("write", sockets * rounds);
    reading.join().expect("the reader ends");
    Ok(())
}

fn read(readers: &mut [TcpStream], seen: &AtomicU64, total: u64) -> io::Result<()> {
    let mut poll = poll(readers)?;
    let (mut events, mut chunk, mut received) = (Events::with_capacity(1024), vec![0; 1 << 16], 0);
    while received < total {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(index) = event.token();
            if let Ok(len) = readers[index].read(&mut chunk) {
                received += len as u64;
            }
        }
        seen.store(received, Ordering::Release);
    }
    Ok(())
}

fn echo(count: usize) -> Result<(), Box<dyn Error>> {
    let (mut servers, mut clients) = pairs(ECHOES)?;
    let asking = thread::spawn(move || {
        pin(1);
        for client in &mut clients {
            client.write_all(&[b'x'; BYTES]).expect("it fits");
        }
        answer(&mut clients, count, count - ECHOES).expect("the sockets are open");
    });
    pin(0);
    let section = Section::start();
    answer(&mut servers, count, count)?;
    section.end("echo", count);
    asking.join().expect("the other side ends");
    Ok(())
}

/// Reads `reads` messages, and answers `writes` of them.
fn answer(streams: &mut [TcpStream], reads: usize, writes: usize) -> io::Result<()> {
    let mut poll = poll(streams)?;
    let (mut events, mut chunk, mut count) = (Events::with_capacity(1024), vec![0; 1 << 16], 0);
    while count < reads {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(index) = event.token();
            if let Ok(len) = streams[index].read(&mut chunk) {
                if count < writes {
                    streams[index].write_all(&chunk[..len])?;
                }
                count += 1;
            }
        }
    }
    Ok(())
}

fn pairs(count: usize) -> Result<(Vec<TcpStream>, Vec<TcpStream>), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let one = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (other, _) = listener.accept()?;
        for (stream, side) in [(one, &mut far), (other, &mut near)] {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            side.push(TcpStream::from_std(stream));
        }
    }
    Ok((near, far))
}

fn poll(streams: &mut [TcpStream]) -> io::Result<Poll> {
    let poll = Poll::new()?;
    for (index, stream) in streams.iter_mut().enumerate() {
        poll.registry().register(stream, Token(index), Interest::READABLE)?;
    }
    Ok(poll)
}

/// CPU time of this thread.
struct Section {
    start: Instant,
    host: HostTime,
    cpu: f64,
}

impl Section {
    fn start() -> Self {
        Self { start: Instant::now(), host: HostTime::now(), cpu: cpu_seconds() }
    }

    fn end(self, workload: &str, count: usize) {
        let used = cpu_seconds() - self.cpu;
        let line = json!({
            "server": "floor",
            "workload": workload,
            "count": count,
            "cpu_us": used * 1e6 / count as f64,
            "seconds": self.start.elapsed().as_secs_f64(),
            "steal_percent": HostTime::now().steal_since(&self.host),
        });
        println!("{line}");
    }
}

fn pin(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    // On a machine with one CPU it stays where it is.
    sched_setaffinity(None, &cpus).ok();
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
