//! What the system itself costs: one thread writes to many loopback sockets in turn, another one
//! reads. No server can deliver for less, one write per delivery.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use mio::{Events, Interest, Poll, Token};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use serde_json::json;

use crate::meter::HostTime;

/// Bytes of a write: what an event with a payload of 100 bytes takes.
const BYTES: usize = 114;
/// Rounds that the reader may be behind.
const WINDOW: usize = 16;

pub fn run(sockets: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..sockets {
        let reader = TcpStream::connect(listener.local_addr()?)?;
        reader.set_nonblocking(true)?;
        let (writer, _) = listener.accept()?;
        writer.set_nodelay(true)?;
        writers.push(writer);
        readers.push(mio::net::TcpStream::from_std(reader));
    }
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
    let payload = vec![b'x'; BYTES];
    let (start, host, cpu) = (Instant::now(), HostTime::now(), cpu_seconds());
    for round in 1..=rounds {
        for writer in &mut writers {
            writer.write_all(&payload)?;
        }
        let least = (sockets * BYTES * round.saturating_sub(WINDOW)) as u64;
        while seen.load(Ordering::Acquire) < least {
            thread::yield_now();
        }
    }
    let used = cpu_seconds() - cpu;
    reading.join().expect("the reader ends");
    let count = (sockets * rounds) as f64;
    let line = json!({
        "server": "floor",
        "workload": "write",
        "count": count,
        "cpu_us": used * 1e6 / count,
        "seconds": start.elapsed().as_secs_f64(),
        "steal_percent": HostTime::now().steal_since(&host),
    });
    println!("{line}");
    Ok(())
}

fn read(
    readers: &mut [mio::net::TcpStream],
    seen: &AtomicU64,
    total: u64,
) -> Result<(), std::io::Error> {
    let mut poll = Poll::new()?;
    for (index, reader) in readers.iter_mut().enumerate() {
        poll.registry().register(reader, Token(index), Interest::READABLE)?;
    }
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
