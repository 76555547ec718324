//! A client whose server is the test.

use std::{collections::VecDeque, time::Duration};

use socketio_proto::{
    Timestamp, WireId,
    client::{Auth, Client, ClientConfig, ClientEvent, ClientOutput},
    engine::{ClientInput, EngineClientOutput, Frame, Transport},
};

use super::entropy;

/// A client whose server is the test: over WebSocket, frame by frame.
pub struct Scripted {
    pub client: Client,
    pub now: Timestamp,
    pub events: VecDeque<ClientEvent>,
    /// Text frames that the client has sent.
    pub sent: Vec<String>,
    pub wire: WireId,
}

impl Scripted {
    pub fn new(config: ClientConfig) -> Self {
        let now = Timestamp::from_millis(1_000);
        let client = Client::new(config.transports(&[Transport::WebSocket]), entropy(3)).unwrap();
        Self { client, now, events: VecDeque::new(), sent: Vec::new(), wire: WireId(0) }
    }

    /// A client whose CONNECT was sent and not answered.
    pub fn connecting(config: ClientConfig) -> Self {
        let mut scripted = Self::new(config);
        scripted.client.connect(scripted.now, "/", Auth::None).unwrap();
        scripted.open();
        scripted
    }

    /// A client that has joined the main namespace.
    pub fn connected(config: ClientConfig) -> Self {
        let mut scripted = Self::connecting(config);
        assert_eq!(scripted.take_sent(), ["40"]);
        scripted.text(r#"40{"sid":"s1","pid":"p1"}"#);
        assert!(scripted.client.is_connected("/"));
        scripted.events.clear();
        scripted
    }

    /// Answers the attempt that the client makes now.
    pub fn open(&mut self) {
        self.drain();
        self.input(ClientInput::WebSocketOpened { wire: self.wire });
        self.text(r#"0{"sid":"e1","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#);
    }

    /// Breaks the link, and lets the client come back with a new one.
    pub fn reopen(&mut self) {
        self.input(ClientInput::WireClosed { wire: self.wire });
        self.expire();
        self.open();
    }

    pub fn text(&mut self, text: &str) {
        self.input(ClientInput::Frame { wire: self.wire, frame: Frame::Text(text.into()) });
    }

    pub fn input(&mut self, input: ClientInput) {
        self.client.handle_input(self.now, input);
        self.drain();
    }

    /// Goes to the deadline.
    pub fn expire(&mut self) -> Duration {
        let deadline = self.client.deadline().expect("a deadline");
        let waited = deadline.saturating_since(self.now);
        self.now = self.now.max(deadline);
        self.input(ClientInput::Timeout);
        assert!(self.client.deadline().is_none_or(|next| next > self.now), "it does not move on");
        waited
    }

    pub fn wait(&mut self, millis: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(millis));
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Event(event) => self.events.push_back(event),
                ClientOutput::Wire(EngineClientOutput::OpenWebSocket { wire, .. }) => {
                    self.wire = wire;
                }
                ClientOutput::Wire(EngineClientOutput::Send {
                    frame: Frame::Text(text), ..
                }) => {
                    self.sent.push(text.to_string());
                }
                ClientOutput::Wire(_) => {}
                other => unreachable!("not known to this code: {other:?}"),
            }
        }
    }

    pub fn take_sent(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.sent)
    }

    /// Takes the events, one word each.
    pub fn words(&mut self) -> Vec<String> {
        self.drain();
        self.events.drain(..).map(|event| word(&event)).collect()
    }
}

/// An event in a word or two.
pub fn word(event: &ClientEvent) -> String {
    match event {
        ClientEvent::ConnectionOpened { .. } => "opened".into(),
        ClientEvent::ConnectionClosed { reason, .. } => format!("closed: {}", reason.as_str()),
        ClientEvent::Reconnecting { attempt, .. } => format!("reconnecting {attempt}"),
        ClientEvent::Connected { recovered: true, .. } => "recovered".into(),
        ClientEvent::Connected { .. } => "connected".into(),
        ClientEvent::ConnectError { error, .. } => format!("connect error: {error:?}"),
        ClientEvent::Received { event, .. } => format!("received {}", event.json()),
        ClientEvent::Acked { ack, args, .. } => format!("acked {} {}", number(*ack), args.json()),
        ClientEvent::AckFailed { ack, cause, .. } => format!("failed {} {cause:?}", number(*ack)),
        ClientEvent::Disconnected { reason, .. } => format!("disconnected: {reason}"),
        ClientEvent::BufferExpired { event, .. } => format!("expired {}", event.event().json()),
        ClientEvent::AuthRequested { .. } => "auth?".into(),
        event => format!("{event:?}"),
    }
}

/// The number of an acknowledgement within its namespace.
fn number(ack: socketio_proto::AckId) -> String {
    let text = format!("{ack:?}");
    text.chars()
        .rev()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect()
}
