//! The command line.

use std::{env, error::Error, path::PathBuf};

/// What the command line says.
#[derive(Clone)]
pub struct Arguments {
    pub port: u16,
    pub workers: usize,
    pub file: PathBuf,
    /// What a worker runs. A restart runs what is there by then, so that it can be a newer version: the system
    /// would name the file that this process was started from, which may be gone.
    pub program: PathBuf,
    /// The number of this worker. `None` for the process that starts them.
    pub worker: Option<usize>,
}

impl Arguments {
    pub fn read() -> Result<Self, Box<dyn Error>> {
        use lexopt::prelude::{Long, ValueExt as _};

        let file = PathBuf::from("sessions.db");
        let program = env::current_exe()?;
        let mut all = Self { port: 3000, workers: 4, file, program, worker: None };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") => all.port = parser.value()?.parse()?,
                Long("workers") => all.workers = parser.value()?.parse()?,
                Long("file") => all.file = parser.value()?.into(),
                Long("worker") => all.worker = Some(parser.value()?.parse()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(all)
    }

    /// Where a worker answers the others.
    pub fn socket(&self, worker: usize) -> PathBuf {
        let mut path = self.file.clone().into_os_string();
        path.push(format!("-worker-{worker}.http"));
        path.into()
    }
}
