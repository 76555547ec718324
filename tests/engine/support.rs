//! A session with its clock. Each step is one line of text, and so is each output.

use alloc::sync::Arc;
use core::{fmt::Write as _, time::Duration};

use socketio_proto::engine::{
    CloseReason, EngineEvent, EngineInput, EngineOutput, Frame, Payload, Response,
    ServerConnection, Transport,
};
use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};

/// Intervals of the conformance suite: 300 ms and 200 ms.
pub(crate) fn config() -> ServerConfig {
    ServerConfig::new()
        .ping_interval(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(200))
        .upgrade_timeout(Duration::from_millis(100))
        .close_timeout(Duration::from_secs(1))
}

pub(crate) fn id() -> EngineId {
    EngineId::parse("abcdefghijklmnopqrst").unwrap()
}

pub(crate) struct Driver {
    pub(crate) session: ServerConnection,
    pub(crate) now: Timestamp,
}

impl Driver {
    /// A session whose handshake, wire 0, is answered already.
    pub(crate) fn new(config: ServerConfig, transport: Transport) -> Self {
        let now = Timestamp::from_millis(1_000);
        let session = ServerConnection::new(now, Arc::new(config), id(), transport, WireId(0));
        let mut driver = Self { session, now };
        assert_eq!(driver.drain().len(), 1, "the open packet");
        driver
    }

    pub(crate) fn polling() -> Self {
        Self::new(config(), Transport::Polling)
    }

    pub(crate) fn websocket() -> Self {
        Self::new(config(), Transport::WebSocket)
    }

    /// A polling session with `2probe` answered on this wire.
    pub(crate) fn probing(wire: u64) -> Self {
        let mut driver = Self::polling();
        assert!(driver.opened(wire).is_empty());
        assert_eq!(driver.text(wire, "2probe"), [format!("send {wire} 3probe")]);
        driver
    }

    pub(crate) fn drain(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.session.poll_output()).map(|output| line(&output)).collect()
    }

    pub(crate) fn input(&mut self, input: EngineInput) -> Vec<String> {
        self.session.handle_input(self.now, input);
        self.drain()
    }

    pub(crate) fn get(&mut self, wire: u64) -> Vec<String> {
        self.input(EngineInput::Poll { wire: WireId(wire) })
    }

    pub(crate) fn post(&mut self, wire: u64, body: &str) -> Vec<String> {
        let body = Some(body.to_owned().into());
        self.input(EngineInput::Post { wire: WireId(wire), body, binary: false })
    }

    pub(crate) fn announce(&mut self, wire: u64) -> Vec<String> {
        self.input(EngineInput::Post { wire: WireId(wire), body: None, binary: false })
    }

    pub(crate) fn body(&mut self, wire: u64, body: &str) -> Vec<String> {
        self.input(EngineInput::Body { wire: WireId(wire), body: body.to_owned().into() })
    }

    pub(crate) fn opened(&mut self, wire: u64) -> Vec<String> {
        self.input(EngineInput::WebSocketOpened { wire: WireId(wire) })
    }

    pub(crate) fn text(&mut self, wire: u64, text: &str) -> Vec<String> {
        self.input(EngineInput::Frame { wire: WireId(wire), frame: Frame::Text(text.into()) })
    }

    pub(crate) fn lost(&mut self, wire: u64) -> Vec<String> {
        self.input(EngineInput::WireClosed { wire: WireId(wire) })
    }

    pub(crate) fn send(&mut self, text: &str) -> Vec<String> {
        assert_eq!(self.session.send(self.now, Payload::Text(text.into())), Ok(()));
        self.drain()
    }

    pub(crate) fn close(&mut self) -> Vec<String> {
        self.session.close(self.now, CloseReason::ForcedClose);
        self.drain()
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(millis));
    }

    /// Milliseconds until the deadline.
    pub(crate) fn due(&self) -> Option<u128> {
        Some(self.session.deadline()?.saturating_since(self.now).as_millis())
    }

    /// Goes to the deadline.
    pub(crate) fn expire(&mut self) -> Vec<String> {
        self.now = self.session.deadline().expect("a deadline");
        self.input(EngineInput::Timeout)
    }
}

/// One line per output: `respond 1 200 4hi`, `send 1 4hi`, `close 1 1009`, `message hi`.
pub(crate) fn line(output: &EngineOutput) -> String {
    match output {
        EngineOutput::Respond { wire, response: Response { status, body, .. } } => {
            let body = core::str::from_utf8(body).expect("bodies are text");
            format!("respond {} {status} {body}", wire.0).trim_end().to_owned()
        }
        EngineOutput::Send { wire, frame: Frame::Text(text) } => format!("send {} {text}", wire.0),
        EngineOutput::Send { wire, frame: Frame::Binary(bytes) } => {
            format!("send {} {}", wire.0, hex(bytes))
        }
        EngineOutput::Close { wire, code: Some(code) } => format!("close {} {code}", wire.0),
        EngineOutput::Close { wire, code: None } => format!("close {}", wire.0),
        EngineOutput::Event(EngineEvent::Message(Payload::Text(text))) => format!("message {text}"),
        EngineOutput::Event(EngineEvent::Message(Payload::Binary(bytes))) => {
            format!("message {}", hex(bytes))
        }
        EngineOutput::Event(EngineEvent::Closed { reason }) => {
            format!("closed {}", reason.as_str())
        }
        EngineOutput::Event(event) => format!("{event:?}").to_lowercase(),
        other => unreachable!("unknown: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("0x");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string");
    }
    text
}
