//! A connection for subscriptions.
//!
//! What is published comes in masses, so without TLS it does not go through the `redis` crate either: see
//! [`plain`](crate::plain). Each payload is copied once, out of the buffer of the socket.

use std::{sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use redis::{Client, PushInfo, PushKind, Value};
use socketio_proto::{ByteString, cluster::engines::redis_streams::RedisReply};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use crate::{
    connection::not_expected,
    error::RedisEngineError,
    plain::{KEPT, Plain, READ, Socket, in_time},
    resp3::{Frame, decode},
};

/// Bytes of a message that is not there yet. Redis takes less, unless it is told otherwise.
const LARGEST: usize = 1 << 30;

/// What was published.
pub(crate) struct Push {
    pub(crate) channel: ByteString,
    pub(crate) payload: Bytes,
    /// Whether it has come through a pattern.
    pub(crate) is_pattern: bool,
}

/// A connection without TLS.
pub(crate) struct Subscriber {
    socket: WriteHalf<Box<dyn Socket>>,
    answer: Duration,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// Whether an answer is still to come, for which nobody waits.
    is_behind: bool,
    reader: JoinHandle<()>,
}

/// What is not a message.
enum Answer {
    Reply(RedisReply),
    Confirmed,
}

impl Push {
    /// From what the `redis` crate has read. `None` if it is not a message.
    pub(crate) fn new(push: PushInfo) -> Option<Self> {
        let is_pattern = match push.kind {
            PushKind::Message | PushKind::SMessage => false,
            PushKind::PMessage => true,
            _ => return None,
        };
        let mut data = push.data.into_iter().skip(usize::from(is_pattern));
        match (data.next(), data.next()) {
            (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) => {
                // Whatever it says, it counts.
                let channel = String::from_utf8_lossy(&channel).into_owned().into();
                Some(Self { channel, payload: payload.into(), is_pattern })
            }
            _ => None,
        }
    }
}

impl Subscriber {
    /// Connects. `None` if the server takes TLS. `take` gets what is published, and must not wait.
    /// `closed` is told when the other end has closed the connection.
    pub(crate) async fn open(
        client: &Client,
        answer: Duration,
        take: impl Fn(Push) + Send + Sync + 'static,
        closed: Arc<Notify>,
    ) -> Result<Option<Self>, RedisEngineError> {
        let Some(plain) = Plain::open(client, answer).await? else { return Ok(None) };
        let (reading, socket) = split(plain.into_socket());
        let (answered, answers) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            // Why it has ended does not matter: everything is connected anew.
            read(reading, &answered, &take).await.ok();
            drop(take);
            closed.notify_one();
        });
        let mut subscriber = Self { socket, answer, answers, is_behind: false, reader };
        // From here on there are pushes.
        match subscriber.call(&redis::cmd("HELLO").arg(3).get_packed_command(), 0).await? {
            RedisReply::Map(_) | RedisReply::Array(_) => Ok(Some(subscriber)),
            other => Err(not_expected("HELLO", other)),
        }
    }

    /// Sends a command, and waits for its reply. If it changes so many subscriptions, Redis confirms
    /// each of them and says nothing else.
    pub(crate) async fn call(
        &mut self,
        command: &[u8],
        changes: usize,
    ) -> Result<RedisReply, RedisEngineError> {
        self.send(command).await?;
        let reply = in_time(self.answer, async {
            let mut confirmations = 0;
            loop {
                match self.answers.recv().await.ok_or(RedisEngineError::Closed)? {
                    Answer::Reply(reply) => return Ok(reply),
                    Answer::Confirmed => confirmations += 1,
                }
                if confirmations == changes {
                    return Ok(RedisReply::Array(Vec::new()));
                }
            }
        })
        .await?;
        self.is_behind = false;
        Ok(reply)
    }

    /// Sends commands that change no subscriptions, and waits for the replies to all of them.
    pub(crate) async fn call_all(
        &mut self,
        commands: &[u8],
        count: usize,
    ) -> Result<Vec<RedisReply>, RedisEngineError> {
        self.send(commands).await?;
        let mut replies = Vec::with_capacity(count);
        in_time(self.answer, async {
            while replies.len() < count {
                let answer = self.answers.recv().await.ok_or(RedisEngineError::Closed)?;
                if let Answer::Reply(reply) = answer {
                    replies.push(reply);
                }
            }
            Ok(())
        })
        .await?;
        self.is_behind = false;
        Ok(replies)
    }

    async fn send(&mut self, commands: &[u8]) -> Result<(), RedisEngineError> {
        if std::mem::replace(&mut self.is_behind, true) {
            return Err(RedisEngineError::Closed);
        }
        in_time(self.answer, async { Ok(self.socket.write_all(commands).await?) }).await
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Reads until the connection ends.
async fn read(
    mut socket: ReadHalf<Box<dyn Socket>>,
    answers: &mpsc::UnboundedSender<Answer>,
    take: &(impl Fn(Push) + Send + Sync),
) -> Result<(), RedisEngineError> {
    let mut buffer = BytesMut::new();
    // What comes next is mostly published in the same one.
    let mut latest = ByteString::new();
    loop {
        buffer.reserve(READ);
        if socket.read_buf(&mut buffer).await? == 0 || buffer.len() > LARGEST {
            return Err(RedisEngineError::Closed);
        }
        let mut rest = &buffer[..];
        while let Some((frame, len)) = decode(rest)? {
            rest = rest.get(len..).unwrap_or_default();
            match frame {
                Frame::Message { channel, payload, is_pattern } => {
                    if latest.as_bytes() != channel {
                        latest = String::from_utf8_lossy(channel).into_owned().into();
                    }
                    let payload = Bytes::copy_from_slice(payload);
                    take(Push { channel: latest.clone(), payload, is_pattern });
                }
                Frame::Reply(reply) => answers.send(Answer::Reply(reply)).unwrap_or_default(),
                Frame::Confirmed => answers.send(Answer::Confirmed).unwrap_or_default(),
                Frame::Other => {}
            }
        }
        let read = buffer.len().saturating_sub(rest.len());
        buffer.advance(read);
        if buffer.is_empty() && buffer.capacity() > KEPT {
            buffer = BytesMut::new();
        }
    }
}
