//! A connection without TLS, for everything but what is published.
//!
//! The parser of the `redis` crate allocates each value, twelve in an entry, and that takes more time than everything
//! else that a node does with an entry that concerns nobody. Here, an entry is copied once, and what is kept of it are
//! parts of the copy. TLS is left to the `redis` crate.

use std::{io, time::Duration};

use bytes::BytesMut;
use redis::{Client, Cmd, ConnectionAddr, RedisError};
use socketio_proto::cluster::{ClusterInput, engines::redis_streams::RedisReply};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    bounds::Bounds,
    connection::not_expected,
    error::RedisEngineError,
    resp::{Entries, UNEXPECTED, decode_all},
};

/// Bytes that there is always a place for.
pub(crate) const READ: usize = 32 << 10;
/// A buffer is kept up to this size.
pub(crate) const KEPT: usize = 1 << 20;

/// A connection in the older version of the protocol, which has no pushes.
pub(crate) struct Plain {
    socket: Box<dyn Socket>,
    bounds: Bounds,
    buffer: BytesMut,
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for T {}

impl Plain {
    /// Connects. `None` if the server takes TLS.
    pub(crate) async fn open(
        client: &Client,
        bounds: Bounds,
    ) -> Result<Option<Self>, RedisEngineError> {
        let address = client.get_connection_info().addr();
        let Some(socket) = in_time(bounds.answer, connect(address)).await? else { return Ok(None) };
        let mut plain = Self { socket, bounds, buffer: BytesMut::new() };
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
        let bounds = self.bounds;
        self.exchange(commands, |bytes| decode_all(bytes, count, bounds)).await
    }

    /// Sends a command whose reply is entries of a stream, and maybe another one behind it.
    pub(crate) async fn read_entries(
        &mut self,
        read: &Cmd,
        other: Option<&Cmd>,
        entries: &mut Entries<'_>,
    ) -> Result<(Vec<ClusterInput>, Option<RedisReply>), RedisEngineError> {
        let (mut commands, bounds) = (read.get_packed_command(), self.bounds);
        if let Some(other) = other {
            other.write_packed_command(&mut commands);
        }
        let others = other.into_iter().count();
        let decode = |bytes: &[u8]| entries.decode(bytes, others, bounds);
        let (entries, replies) = self.exchange(&commands, decode).await?;
        Ok((entries, replies.into_iter().next()))
    }

    /// Sends commands, and waits for what `decode` reads.
    async fn exchange<T>(
        &mut self,
        commands: &[u8],
        mut decode: impl FnMut(&[u8]) -> Result<Option<T>, RedisEngineError>,
    ) -> Result<T, RedisEngineError> {
        let Self { socket, bounds, buffer } = self;
        in_time(bounds.answer, async {
            socket.write_all(commands).await?;
            loop {
                buffer.reserve(READ);
                if socket.read_buf(buffer).await? == 0 {
                    return Err(RedisEngineError::Closed);
                }
                if buffer.len() > bounds.reply {
                    return Err(bounds.too_large());
                }
                // Nothing follows it, because nothing else has been asked for.
                let may_be_all = buffer.ends_with(b"\r\n");
                if let Some(read) = if may_be_all { decode(buffer)? } else { None } {
                    buffer.clear();
                    if buffer.capacity() > KEPT {
                        *buffer = BytesMut::new();
                    }
                    return Ok(read);
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
