//! Both versions of the protocol, of which the newer one has pushes.

mod entries;

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;
use socketio_proto::{ByteString, cluster::engines::redis_streams::RedisReply};

pub(crate) use self::entries::Entries;

use crate::{bounds::Bounds, error::RedisEngineError};

/// Bytes of a line. Statuses, errors and numbers are shorter.
const LINE: usize = 64 << 10;
/// Lists in lists. No reply to what is sent here has more: the fields of an entry are in five.
pub(crate) const DEPTH: u8 = 8;
pub(crate) const UNEXPECTED: RedisEngineError =
    RedisEngineError::Unexpected { command: "a command" };

/// What comes from Redis.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    Reply(RedisReply),
    /// A message.
    Message {
        channel: &'a [u8],
        payload: &'a [u8],
        is_pattern: bool,
        /// How many bytes there are before the payload and its length.
        head: usize,
    },
    /// A subscription has begun or ended.
    Confirmed,
    /// Another push.
    Other,
}

/// Why nothing was read.
enum Stop {
    /// It has not come to its end.
    Incomplete,
    Malformed,
    /// It has more values than it may.
    TooMany,
}

impl Stop {
    /// `None` if it has not come to its end.
    fn or_error<T>(self, bounds: Bounds) -> Result<Option<T>, RedisEngineError> {
        match self {
            Self::Incomplete => Ok(None),
            Self::Malformed => Err(UNEXPECTED),
            Self::TooMany => Err(bounds.too_large()),
        }
    }
}

type Step<T> = Result<T, Stop>;

/// Reads what comes next, and how many bytes it has. `None` if it has not come to its end.
pub(crate) fn decode(
    bytes: &[u8],
    bounds: Bounds,
) -> Result<Option<(Frame<'_>, usize)>, RedisEngineError> {
    let mut cursor = Cursor { rest: bytes, values: bounds.values() };
    let frame = match bytes.first() {
        None => return Ok(None),
        Some(b'>') => cursor.push(bytes.len()),
        Some(_) => cursor.value(DEPTH).map(Frame::Reply),
    };
    match frame {
        Ok(frame) => Ok(Some((frame, bytes.len().saturating_sub(cursor.rest.len())))),
        Err(stop) => stop.or_error(bounds),
    }
}

/// Reads a message whose bytes before the payload are these, and how many bytes it has. Most are published
/// in the same channel as the one before. `None` if it is another one, or has not come to its end.
pub(crate) fn decode_same<'a>(bytes: &'a [u8], head: &[u8]) -> Option<(&'a [u8], usize)> {
    if head.is_empty() {
        return None;
    }
    let mut cursor = Cursor { rest: bytes.strip_prefix(head)?, values: 0 };
    let payload = cursor.text().ok()?;
    Some((payload, bytes.len().saturating_sub(cursor.rest.len())))
}

/// Reads so many replies, behind which there is nothing. `None` if they have not come to their end.
pub(crate) fn decode_all(
    bytes: &[u8],
    count: usize,
    bounds: Bounds,
) -> Result<Option<Vec<RedisReply>>, RedisEngineError> {
    let mut cursor = Cursor { rest: bytes, values: bounds.values() };
    match cursor.values(count, DEPTH) {
        Ok(replies) if cursor.rest.is_empty() => Ok(Some(replies)),
        Ok(_) => Err(UNEXPECTED),
        Err(stop) => stop.or_error(bounds),
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
    /// How many values there may still be.
    values: usize,
}

impl<'a> Cursor<'a> {
    /// A type, and what follows it in its line.
    fn line(&mut self) -> Step<(u8, &'a [u8])> {
        let rest = self.rest;
        let Some(end) = memchr(b'\r', rest.get(..LINE).unwrap_or(rest)) else {
            return Err(if rest.len() < LINE { Stop::Incomplete } else { Stop::Malformed });
        };
        let (line, behind) = rest.split_at_checked(end).ok_or(Stop::Malformed)?;
        self.rest = match behind {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\r'] => return Err(Stop::Incomplete),
            _ => return Err(Stop::Malformed),
        };
        let (kind, line) = line.split_first().ok_or(Stop::Malformed)?;
        Ok((*kind, line))
    }

    fn bulk(&mut self, len: usize) -> Step<&'a [u8]> {
        let (bulk, behind) = self.rest.split_at_checked(len).ok_or(Stop::Incomplete)?;
        self.rest = match behind {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Err(Stop::Incomplete),
            _ => return Err(Stop::Malformed),
        };
        Ok(bulk)
    }

    fn text(&mut self) -> Step<&'a [u8]> {
        let len = self.len(b'$')?;
        self.bulk(len)
    }

    /// Reads the line of a type that is followed by a length. Each text has one, so the usual ones, of up to three
    /// digits, are read at once.
    fn len(&mut self, kind: u8) -> Step<usize> {
        let digit = |byte: u8| byte.is_ascii_digit().then(|| usize::from(byte & 0xf));
        let (len, rest) = match *self.rest {
            [it, a, b'\r', b'\n', ref rest @ ..] if it == kind => (digit(a), rest),
            [it, a, b, b'\r', b'\n', ref rest @ ..] if it == kind => {
                (digit(a).zip(digit(b)).map(|(a, b)| 10 * a + b), rest)
            }
            [it, a, b, c, b'\r', b'\n', ref rest @ ..] if it == kind => {
                let digits = digit(a).zip(digit(b)).zip(digit(c));
                (digits.map(|((a, b), c)| 100 * a + 10 * b + c), rest)
            }
            _ => return self.any_len(kind),
        };
        self.rest = rest;
        len.ok_or(Stop::Malformed)
    }

    fn any_len(&mut self, kind: u8) -> Step<usize> {
        let (first, digits) = self.rest.split_first().ok_or(Stop::Incomplete)?;
        if *first != kind {
            return Err(Stop::Malformed);
        }
        let (mut rest, mut len) = (digits, 0_usize);
        while let Some((digit @ b'0'..=b'9', behind)) = rest.split_first() {
            let sum = len.checked_mul(10).and_then(|len| len.checked_add((digit & 0xf).into()));
            len = sum.ok_or(Stop::Malformed)?;
            rest = behind;
        }
        match rest {
            [b'\r', b'\n', behind @ ..] if rest.len() < digits.len() => {
                self.rest = behind;
                Ok(len)
            }
            [] | [b'\r'] if digits.len() < LINE => Err(Stop::Incomplete),
            _ => Err(Stop::Malformed),
        }
    }

    /// Reads a push that begins so many bytes before the end.
    fn push(&mut self, start: usize) -> Step<Frame<'a>> {
        let (_, len) = self.line()?;
        let values = count(len)?.checked_sub(1).ok_or(Stop::Malformed)?;
        let kind = self.text()?;
        let is_pattern = match (kind, values) {
            (b"message" | b"smessage", 2) => false,
            (b"pmessage", 3) => {
                self.text()?;
                true
            }
            _ => {
                for _ in 0..values {
                    self.value(DEPTH)?;
                }
                let is_confirmation = kind.ends_with(b"subscribe");
                return Ok(if is_confirmation { Frame::Confirmed } else { Frame::Other });
            }
        };
        let channel = self.text()?;
        let head = start.saturating_sub(self.rest.len());
        Ok(Frame::Message { channel, payload: self.text()?, is_pattern, head })
    }

    /// Reads a text, and says where in `whole` it is. The rest is the end of it.
    fn part(&mut self, whole: &[u8]) -> Step<Range<usize>> {
        let len = self.text()?.len();
        // The line break is behind it.
        let end = whole.len().saturating_sub(self.rest.len()).saturating_sub(2);
        Ok(end.saturating_sub(len)..end)
    }

    /// Reads how many values a list has.
    fn list(&mut self) -> Step<usize> {
        self.len(b'*')
    }

    fn note_value(&mut self) -> Step<()> {
        self.note_values(1)
    }

    fn note_values(&mut self, count: usize) -> Step<()> {
        self.values = self.values.checked_sub(count).ok_or(Stop::TooMany)?;
        Ok(())
    }

    fn value(&mut self, depth: u8) -> Step<RedisReply> {
        let (kind, line) = self.line()?;
        self.note_value()?;
        Ok(match kind {
            b'+' | b',' | b'(' => RedisReply::Status(match line {
                b"OK" => ByteString::from_static("OK"),
                b"QUEUED" => ByteString::from_static("QUEUED"),
                line => lossy(line),
            }),
            b'-' => RedisReply::Error(lossy(line)),
            b':' => RedisReply::Int(number(line)?),
            b'_' => RedisReply::Nil,
            b'#' => RedisReply::Int((line == b"t").into()),
            b'$' | b'*' if line == b"-1" => RedisReply::Nil,
            b'$' => RedisReply::Bulk(Bytes::copy_from_slice(self.bulk(count(line)?)?)),
            b'!' => RedisReply::Error(lossy(self.bulk(count(line)?)?)),
            // The kind of text is before it.
            b'=' => {
                let text = self.bulk(count(line)?)?.get(4..).ok_or(Stop::Malformed)?;
                RedisReply::Bulk(Bytes::copy_from_slice(text))
            }
            b'*' | b'~' => RedisReply::Array(self.list_of(count(line)?, depth)?),
            b'%' => {
                let len = count(line)?.checked_mul(2).ok_or(Stop::Malformed)?;
                let mut values = self.list_of(len, depth)?.into_iter();
                let pair = || Some((values.next()?, values.next()?));
                RedisReply::Map(std::iter::from_fn(pair).collect())
            }
            _ => return Err(Stop::Malformed),
        })
    }

    fn list_of(&mut self, len: usize, depth: u8) -> Step<Vec<RedisReply>> {
        self.values(len, depth.checked_sub(1).ok_or(Stop::Malformed)?)
    }

    fn values(&mut self, len: usize, depth: u8) -> Step<Vec<RedisReply>> {
        let mut values = Vec::with_capacity(self.room(len));
        for _ in 0..len {
            values.push(self.value(depth)?);
        }
        Ok(values)
    }

    /// What it says of a length is not believed before it is there.
    fn room(&self, len: usize) -> usize {
        const LEAST: usize = 64;
        len.min(LEAST.max(self.rest.len() / LEAST))
    }
}

fn number(line: &[u8]) -> Step<i64> {
    let text = std::str::from_utf8(line).map_err(|_| Stop::Malformed)?;
    text.parse().map_err(|_| Stop::Malformed)
}

fn count(line: &[u8]) -> Step<usize> {
    if line.is_empty() {
        return Err(Stop::Malformed);
    }
    let digit = |sum: usize, byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    };
    line.iter().try_fold(0, digit).ok_or(Stop::Malformed)
}

fn lossy(text: &[u8]) -> ByteString {
    String::from_utf8_lossy(text).into_owned().into()
}

#[cfg(test)]
mod tests;
