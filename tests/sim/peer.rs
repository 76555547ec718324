//! The clients of a run: models of the official client and the client of this crate, with
//! namespaces by index and events by number.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    Timestamp, WireId,
    client::ClientEmitError,
    engine::{ClientInput, EngineClientOutput},
    socket::{Args, Event, NamespaceName},
};
use socketio_proto_sim::{
    Rng,
    client::{
        AckToken, ClientModel, ClientOptions, Delivery, OfficialClient, Outcome as Reported,
        OwnClient, Route,
    },
};

use crate::op::{Mistake, SPACES, Sending};

/// A client as the world sees it.
pub enum Peer {
    Official(Box<OfficialClient>),
    Own(Box<OwnClient>),
}

/// What a client wants to be done, or has noticed.
#[derive(Debug)]
pub enum Outcome {
    Wire(EngineClientOutput),
    Opened,
    /// Why, and whether the fault is that of the other side: something that it cannot read.
    Closed(String, bool),
    Connected {
        space: usize,
        sid: String,
        recovered: bool,
    },
    Refused {
        space: usize,
        message: String,
    },
    Left {
        space: usize,
        /// For the reader of the story.
        #[expect(dead_code, reason = "it is shown")]
        reason: &'static str,
    },
    Received {
        space: usize,
        event: Event,
        ack: Option<AckToken>,
        /// From the receive buffer of the official client, where events of earlier connections and
        /// sessions may still be (H24).
        is_buffered: bool,
    },
    /// The official client will break the protocol.
    Confused,
    /// An event of this number was answered.
    Acked {
        number: usize,
        args: Args,
    },
    /// It will not be answered; it may have arrived.
    Failed {
        number: usize,
    },
}

/// How long a client waits for an answer.
const ACK_TIMEOUT: Duration = Duration::from_secs(3);

impl Peer {
    /// `serial` is the number before that of the first CONNECT.
    pub fn new(
        is_official: bool,
        route: Route,
        reconnection: (u64, u64),
        rng: Rng,
        mut serial: u64,
    ) -> Self {
        let options = ClientOptions {
            route,
            reconnection_delay: Duration::from_millis(reconnection.0),
            reconnection_delay_max: Duration::from_millis(reconnection.1),
            ack_timeout: ACK_TIMEOUT,
        };
        let auth = Box::new(move |_: &str| {
            serial += 1;
            format!("{{\"serial\":{serial}}}")
        });
        if is_official {
            Self::Official(Box::new(OfficialClient::new(options, rng, auth)))
        } else {
            Self::Own(Box::new(OwnClient::new(&options, rng, auth)))
        }
    }

    fn model(&self) -> &dyn ClientModel {
        match self {
            Self::Official(client) => &**client,
            Self::Own(client) => &**client,
        }
    }

    fn model_mut(&mut self) -> &mut dyn ClientModel {
        match self {
            Self::Official(client) => &mut **client,
            Self::Own(client) => &mut **client,
        }
    }

    pub fn input(&mut self, now: Timestamp, input: ClientInput) {
        self.model_mut().handle_input(now, input);
    }

    pub fn poll(&mut self) -> Option<Outcome> {
        Some(match self.model_mut().poll_outcome()? {
            Reported::Wire(output) => Outcome::Wire(output),
            Reported::Opened => Outcome::Opened,
            Reported::Closed { reason, is_unreadable } => Outcome::Closed(reason, is_unreadable),
            Reported::Connected { namespace, id, recovered } => {
                Outcome::Connected { space: index(&namespace), sid: id, recovered }
            }
            Reported::Refused { namespace, message } => {
                Outcome::Refused { space: index(&namespace), message }
            }
            Reported::Disconnected { namespace, reason } => {
                Outcome::Left { space: index(&namespace), reason }
            }
            Reported::Received { namespace, event, ack, is_buffered } => {
                Outcome::Received { space: index(&namespace), event, ack, is_buffered }
            }
            Reported::Confused => Outcome::Confused,
            Reported::Acked { tag, args } => Outcome::Acked { number: number(tag), args },
            Reported::Failed { tag } => Outcome::Failed { number: number(tag) },
            Reported::GivenUp { event, .. } => Outcome::Failed { number: event.get(0).unwrap() },
            other => panic!("unexpected: {other:?}"),
        })
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        self.model().deadline()
    }

    pub fn set_paused(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        self.model_mut().set_paused(now, wire, is_paused);
    }

    pub fn connect(&mut self, now: Timestamp, space: usize) {
        self.model_mut().connect(now, SPACES[space]);
    }

    pub fn leave(&mut self, now: Timestamp, space: usize) {
        self.model_mut().disconnect(now, SPACES[space]);
    }

    /// Closes the connection without leaving a namespace. Only the client of this crate stays away.
    pub fn close(&mut self, now: Timestamp) {
        self.model_mut().close(now);
    }

    /// Does not wait for the next attempt.
    pub fn reconnect(&mut self, now: Timestamp) {
        self.model_mut().reconnect(now);
    }

    /// Leaves a namespace and forgets it. False if that is unknown to it.
    pub fn forget(&mut self, now: Timestamp, space: usize) -> bool {
        match self {
            Self::Official(_) => false,
            Self::Own(client) => client.call(now, |client, now| client.forget(now, SPACES[space])),
        }
    }

    /// Takes back what was not sent, by number.
    pub fn take_back(&mut self, now: Timestamp, space: usize) -> Vec<usize> {
        let Self::Own(client) = self else {
            return Vec::new();
        };
        let taken = client.call(now, |client, now| {
            let mut taken = client.take_buffered(now, SPACES[space]);
            taken.extend(client.take_retrying(now, SPACES[space]));
            taken
        });
        taken.iter().map(|event| event.event().get(0).unwrap()).collect()
    }

    /// Writes its state down. False if it cannot.
    pub fn save(&mut self) -> bool {
        if let Self::Own(client) = self {
            client.store();
        }
        matches!(self, Self::Own(_))
    }

    /// Ends the process and starts another one with its state, or with the one that was written
    /// down last. False if there is none.
    pub fn restart(&mut self, now: Timestamp, from_saved: bool) -> bool {
        match self {
            Self::Official(_) => false,
            Self::Own(client) => client.restart(now, from_saved, |event| event.get(0).unwrap()),
        }
    }

    /// Emits an event of this number. False if it was not taken.
    pub fn emit(&mut self, now: Timestamp, space: usize, number: usize, sending: Sending) -> bool {
        let is_official = matches!(self, Self::Official(_));
        let event = match sending {
            // The application gives each event an offset of its own.
            Sending::Retry if is_official => Event::new("retry", &(number, format!("c-{number}"))),
            Sending::Plain => Event::new("plain", &(number,)),
            Sending::Volatile => Event::new("volatile", &(number,)),
            Sending::Ack => Event::new("ack", &(number,)),
            Sending::Retry => Event::new("retry", &(number,)),
        };
        let delivery = match sending {
            Sending::Plain => Delivery::Plain,
            Sending::Volatile => Delivery::Volatile,
            Sending::Ack => Delivery::Ack,
            Sending::Retry => Delivery::Retry,
        };
        let tag = u64::try_from(number).unwrap();
        self.model_mut().emit(now, SPACES[space], &event.unwrap(), delivery, tag)
    }

    /// Sends what the server does not take; at most so much at once. False if it did not.
    pub fn blunder(
        &mut self,
        now: Timestamp,
        space: usize,
        what: Mistake,
        max_payload: usize,
    ) -> bool {
        match self {
            Self::Official(client) => blunder(client, now, space, what, max_payload),
            // It tells its application instead of sending it.
            Self::Own(client) => {
                let event = match what {
                    Mistake::TooManyAttachments => Event::new("big", &vec![Bytes::new(); 11]),
                    Mistake::TooLarge => Event::new("big", &("x".repeat(max_payload),)),
                    Mistake::LongName | Mistake::NoObject => return false,
                };
                if client.is_connected(SPACES[space]) {
                    let event = event.unwrap();
                    let told =
                        client.call(now, |client, now| client.emit(now, SPACES[space], &event));
                    assert!(
                        matches!(
                            told,
                            Err(ClientEmitError::TooManyAttachments { .. }
                                | ClientEmitError::TooLarge { .. })
                        ),
                        "{told:?}"
                    );
                }
                false
            }
        }
    }

    pub fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) {
        self.model_mut().ack(now, token, args);
    }

    pub fn is_connected(&self, space: usize) -> bool {
        self.model().is_connected(SPACES[space])
    }

    pub fn is_active(&self, space: usize) -> bool {
        self.model().is_active(SPACES[space])
    }

    /// Whether nothing waits to be sent or answered.
    pub fn is_idle(&self) -> bool {
        self.model().is_idle()
    }
}

fn blunder(
    client: &mut OfficialClient,
    now: Timestamp,
    space: usize,
    what: Mistake,
    max_payload: usize,
) -> bool {
    if !client.is_open() || !client.is_active(SPACES[space]) {
        return false;
    }
    let is_event = matches!(what, Mistake::TooManyAttachments | Mistake::TooLarge);
    if is_event && !client.is_connected(SPACES[space]) {
        return false;
    }
    let name = if space == 0 { String::new() } else { format!("{},", SPACES[space]) };
    match what {
        Mistake::TooManyAttachments => {
            let holes: Vec<String> = (0..11)
                .map(|number| format!("{{\"_placeholder\":true,\"num\":{number}}}"))
                .collect();
            let text = format!("511-{name}[\"big\",{}]", holes.join(","));
            client.send_raw(now, &text, &vec![Bytes::from_static(b"x"); 11]);
        }
        Mistake::TooLarge => {
            let text = format!("2{name}[\"big\",\"{}\"]", "x".repeat(max_payload));
            client.send_raw(now, &text, &[]);
        }
        Mistake::LongName => {
            client.send_raw(now, &format!("0/{},{{}}", "n".repeat(300)), &[]);
        }
        Mistake::NoObject => client.send_raw(now, &format!("0{name}\"token\""), &[]),
    }
    true
}

fn index(namespace: &NamespaceName) -> usize {
    SPACES.iter().position(|space| *space == namespace.as_str()).unwrap()
}

fn number(tag: u64) -> usize {
    usize::try_from(tag).unwrap()
}
