//! A connection for subscriptions.
//!
//! What is published comes in masses, so without TLS it does not go through the `redis` crate either: see
//! [`plain`](crate::plain). Payloads are copied once, out of the buffer of the socket, and those that were read
//! together share the copy.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::{Buf as _, Bytes, BytesMut};
use redis::{Client, PushInfo, PushKind, Value};
use socketio_proto::{ByteString, cluster::engines::redis_streams::RedisReply};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use crate::{
    bounds::Bounds,
    connection::not_expected,
    error::RedisEngineError,
    page::{Latest, Page},
    plain::{KEPT, Plain, READ, Socket, in_time},
    resp::{Frame, UNEXPECTED, decode},
};

/// What was published.
pub(crate) struct Push {
    pub(crate) channel: ByteString,
    pub(crate) payload: Bytes,
    /// Whether it has come through a pattern.
    pub(crate) is_pattern: bool,
}

/// The end of a connection for subscriptions.
#[derive(Default)]
pub(crate) struct End {
    notify: Notify,
    why: Mutex<Option<RedisEngineError>>,
}

impl End {
    /// It has ended. Without a reason, the other end has closed it.
    pub(crate) fn tell(&self, why: Option<RedisEngineError>) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.notify.notify_one();
    }

    /// Why it has ended. It tells it once.
    pub(crate) fn why(&self) -> RedisEngineError {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        why.unwrap_or(RedisEngineError::Closed)
    }

    /// Waits until it has ended.
    pub(crate) async fn reached(&self) -> RedisEngineError {
        self.notify.notified().await;
        self.why()
    }
}

/// A connection without TLS.
pub(crate) struct Subscriber {
    socket: WriteHalf<Box<dyn Socket>>,
    bounds: Bounds,
    end: Arc<End>,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// How many answers there may still be.
    expected: Arc<AtomicUsize>,
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
    /// `end` is told when the connection has ended.
    pub(crate) async fn open(
        client: &Client,
        bounds: Bounds,
        take: impl Fn(Push) + Send + Sync + 'static,
        end: Arc<End>,
    ) -> Result<Option<Self>, RedisEngineError> {
        let Some(plain) = Plain::open(client, bounds).await? else { return Ok(None) };
        let (reading, socket) = split(plain.into_socket());
        let (answered, answers) = mpsc::unbounded_channel();
        let expected = Arc::<AtomicUsize>::default();
        let (tell, asked) = (Arc::clone(&end), Arc::clone(&expected));
        let reader = tokio::spawn(async move {
            let ended = read(reading, bounds, &Answers { asked, answered: &answered }, &take).await;
            tell.tell(ended.err());
            drop((answered, take));
        });
        let mut subscriber =
            Self { socket, bounds, end, answers, expected, is_behind: false, reader };
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
        self.send(command, changes.max(1)).await?;
        let reply = in_time(self.bounds.answer, async {
            let mut confirmations = 0;
            loop {
                match self.answers.recv().await.ok_or_else(|| self.end.why())? {
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
        self.send(commands, count).await?;
        let mut replies = Vec::with_capacity(count);
        in_time(self.bounds.answer, async {
            while replies.len() < count {
                let answer = self.answers.recv().await.ok_or_else(|| self.end.why())?;
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

    /// Sends commands that have so many answers at most.
    async fn send(&mut self, commands: &[u8], answers: usize) -> Result<(), RedisEngineError> {
        if std::mem::replace(&mut self.is_behind, true) {
            return Err(RedisEngineError::Closed);
        }
        self.expected.store(answers, Relaxed);
        in_time(self.bounds.answer, async { Ok(self.socket.write_all(commands).await?) }).await
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The way of the answers to those who wait for them.
struct Answers<'a> {
    asked: Arc<AtomicUsize>,
    answered: &'a mpsc::UnboundedSender<Answer>,
}

impl Answers<'_> {
    /// Passes an answer on. Nothing is kept that nobody has asked for.
    fn pass(&self, answer: Answer) -> Result<(), RedisEngineError> {
        let left = |asked: usize| asked.checked_sub(1);
        if self.asked.fetch_update(Relaxed, Relaxed, left).is_err() {
            return Err(UNEXPECTED);
        }
        self.answered.send(answer).ok();
        Ok(())
    }
}

/// Reads until the connection ends.
async fn read(
    mut socket: ReadHalf<Box<dyn Socket>>,
    bounds: Bounds,
    answers: &Answers<'_>,
    take: &(impl Fn(Push) + Send + Sync),
) -> Result<(), RedisEngineError> {
    let mut buffer = BytesMut::new();
    let (mut latest, mut page) = (Latest::default(), Page::default());
    loop {
        buffer.reserve(READ);
        if socket.read_buf(&mut buffer).await? == 0 {
            return Err(RedisEngineError::Closed);
        }
        if buffer.len() > bounds.reply {
            return Err(bounds.too_large());
        }
        let mut rest = &buffer[..];
        loop {
            if let Some((payload, len)) = latest.decode(rest) {
                rest = rest.get(len..).unwrap_or_default();
                page.add(&buffer, rest, payload, &latest);
                continue;
            }
            let Some((frame, len)) = decode(rest, bounds)? else { break };
            let (whole, behind) = rest.split_at_checked(len).unwrap_or_default();
            rest = behind;
            let answer = match frame {
                Frame::Message { channel, payload, is_pattern, head } => {
                    latest.note(whole.get(..head).unwrap_or_default(), channel, is_pattern);
                    page.add(&buffer, rest, payload, &latest);
                    continue;
                }
                Frame::Reply(reply) => Answer::Reply(reply),
                Frame::Confirmed => Answer::Confirmed,
                Frame::Other => continue,
            };
            // What came before it is taken before it.
            page.pass(&buffer, take);
            answers.pass(answer)?;
        }
        page.pass(&buffer, take);
        let read = buffer.len().saturating_sub(rest.len());
        buffer.advance(read);
        if buffer.is_empty() && buffer.capacity() > KEPT {
            buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// How many answers are kept of what is said, and how it ends.
    async fn hear(asked: usize, said: &[u8]) -> (usize, RedisEngineError) {
        let (near, mut far) = duplex(1 << 10);
        let (answered, mut answers) = mpsc::unbounded_channel();
        far.write_all(said).await.unwrap();
        drop(far);
        let near: Box<dyn Socket> = Box::new(near);
        let asked = Arc::new(AtomicUsize::new(asked));
        let way = Answers { asked, answered: &answered };
        let (reading, _writing) = split(near);
        let ended = read(reading, Bounds::default(), &way, &|_| ()).await.unwrap_err();
        let mut kept = 0;
        while answers.try_recv().is_ok() {
            kept += 1;
        }
        (kept, ended)
    }

    fn message(channel: &str, payload: &str) -> String {
        let of = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        format!(">3\r\n{}{}{}", of("message"), of(channel), of(payload))
    }

    fn pattern_message(channel: &str, payload: &str) -> String {
        message(channel, payload).replacen(">3\r\n$7\r\n", ">4\r\n$8\r\np", 1).replacen(
            "message\r\n",
            "message\r\n$1\r\n*\r\n",
            1,
        )
    }

    #[tokio::test]
    async fn messages_are_the_same_however_they_are_read() {
        let (mut said, mut expected) = (String::new(), Vec::new());
        for (number, channel) in ["a", "a", "b", "a", "b", "c", "a", "ab"].iter().enumerate() {
            for is_pattern in [number % 3 == 0, number % 2 == 0] {
                let payload = "\r\n$1".repeat(number);
                let write = if is_pattern { pattern_message } else { message };
                said += &write(channel, &payload);
                expected.push(format!("{channel} {payload:?} {is_pattern}"));
            }
            if number % 4 == 1 {
                said += "+OK\r\n";
                expected.push("an answer".into());
            }
        }
        for at_once in [1, 2, 3, 5, 30, 100, 10_000] {
            let (near, mut far) = duplex(at_once);
            let (answered, mut answers) = mpsc::unbounded_channel();
            let text = said.clone();
            let write = async move { far.write_all(text.as_bytes()).await.unwrap() };
            let near: Box<dyn Socket> = Box::new(near);
            let way = Answers { asked: Arc::new(AtomicUsize::new(9)), answered: &answered };
            let (reading, _writing) = split(near);
            let heard = Mutex::new((answers.len(), Vec::new()));
            let hear = |push: Push| {
                let Push { channel, payload, is_pattern } = push;
                let mut heard = heard.lock().unwrap();
                for _ in heard.0..answers.len() {
                    heard.1.push("an answer".into());
                }
                heard.0 = answers.len();
                let payload = String::from_utf8(payload.to_vec()).unwrap();
                heard.1.push(format!("{channel} {payload:?} {is_pattern}"));
            };
            let (ended, ()) = tokio::join!(read(reading, Bounds::default(), &way, &hear), write);
            assert!(matches!(ended, Err(RedisEngineError::Closed)), "{ended:?}");
            assert_eq!(heard.into_inner().unwrap().1, expected, "{at_once} bytes at once");
            assert!(answers.try_recv().is_ok());
        }
    }

    #[tokio::test]
    async fn answers_that_nobody_has_asked_for_are_not_kept() {
        let confirmed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
        for said in [
            &b"+OK\r\n".repeat(50)[..],
            &confirmed.repeat(5),
            &[b"+OK\r\n", &confirmed[..], b":1\r\n"].concat(),
        ] {
            let (kept, ended) = hear(2, said).await;
            assert_eq!(kept, 2);
            assert!(matches!(ended, RedisEngineError::Unexpected { .. }), "{ended:?}");
        }
        let (kept, ended) = hear(3, &b"+OK\r\n".repeat(3)).await;
        assert_eq!(kept, 3);
        assert!(matches!(ended, RedisEngineError::Closed), "{ended:?}");
    }
}
