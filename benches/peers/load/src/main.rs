//! Load generator for Socket.IO servers on loopback: one thread, WebSocket only.
//!
//! ```text
//! load --server NAME --pid PID --port PORT --clients N [--threads] WORKLOAD...
//! load --floor SOCKETS --rounds N
//! ```
//!
//! | workload | what it does |
//! | --- | --- |
//! | `idle` | memory per idle connection |
//! | `broadcast:COUNT:WINDOW` | a control client has `bcast` emitted to all clients, WINDOW in flight |
//! | `echo:CLIENTS:COUNT` | each of these clients keeps one `echo` in flight |
//! | `reconnect` | all links are cut, and all clients come back as new ones |
//! | `storm:STORED:MISSED:head` or `:tail` | they come back for their sessions instead |
//!
//! Each measured section is a line of JSON. One in which the host took the CPU away is repeated.

mod client;
mod fleet;
mod floor;
mod frame;
mod meter;
mod workloads;

use std::error::Error;

use lexopt::prelude::{Long, Value, ValueExt as _};

use crate::{fleet::Fleet, meter::Server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut name, mut pid, mut port, mut clients) = (String::new(), 0, 0, 1_000);
    let (mut floor, mut rounds) = (None, 200);
    let mut workloads = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("server") => name = arguments.value()?.string()?,
            Long("pid") => pid = arguments.value()?.parse()?,
            Long("port") => port = arguments.value()?.parse()?,
            Long("clients") => clients = arguments.value()?.parse()?,
            Long("floor") => floor = Some(arguments.value()?.parse()?),
            Long("rounds") => rounds = arguments.value()?.parse()?,
            Value(workload) => workloads.push(workload.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(sockets) = floor {
        return floor::run(sockets, rounds);
    }
    let server = Server { name, pid };
    let mut fleet = Fleet::new(port, clients)?;
    workloads::connect(&mut fleet, &server)?;
    for workload in &workloads {
        workloads::run(&mut fleet, &server, workload)?;
    }
    Ok(())
}
