//! Commands.

use alloc::{string::ToString as _, vec::Vec};
use core::{
    fmt::{self, Write as _},
    iter,
    ops::Range,
};

use bytes::Bytes;

/// Bytes that the name and the arguments of most commands have a place in.
const ROOM: usize = 128;
/// The bytes around an argument: `$`, its length, and two ends of lines.
const FRAME: usize = 25;

/// A command for Redis: its name and its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisCommand {
    /// The name and the arguments as they are sent, each behind its length.
    packed: Vec<u8>,
    count: usize,
}

impl RedisCommand {
    pub(in crate::cluster::engines) fn new(name: &'static str) -> Self {
        Self::with_room(name, ROOM)
    }

    /// Begins a command whose arguments have so many bytes.
    pub(in crate::cluster::engines) fn with_room(name: &'static str, bytes: usize) -> Self {
        Self { packed: Vec::with_capacity(bytes), count: 0 }.arg(name)
    }

    #[inline]
    pub(in crate::cluster::engines) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        let arg = arg.as_ref();
        self.packed.reserve(arg.len().saturating_add(FRAME));
        push_head(&mut self.packed, b'$', arg.len());
        self.packed.extend_from_slice(arg);
        self.packed.extend_from_slice(b"\r\n");
        self.count = self.count.saturating_add(1);
        self
    }

    pub(in crate::cluster::engines) fn number(self, arg: u64) -> Self {
        self.arg(itoa::Buffer::new().format(arg))
    }

    /// Returns the name and the arguments.
    pub fn args(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.places().map(|place| self.packed.get(place).unwrap_or_default())
    }

    /// Returns a copy of the name and the arguments, as parts of one piece of memory.
    pub fn to_args(&self) -> Vec<Bytes> {
        let packed = Bytes::copy_from_slice(&self.packed);
        self.places().map(|place| packed.slice(place)).collect()
    }

    /// Appends the command to `out` as Redis receives it: an array of bulk strings in
    /// [RESP](https://redis.io/docs/latest/develop/reference/protocol-spec/).
    ///
    /// ```
    /// use socketio_proto::cluster::engines::redis_streams::RedisStreams;
    ///
    /// let mut out = Vec::new();
    /// RedisStreams::connection_id().write_to(&mut out);
    /// assert_eq!(out, b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n");
    /// ```
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.wire_len());
        push_head(out, b'*', self.count);
        out.extend_from_slice(&self.packed);
    }

    /// Returns how many bytes are sent, or a few more.
    pub fn wire_len(&self) -> usize {
        self.packed.len().saturating_add(FRAME)
    }

    /// Where the arguments are.
    fn places(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        let mut at = 0_usize;
        iter::from_fn(move || {
            let rest = self.packed.get(at..)?.strip_prefix(b"$")?;
            let digits = rest.iter().take_while(|byte| **byte != b'\r');
            let number = digits.clone().fold(0_usize, |number, digit| {
                number.saturating_mul(10).saturating_add(usize::from(digit.wrapping_sub(b'0')))
            });
            let start = at.saturating_add(3).saturating_add(digits.count());
            let end = start.saturating_add(number);
            at = end.saturating_add(2);
            Some(start..end)
        })
    }
}

/// Appends a number behind its type. Most arguments are names, whose length is known when this is compiled.
#[inline]
fn push_head(out: &mut Vec<u8>, kind: u8, number: usize) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.extend_from_slice(&[kind, b'0' | digit, b'\r', b'\n']),
        Ok(digits @ 10..=99) => {
            let (tens, ones) = (b'0' | (digits / 10), b'0' | (digits % 10));
            out.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
        }
        _ => {
            out.push(kind);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Separated by spaces, as for a log. It can contain private ids and events.
impl fmt::Display for RedisCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, arg) in self.args().enumerate() {
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
        let name = self.args().next().map(<[u8]>::escape_ascii);
        f.debug_struct("RedisCommand")
            .field("name", &name.map(|name| name.to_string()).unwrap_or_default())
            .field("args", &self.count.saturating_sub(1))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    #[test]
    fn every_argument_is_framed_and_found_again() {
        let mut lens: Vec<usize> = (0..300).collect();
        lens.extend([999, 1_000, 9_999, 10_000, 99_999, 100_000, 1_234_567]);
        let mut command = RedisCommand::new("NAME");
        let mut expected = format!("*{}\r\n$4\r\nNAME\r\n", lens.len() + 1).into_bytes();
        let mut args = vec![b"NAME".to_vec()];
        for len in lens {
            // Each of them looks like the end of an argument, and like the head of the next one.
            let arg: Vec<u8> = b"\r\n$3\r\n\0".iter().copied().cycle().take(len).collect();
            command = command.arg(&arg);
            expected.extend_from_slice(format!("${len}\r\n").as_bytes());
            expected.extend_from_slice(&arg);
            expected.extend_from_slice(b"\r\n");
            args.push(arg);
        }
        let mut out = Vec::new();
        command.write_to(&mut out);
        assert!(out == expected, "{command:?}");
        assert!(out.len() <= command.wire_len(), "{command:?}");
        assert!(command.args().eq(args.iter().map(Vec::as_slice)), "{command:?}");
        assert!(command.to_args() == args);
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let command = RedisCommand::new("NAME").number(number);
            assert_eq!(command.args().last(), Some(number.to_string().as_bytes()));
        }
    }
}
