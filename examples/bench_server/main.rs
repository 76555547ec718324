//! The server that the benchmarks in `benches/peers` run: the core behind either driver, and the
//! events that they ask of every server (see `app`).
//!
//! ```sh
//! cargo run --release --example bench_server -- --driver mio --port 3001
//! ```
//!
//! It listens on 127.0.0.1; port 0 lets the system choose one. The drivers are those of the
//! examples `event_loop` (mio) and `tokio_driver`, both on one thread.

#![expect(clippy::duplicate_mod, reason = "both drivers have the WebSocket format in them")]

mod app;
#[path = "../event_loop/driver/mod.rs"]
mod mio_driver;
#[expect(unused_imports, reason = "other programs name more of it")]
#[path = "../tokio_driver/mod.rs"]
mod tokio_driver;
mod with_mio;
mod with_tokio;

use std::error::Error;

use lexopt::prelude::{Long, ValueExt as _};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut driver, mut port) = (String::from("mio"), 3001);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("driver") => driver = arguments.value()?.string()?,
            Long("port") => port = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    match driver.as_str() {
        "mio" => with_mio::run(port),
        "tokio" => with_tokio::run(port),
        _ => Err("--driver: mio or tokio".into()),
    }
}
