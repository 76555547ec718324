//! One client: its link, its session, and what it has received.

use std::{
    io::{self, Read as _, Write as _},
    time::Instant,
};

use mio::net::TcpStream;

use crate::frame::{self, Received};

/// How far a client has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has no link.
    Closed,
    /// The link is being made.
    Connecting,
    /// The WebSocket handshake is under way.
    Upgrading,
    /// The Engine.IO session is being opened, or the namespace joined.
    Joining,
    /// It may emit.
    Ready,
}

/// What a client brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It has joined the namespace.
    Joined,
    /// One of its events was acknowledged.
    Acked,
    /// It has received events.
    Events(u64),
    /// It has been closed, or has received what it should not.
    Failed,
}

/// A client.
pub struct Client {
    pub stage: Stage,
    stream: Option<TcpStream>,
    /// What was received of the next frame.
    partial: Vec<u8>,
    /// Its session, which it comes back for.
    sid: String,
    pid: String,
    offset: String,
    /// Whether it comes back for its session.
    pub claims: bool,
    pub is_recovered: bool,
    /// The last acknowledgement.
    pub answer: String,
    /// When its last event was emitted.
    pub emitted: Instant,
}

impl Client {
    pub fn new() -> Self {
        Self {
            stage: Stage::Closed,
            stream: None,
            partial: Vec::new(),
            sid: String::new(),
            pid: String::new(),
            offset: String::new(),
            claims: false,
            is_recovered: false,
            answer: String::new(),
            emitted: Instant::now(),
        }
    }

    /// Takes a link that is being made.
    pub fn open(&mut self, stream: TcpStream) {
        self.stream = Some(stream);
        self.stage = Stage::Connecting;
        self.partial.clear();
    }

    /// The link fails without a close frame.
    pub fn cut(&mut self) {
        self.stream = None;
        self.stage = Stage::Closed;
    }

    /// The link is there.
    pub fn handle_writable(&mut self, port: u16) -> io::Result<()> {
        if self.stage == Stage::Connecting {
            self.stage = Stage::Upgrading;
            self.write(frame::upgrade_request(port).as_bytes())?;
        }
        Ok(())
    }

    /// Reads what there is and answers what has to be answered.
    pub fn handle_readable(
        &mut self,
        chunk: &mut [u8],
        mut tell: impl FnMut(News),
    ) -> io::Result<()> {
        while let Some(stream) = &mut self.stream {
            let len = match stream.read(chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if self.partial.is_empty() {
                self.handle_bytes(&chunk[..len], &mut tell)?;
            } else {
                let mut bytes = std::mem::take(&mut self.partial);
                bytes.extend_from_slice(&chunk[..len]);
                self.handle_bytes(&bytes, &mut tell)?;
            }
            if len < chunk.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a packet.
    pub fn send(&mut self, packet: &str) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(packet.len() + 8);
        frame::write_text(&mut bytes, packet);
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        // So little is in flight that the system takes it at once.
        stream.write_all(bytes)
    }

    fn handle_bytes(&mut self, mut bytes: &[u8], tell: &mut impl FnMut(News)) -> io::Result<()> {
        if self.stage == Stage::Upgrading {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                self.partial.extend_from_slice(bytes);
                return Ok(());
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            bytes = &bytes[end + 4..];
            self.stage = Stage::Joining;
        }
        let (mut events, mut last_event) = (0, None);
        while let Some(received) = frame::read(&mut bytes) {
            match received {
                Received::Text(packet) if packet.starts_with(b"42") => {
                    events += 1;
                    last_event = Some(packet);
                }
                Received::Text(packet) => self.handle_packet(packet, tell)?,
                Received::Other => tell(News::Failed),
            }
        }
        if let Some(event) = last_event {
            self.remember_offset(event);
            tell(News::Events(events));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn handle_packet(&mut self, packet: &[u8], tell: &mut impl FnMut(News)) -> io::Result<()> {
        let text = String::from_utf8_lossy(packet);
        match packet {
            [b'2'] => self.send("3")?,
            [b'0', ..] => {
                let (pid, offset) = (&self.pid, &self.offset);
                let connect = if self.claims {
                    format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#)
                } else {
                    "40".to_owned()
                };
                self.send(&connect)?;
            }
            [b'4', b'0', ..] => {
                let sid = field(&text, "sid");
                self.is_recovered = self.claims && sid == self.sid;
                sid.clone_into(&mut self.sid);
                field(&text, "pid").clone_into(&mut self.pid);
                self.stage = Stage::Ready;
                tell(News::Joined);
            }
            [b'4', b'3', ..] => {
                self.answer.clear();
                self.answer.push_str(&text);
                tell(News::Acked);
            }
            _ => tell(News::Failed),
        }
        Ok(())
    }

    /// With recovery on, the last argument of an event is its offset.
    fn remember_offset(&mut self, event: &[u8]) {
        let Some(event) = event.strip_suffix(b"\"]") else { return };
        let Some(start) = event.iter().rposition(|byte| *byte == b'"') else { return };
        if let Ok(offset) = str::from_utf8(&event[start + 1..]) {
            self.offset.clear();
            self.offset.push_str(offset);
        }
    }
}

/// A text field of a small JSON object.
fn field<'a>(json: &'a str, name: &str) -> &'a str {
    let key = format!("\"{name}\":\"");
    let value = json.split_once(&key).map_or("", |(_, rest)| rest);
    value.split_once('"').map_or("", |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(client: &mut Client, bytes: &[u8]) -> Vec<News> {
        let mut news = Vec::new();
        let partial = [std::mem::take(&mut client.partial), bytes.to_vec()].concat();
        client.handle_bytes(&partial, &mut |what| news.push(what)).unwrap();
        news
    }

    fn frame(text: &str) -> Vec<u8> {
        [&[0x81, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    #[test]
    fn bytes_may_come_in_any_pieces() {
        let mut client = Client::new();
        client.stage = Stage::Upgrading;
        assert!(received(&mut client, b"HTTP/1.1 101 Switching").is_empty());
        let connect = frame(r#"40{"sid":"S","pid":"P"}"#);
        let bytes = [b" Protocols\r\n\r\n", &connect[..5]].concat();
        assert!(received(&mut client, &bytes).is_empty());
        assert!(received(&mut client, &connect[5..]) == [News::Joined]);
        assert_eq!((&*client.sid, &*client.pid), ("S", "P"));

        let events = [frame(r#"42["msg","x","o1"]"#), frame(r#"42["msg","x","o2"]"#)].concat();
        assert!(received(&mut client, &events) == [News::Events(2)]);
        assert_eq!(client.offset, "o2");
        assert!(received(&mut client, &frame("4317[1]")) == [News::Acked]);
        assert_eq!(client.answer, "4317[1]");
        assert!(received(&mut client, &frame("44{}")) == [News::Failed]);
    }
}
