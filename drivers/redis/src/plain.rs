//! A connection without TLS, for everything but what is published.
//!
//! The parser of the `redis` crate allocates each value, twelve in an entry, and that takes more time than everything
//! else that a node does with an entry that concerns nobody. The decoder of `redis-protocol` says where the values are.
//! What is kept of an entry is copied once. TLS is left to the `redis` crate.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;
use redis::{Client, Cmd, ConnectionAddr, Parser, RedisError};
use redis_protocol::resp2::{decode::decode_range, types::RangeFrame};
use socketio_proto::cluster::engines::redis_streams::RedisReply;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{connection::not_expected, error::RedisEngineError, reply::reply};

/// Bytes that there is always a place for.
pub(crate) const READ: usize = 32 << 10;
/// A buffer is kept up to this size.
pub(crate) const KEPT: usize = 1 << 20;
/// The decoder calls itself for each array in another one. Replies with so few cannot be too deep for it.
const ARRAYS: usize = 500;
/// The arrays that an entry is in: of the streams, of a stream and its entries, and of these.
const AROUND_ENTRY: u8 = 3;
/// The names of fields, which need no memory.
const NAMES: [&[u8]; 6] = [b"uid", b"nsp", b"type", b"data", b"seq", b"nonce"];

const UNEXPECTED: RedisEngineError = RedisEngineError::Unexpected { command: "a command" };

/// A connection in the older version of the protocol, which has no pushes.
pub(crate) struct Plain {
    socket: Box<dyn Socket>,
    answer: Duration,
    buffer: BytesMut,
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for T {}

impl Plain {
    /// Connects. `None` if the server takes TLS.
    pub(crate) async fn open(
        client: &Client,
        answer: Duration,
    ) -> Result<Option<Self>, RedisEngineError> {
        let address = client.get_connection_info().addr();
        let Some(socket) = in_time(answer, connect(address)).await? else { return Ok(None) };
        let mut plain = Self { socket, answer, buffer: BytesMut::new() };
        plain.begin(client).await?;
        Ok(Some(plain))
    }

    /// For another version of the protocol.
    pub(crate) fn into_socket(self) -> Box<dyn Socket> {
        self.socket
    }

    /// Says who it is, and which database it means.
    async fn begin(&mut self, client: &Client) -> Result<(), RedisEngineError> {
        let settings = client.get_connection_info().redis_settings();
        if let Some(password) = settings.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(name) = settings.username() {
                auth.arg(name);
            }
            self.expect_ok("AUTH", auth.arg(password)).await?;
        }
        if settings.db() != 0 {
            self.expect_ok("SELECT", redis::cmd("SELECT").arg(settings.db())).await?;
        }
        Ok(())
    }

    async fn expect_ok(
        &mut self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<(), RedisEngineError> {
        match self.call(command).await? {
            RedisReply::Status(_) => Ok(()),
            other => Err(not_expected(name, other)),
        }
    }

    /// Sends a command, and waits for its answer.
    pub(crate) async fn call(&mut self, command: &Cmd) -> Result<RedisReply, RedisEngineError> {
        let mut replies = self.send(&command.get_packed_command(), 1).await?;
        replies.pop().ok_or(UNEXPECTED)
    }

    /// Sends commands, and waits for the replies to all of them.
    pub(crate) async fn send(
        &mut self,
        commands: &[u8],
        count: usize,
    ) -> Result<Vec<RedisReply>, RedisEngineError> {
        let Self { socket, answer, buffer } = self;
        in_time(*answer, async {
            socket.write_all(commands).await?;
            loop {
                buffer.reserve(READ);
                if socket.read_buf(buffer).await? == 0 {
                    return Err(RedisEngineError::Closed);
                }
                if let Some(replies) = decode(buffer, count)? {
                    buffer.clear();
                    if buffer.capacity() > KEPT {
                        *buffer = BytesMut::new();
                    }
                    return Ok(replies);
                }
            }
        })
        .await
    }

    /// Waits until the other end has closed it, or says something that nobody has asked for. It loses
    /// nothing if it is dropped.
    pub(crate) async fn closed(&mut self) -> RedisEngineError {
        self.buffer.reserve(READ);
        match self.socket.read_buf(&mut self.buffer).await {
            Ok(0) => RedisEngineError::Closed,
            Ok(_) => UNEXPECTED,
            Err(error) => error.into(),
        }
    }
}

/// `None` if it takes TLS.
async fn connect(address: &ConnectionAddr) -> Result<Option<Box<dyn Socket>>, RedisEngineError> {
    Ok(match address {
        ConnectionAddr::Tcp(host, port) => {
            let socket = TcpStream::connect((&**host, *port)).await?;
            socket.set_nodelay(true)?;
            Some(Box::new(socket))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Some(Box::new(tokio::net::UnixStream::connect(path).await?)),
        _ => None,
    })
}

pub(crate) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RedisEngineError>>,
) -> Result<T, RedisEngineError> {
    let late = |_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
    timeout(limit, work).await.map_err(late)?
}

/// Reads so many replies. `None` if they have not come to their end.
fn decode(bytes: &[u8], count: usize) -> Result<Option<Vec<RedisReply>>, RedisEngineError> {
    // Nothing follows them, because nothing else has been asked for.
    if !bytes.ends_with(b"\r\n") {
        return Ok(None);
    }
    if memchr_iter(b'*', bytes).count() > ARRAYS {
        return decode_deep(bytes, count);
    }
    let (mut replies, mut rest) = (Vec::with_capacity(count), bytes);
    while replies.len() < count {
        let Some((frame, len)) = decode_range(rest).map_err(|_| UNEXPECTED)? else {
            return Ok(None);
        };
        replies.push(Values { bytes: rest, entry: None }.reply(&frame, AROUND_ENTRY));
        rest = rest.get(len..).unwrap_or_default();
    }
    if rest.is_empty() { Ok(Some(replies)) } else { Err(UNEXPECTED) }
}

/// The same with a parser that is slower, and bounds the depth.
fn decode_deep(
    mut bytes: &[u8],
    count: usize,
) -> Result<Option<Vec<RedisReply>>, RedisEngineError> {
    let mut parser = Parser::new();
    let values = (0..count).map(|_| parser.parse_value(&mut bytes).map(reply));
    match values.collect::<Result<_, _>>() {
        Ok(replies) => Ok(Some(replies)),
        Err(error) if error.is_connection_dropped() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where the values of a reply are.
struct Values<'a> {
    bytes: &'a [u8],
    /// A copy of the present entry, and where it has begun. What is kept of an entry keeps nothing else.
    entry: Option<(Bytes, usize)>,
}

impl Values<'_> {
    fn reply(&self, frame: &RangeFrame, around: u8) -> RedisReply {
        match frame {
            RangeFrame::SimpleString(range) => RedisReply::Status(self.text(*range).into()),
            RangeFrame::Error(range) => RedisReply::Error(self.text(*range).into()),
            RangeFrame::Integer(number) => RedisReply::Int(*number),
            RangeFrame::BulkString(range) => RedisReply::Bulk(self.value(*range)),
            RangeFrame::Null => RedisReply::Nil,
            RangeFrame::Array(list) => {
                let own = if around == 0 { self.copied(frame) } else { None };
                let values = own.as_ref().unwrap_or(self);
                let around = around.wrapping_sub(1);
                RedisReply::Array(list.iter().map(|it| values.reply(it, around)).collect())
            }
        }
    }

    fn copied(&self, frame: &RangeFrame) -> Option<Self> {
        let (start, end) = (first(frame)?, last(frame)?);
        let copy = Bytes::copy_from_slice(self.bytes.get(start..end)?);
        Some(Self { bytes: self.bytes, entry: Some((copy, start)) })
    }

    fn value(&self, (start, end): (usize, usize)) -> Bytes {
        let value = self.bytes.get(start..end).unwrap_or_default();
        let Some((entry, begin)) = &self.entry else { return Bytes::copy_from_slice(value) };
        if let Some(name) = NAMES.into_iter().find(|name| *name == value) {
            return Bytes::from_static(name);
        }
        let own = entry.get(start.saturating_sub(*begin)..end.saturating_sub(*begin));
        own.map_or_else(|| Bytes::copy_from_slice(value), |own| entry.slice_ref(own))
    }

    fn text(&self, (start, end): (usize, usize)) -> String {
        String::from_utf8_lossy(self.bytes.get(start..end).unwrap_or_default()).into_owned()
    }
}

/// Where the first value begins.
fn first(frame: &RangeFrame) -> Option<usize> {
    match frame {
        RangeFrame::BulkString((start, _)) => Some(*start),
        RangeFrame::Array(list) => list.iter().find_map(first),
        _ => None,
    }
}

/// Where the last value ends.
fn last(frame: &RangeFrame) -> Option<usize> {
    match frame {
        RangeFrame::BulkString((_, end)) => Some(*end),
        RangeFrame::Array(list) => list.iter().rev().find_map(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    const PAGE: &[u8] = b"*1\r\n*2\r\n$6\r\nstream\r\n*2\r\n\
        *2\r\n$3\r\n5-1\r\n*4\r\n$3\r\nuid\r\n$1\r\na\r\n$4\r\ndata\r\n$4\r\n\r\n*1\r\n\
        *2\r\n$3\r\n5-2\r\n*2\r\n$4\r\ndata\r\n$0\r\n\r\n";

    /// As the `redis` crate reads it.
    fn expected(bytes: &[u8]) -> RedisReply {
        reply(redis::parse_redis_value(bytes).unwrap())
    }

    fn decoded(bytes: &[u8]) -> Option<RedisReply> {
        decode(bytes, 1).unwrap().map(|replies| {
            let [reply] = <[RedisReply; 1]>::try_from(replies).unwrap();
            reply
        })
    }

    #[test]
    fn replies_are_those_that_the_redis_crate_reads() {
        let replies: [&[u8]; 11] = [
            PAGE,
            b"*-1\r\n",
            b"$-1\r\n",
            b"*0\r\n",
            b"+OK\r\n",
            b"+a status\r\n",
            b":-7\r\n",
            b"$2\r\n\r\n\r\n",
            b"-LOADING Redis is loading the dataset in memory\r\n",
            b"-ERR\r\n",
            // Of `XINFO STREAM`, and what no command is answered with.
            b"*4\r\n$6\r\nlength\r\n:2\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n5-1\r\n*1\r\n*1\r\n*1\r\n*0\r\n",
        ];
        for bytes in replies {
            assert_eq!(decoded(bytes), Some(expected(bytes)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_reply_in_pieces_is_waited_for() {
        for end in 0..PAGE.len() {
            assert_eq!(decoded(&PAGE[..end]), None, "{end}");
        }
        // There are more arrays than the decoder is trusted with.
        let many = [&b"*600\r\n"[..], &b"*1\r\n:1\r\n".repeat(600)].concat();
        for end in (0..many.len()).step_by(97) {
            assert_eq!(decoded(&many[..end]), None, "{end}");
        }
        assert_eq!(decoded(&many), Some(expected(&many)));
    }

    #[test]
    fn replies_to_several_commands_come_one_after_the_other() {
        let many = b"*1\r\n:1\r\n".repeat(ARRAYS);
        for first in [&b"+OK\r\n"[..], &[&b"*500\r\n"[..], &many].concat()] {
            let bytes = [first, PAGE, b":3\r\n"].concat();
            let all = vec![expected(first), expected(PAGE), RedisReply::Int(3)];
            assert_eq!(decode(&bytes, 3).unwrap(), Some(all));
            assert_eq!(decode(&bytes, 4).unwrap(), None, "the fourth is to come");
        }
    }

    #[test]
    fn what_is_kept_of_an_entry_keeps_nothing_else() {
        let Some(RedisReply::Array(streams)) = decoded(PAGE) else { panic!() };
        let RedisReply::Array(named) = &streams[0] else { panic!() };
        let RedisReply::Array(entries) = &named[1] else { panic!() };
        let values = |entry: &RedisReply| {
            let RedisReply::Array(parts) = entry else { panic!() };
            let [RedisReply::Bulk(id), RedisReply::Array(fields)] = &parts[..] else { panic!() };
            let Some(RedisReply::Bulk(data)) = fields.last() else { panic!() };
            (id.as_ptr() as usize, data.as_ptr() as usize)
        };
        let [first, second] = [values(&entries[0]), values(&entries[1])];
        assert_eq!(first.1 - first.0, 39, "they are in one copy");
        assert_ne!(second.0.wrapping_sub(first.1), 14, "the next one is in another");
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let lies: [&[u8]; 5] = [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"+OK\r\n+OK\r\n",
            b"$-7\r\n",
            b":x\r\n",
            b"\0\r\n",
        ];
        for bytes in lies {
            assert!(decode(bytes, 1).is_err(), "{}", bytes.escape_ascii());
        }
    }

    /// The stack of a task of the runtime has two MiB.
    #[test]
    fn an_array_in_an_array_in_an_array_breaks_nothing() {
        for depth in [ARRAYS, ARRAYS + 1, 1 << 20] {
            let bytes = b"*1\r\n".repeat(depth);
            let deep = move || decode(&bytes, 1).map(|found| found.is_none());
            let decoded = std::thread::Builder::new().stack_size(2 << 20).spawn(deep).unwrap();
            let decoded = decoded.join().unwrap();
            assert!(decoded.is_err() || depth <= ARRAYS && decoded.unwrap(), "{depth}");
        }
        let nested = [b"*1\r\n".repeat(50), b":7\r\n".to_vec()].concat();
        let mut value = Value::Int(7);
        for _ in 0..50 {
            value = Value::Array(vec![value]);
        }
        assert_eq!(decoded(&nested), Some(reply(value)));
    }
}
