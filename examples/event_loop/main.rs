//! A Socket.IO server on a hand-written event loop: one thread, one poll, no async runtime.
//!
//! ```sh
//! cargo run --release --example event_loop -- --port 3001
//! ```
//!
//! It listens on 127.0.0.1; port 0 lets the system choose one. `RECOVERY_MS`, `PING_INTERVAL` and
//! `PING_TIMEOUT` (milliseconds) and `PACKETS_PER_SECOND` (of one connection; five times as many at
//! once) in the environment override the defaults of the library. Pages of
//! `CORS_ORIGINS` may read answers, and only those of `ORIGINS` may use it (comma-separated). Ctrl-C
//! ends it as the system does by default: connections are cut.
//!
//! The core fits in by three calls: `handle_input` for whatever comes in, `poll_output` until
//! nothing is left to do, and `deadline` for how long to sleep. `driver` makes them, and `app` is
//! what the server does with events.

mod app;
mod driver;

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    time::Duration,
};

use driver::{EventLoop, Hosted, listen};
use socketio_proto::{Origins, engine::Cors};

fn main() -> Result<(), Box<dyn Error>> {
    let port = port_of(env::args().skip(1))?;
    let settings = app::Settings {
        max_disconnection: millis_of("RECOVERY_MS", 120_000)?,
        ping_interval: millis_of("PING_INTERVAL", 25_000)?,
        ping_timeout: millis_of("PING_TIMEOUT", 20_000)?,
        packets_per_second: packets_per_second()?,
        origins: origins_of("ORIGINS").unwrap_or_default(),
    };
    let listener = listen(port)?;
    let port = listener.local_addr()?.port();
    let machine = Hosted::new(app::new_server(settings)?, app::handle_event);
    let mut event_loop = EventLoop::new(machine, app::MAX_PAYLOAD, Some(listener))?;
    if let Some(origins) = origins_of("CORS_ORIGINS") {
        event_loop.set_cors(Cors::new(origins).credentials(true));
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "listening {port}")?;
    stdout.flush()?;
    Ok(event_loop.run()?)
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

fn packets_per_second() -> Result<Option<u32>, Box<dyn Error>> {
    let value = env::var("PACKETS_PER_SECOND").ok();
    Ok(value.map(|value| value.parse()).transpose()?)
}

fn origins_of(name: &str) -> Option<Origins> {
    let list = env::var(name).ok()?;
    Some(Origins::list(list.split(',')))
}

fn millis_of(name: &str, default: u64) -> Result<Duration, Box<dyn Error>> {
    let millis = env::var(name).map_or(Ok(default), |value| value.parse())?;
    Ok(Duration::from_millis(millis))
}
