//! Commands.

use alloc::{string::ToString as _, vec::Vec};
use core::fmt::{self, Write as _};

use bytes::Bytes;

use crate::socket::Decimal;

/// Room for the name and the arguments of most commands.
const ARGS: usize = 8;

/// A command for Redis: its name and its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisCommand(Vec<Bytes>);

impl RedisCommand {
    pub(in crate::cluster::engines) fn new(name: &'static str) -> Self {
        Self(Vec::with_capacity(ARGS)).arg(name)
    }

    pub(in crate::cluster::engines) fn arg(mut self, arg: impl Into<Bytes>) -> Self {
        self.0.push(arg.into());
        self
    }

    pub(in crate::cluster::engines) fn text(self, arg: &str) -> Self {
        self.arg(Bytes::copy_from_slice(arg.as_bytes()))
    }

    pub(in crate::cluster::engines) fn number(self, arg: u64) -> Self {
        self.text(Decimal::new(arg).as_str())
    }

    /// Returns the name and the arguments.
    pub fn args(&self) -> &[Bytes] {
        &self.0
    }

    /// Returns the name and the arguments.
    pub fn into_args(self) -> Vec<Bytes> {
        self.0
    }
}

/// Separated by spaces, as for a log. It can contain private ids and events.
impl fmt::Display for RedisCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, arg) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            for chunk in arg.utf8_chunks() {
                for c in chunk.valid().chars() {
                    if c.is_control() {
                        write!(f, "{}", c.escape_default())?;
                    } else {
                        f.write_char(c)?;
                    }
                }
                write!(f, "{}", chunk.invalid().escape_ascii())?;
            }
        }
        Ok(())
    }
}

/// Shows the name only, because the arguments can contain private ids and events.
impl fmt::Debug for RedisCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.first().map(|name| name.escape_ascii());
        f.debug_struct("RedisCommand")
            .field("name", &name.map(|name| name.to_string()).unwrap_or_default())
            .field("args", &self.0.len().saturating_sub(1))
            .finish()
    }
}
