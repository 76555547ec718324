//! The newer version of the protocol, which has pushes.

use bytes::Bytes;
use memchr::memchr;
use socketio_proto::{ByteString, cluster::engines::redis_streams::RedisReply};

use crate::error::RedisEngineError;

/// Bytes of a line. Statuses, errors and numbers are shorter.
const LINE: usize = 64 << 10;
/// Lists in lists. No reply to what is sent here has more.
const DEPTH: u8 = 8;

/// What comes from Redis.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    Reply(RedisReply),
    /// A message.
    Message {
        channel: &'a [u8],
        payload: &'a [u8],
        is_pattern: bool,
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
}

type Step<T> = Result<T, Stop>;

/// Reads what comes next, and how many bytes it has. `None` if it has not come to its end.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, RedisEngineError> {
    let mut cursor = Cursor { rest: bytes };
    let frame = match bytes.first() {
        None => return Ok(None),
        Some(b'>') => cursor.push(),
        Some(_) => cursor.value(DEPTH).map(Frame::Reply),
    };
    match frame {
        Ok(frame) => Ok(Some((frame, bytes.len().saturating_sub(cursor.rest.len())))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Malformed) => Err(RedisEngineError::Unexpected { command: "HELLO 3" }),
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
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
        match self.line()? {
            (b'$', len) => self.bulk(count(len)?),
            _ => Err(Stop::Malformed),
        }
    }

    fn push(&mut self) -> Step<Frame<'a>> {
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
        Ok(Frame::Message { channel: self.text()?, payload: self.text()?, is_pattern })
    }

    fn value(&mut self, depth: u8) -> Step<RedisReply> {
        let (kind, line) = self.line()?;
        Ok(match kind {
            b'+' | b',' | b'(' => RedisReply::Status(lossy(line)),
            b'-' => RedisReply::Error(lossy(line)),
            b':' => RedisReply::Int(number(line)?),
            b'_' => RedisReply::Nil,
            b'#' => RedisReply::Int((line == b"t").into()),
            b'$' | b'*' if line == b"-1" => RedisReply::Nil,
            b'$' => RedisReply::Bulk(Bytes::copy_from_slice(self.bulk(count(line)?)?)),
            b'!' => RedisReply::Error(lossy(self.bulk(count(line)?)?)),
            b'=' => {
                // The kind of text is before it.
                let text = self.bulk(count(line)?)?.get(4..).ok_or(Stop::Malformed)?;
                RedisReply::Bulk(Bytes::copy_from_slice(text))
            }
            b'*' | b'~' => {
                let values = self.values(count(line)?, depth)?;
                RedisReply::Array(values)
            }
            b'%' => {
                let len = count(line)?.checked_mul(2).ok_or(Stop::Malformed)?;
                let mut values = self.values(len, depth)?.into_iter();
                let pair = || Some((values.next()?, values.next()?));
                RedisReply::Map(std::iter::from_fn(pair).collect())
            }
            _ => return Err(Stop::Malformed),
        })
    }

    fn values(&mut self, len: usize, depth: u8) -> Step<Vec<RedisReply>> {
        let depth = depth.checked_sub(1).ok_or(Stop::Malformed)?;
        // What it says of its length is not believed before it is there.
        let mut values = Vec::new();
        for _ in 0..len {
            values.push(self.value(depth)?);
        }
        Ok(values)
    }
}

fn number(line: &[u8]) -> Step<i64> {
    let text = std::str::from_utf8(line).map_err(|_| Stop::Malformed)?;
    text.parse().map_err(|_| Stop::Malformed)
}

fn count(line: &[u8]) -> Step<usize> {
    usize::try_from(number(line)?).map_err(|_| Stop::Malformed)
}

fn lossy(text: &[u8]) -> ByteString {
    String::from_utf8_lossy(text).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n\r\n>3\r\n";
    const PATTERN: &[u8] = b">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\ncd\r\n$0\r\n\r\n";
    const SUBSCRIBED: &[u8] = b">3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:1\r\n";

    fn decoded(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
        decode(bytes).unwrap()
    }

    #[test]
    fn what_is_published_is_told_from_replies() {
        let message = Frame::Message { channel: b"c", payload: b"\r\n>3", is_pattern: false };
        assert_eq!(decoded(MESSAGE), Some((message, MESSAGE.len())));
        let pattern = Frame::Message { channel: b"cd", payload: b"", is_pattern: true };
        assert_eq!(decoded(PATTERN), Some((pattern, PATTERN.len())));
        assert_eq!(decoded(SUBSCRIBED), Some((Frame::Confirmed, SUBSCRIBED.len())));
        let other: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
        assert_eq!(decoded(other), Some((Frame::Other, other.len())));
    }

    #[test]
    fn replies_are_those_that_the_redis_crate_reads() {
        let replies: [&[u8]; 13] = [
            b"+PONG\r\n",
            b":-7\r\n",
            b"_\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"#t\r\n",
            b"$2\r\n\r\n\r\n",
            b"=8\r\ntxt:a\r\nb\r\n",
            b"-NOPERM this user may not\r\n",
            b"!10\r\nERR a\r\nb c\r\n",
            b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
            b"~1\r\n:1\r\n",
            b"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n",
        ];
        for bytes in replies {
            let expected = crate::reply::reply(redis::parse_redis_value(bytes).unwrap());
            let more = [bytes, b"+more\r\n"].concat();
            let (frame, len) = decoded(&more).unwrap();
            assert_eq!(
                (frame, len),
                (Frame::Reply(expected), bytes.len()),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn what_comes_in_pieces_is_waited_for() {
        let map: &[u8] = b"%1\r\n=5\r\ntxt:x\r\n~1\r\n!5\r\nERR x\r\n";
        for whole in [MESSAGE, PATTERN, SUBSCRIBED, map] {
            for end in 0..whole.len() {
                assert_eq!(decoded(&whole[..end]), None, "{end} of {}", whole.escape_ascii());
            }
            assert!(decoded(whole).is_some());
        }
    }

    #[test]
    fn what_is_neither_is_an_error() {
        let long = [&b"+"[..], &b"x".repeat(LINE)].concat();
        let deep = b"*1\r\n".repeat(1 << 20);
        let lies: [&[u8]; 14] = [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\0\r\n",
            b"\r\n",
            b"+OK\rx",
            b":x\r\n",
            b"$-7\r\n",
            b"$1\r\nab\r\n",
            b"=2\r\nab\r\n",
            b">0\r\n$7\r\nmessage\r\n",
            b">3\r\n:1\r\n:2\r\n:3\r\n",
            b">3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n",
            b">-1\r\n",
            &long,
            &deep,
        ];
        for bytes in lies {
            let text = bytes[..bytes.len().min(50)].escape_ascii().to_string();
            assert!(decode(bytes).is_err(), "{text}");
        }
    }

    /// Nothing takes memory because of a number that somebody says.
    #[test]
    fn a_length_is_not_believed() {
        let lies: [&[u8]; 4] = [
            b"*1000000000\r\n",
            b"%9223372036854775807\r\n",
            b"$536870912\r\nx",
            b">9223372036854775807\r\n",
        ];
        for bytes in lies {
            assert_eq!(decoded(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
