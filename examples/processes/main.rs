//! Several processes that act as one server, around one SQLite file:
//!
//! ```sh
//! cargo run --release --example processes -- --workers 4 --port 3000 --file sessions.db
//! ```
//!
//! All workers listen on the same port (`SO_REUSEPORT`), and the kernel spreads connections over them.
//! What one emits reaches the clients of all, and a client recovers its session at any of them.
//!
//! ```text
//!                  ┌─ worker 0 ─┐
//!   port 3000 ─────┼─ worker 1 ─┼──── sessions.db         each also answers the others,
//!                  └─ worker 2 ─┘                         at a Unix socket beside the file
//!                        ▲
//!        this process starts them again when they end
//! ```
//!
//! A client with HTTP long-polling makes many requests, and the kernel knows nothing of its session. A
//! worker that does not know the session of a request passes it on to the others: see `pass_on`.
//!
//! * Kill a worker (`kill -9`): its clients come back at the others, and it is started again.
//! * `kill -HUP` restarts all workers, one after another. A worker that is to end hands over first.
//! * Ctrl-C and SIGTERM end all. So does the end of this process, whatever the reason.

#[cfg(unix)]
mod arguments;
#[cfg(unix)]
mod pass_on;
#[cfg(unix)]
mod supervisor;
#[cfg(unix)]
mod worker;

#[cfg(unix)]
mod run {
    use std::error::Error;

    use crate::{arguments::Arguments, supervisor, worker};

    pub async fn run() -> Result<(), Box<dyn Error>> {
        let arguments = Arguments::read()?;
        match arguments.worker {
            Some(worker) => worker::run(arguments, worker).await,
            None => supervisor::run(arguments).await,
        }
    }
}

#[cfg(unix)]
#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run::run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("processes: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs SO_REUSEPORT and Unix sockets");
}
