//! Code that both kinds of clients share.

use std::time::Duration;

use socketio_proto::{
    Timestamp, WireId,
    client::ClientAckToken,
    engine::{ClientInput, EngineClientOutput},
    socket::{Args, Event},
};

use crate::op::{Mistake, Sending};

/// A client as the world sees it.
pub trait Peer {
    fn input(&mut self, now: Timestamp, input: ClientInput);
    fn poll(&mut self) -> Option<Outcome>;
    fn deadline(&self) -> Option<Timestamp>;
    fn set_paused(&mut self, now: Timestamp, wire: WireId, is_paused: bool);
    fn connect(&mut self, now: Timestamp, space: usize);
    fn leave(&mut self, now: Timestamp, space: usize);
    /// Closes the connection without leaving a namespace, and stays away.
    fn close(&mut self, now: Timestamp);
    /// Does not wait for the next attempt.
    fn reconnect(&mut self, now: Timestamp);
    /// Leaves a namespace and forgets it. False if that is unknown to it.
    fn forget(&mut self, now: Timestamp, space: usize) -> bool;
    /// Takes back what was not sent, by number.
    fn take_back(&mut self, now: Timestamp, space: usize) -> Vec<usize>;
    /// Writes its state down. False if it cannot.
    fn save(&mut self) -> bool;
    /// Ends the process and starts another one with its state, or with the one that was written
    /// down last. False if there is none.
    fn restart(&mut self, now: Timestamp, from_saved: bool) -> bool;
    /// Emits an event of this number. False if it was not taken.
    fn emit(&mut self, now: Timestamp, space: usize, number: usize, sending: Sending) -> bool;
    /// Sends what the server does not take; at most so much at once. False if it did not.
    fn blunder(&mut self, now: Timestamp, space: usize, what: Mistake, max_payload: usize) -> bool;
    fn ack(&mut self, now: Timestamp, token: Token, args: &Args);
    fn is_connected(&self, space: usize) -> bool;
    fn is_active(&self, space: usize) -> bool;
    /// Whether nothing waits to be sent or answered.
    fn is_idle(&self) -> bool;
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
        ack: Option<Token>,
        /// From the receive buffer of the official client, where events of earlier connections and
        /// sessions may still be (H24).
        is_buffered: bool,
    },
    /// It has taken a DISCONNECT that had crossed its own for the answer to its next CONNECT, as
    /// the official client does, and will break the protocol.
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

/// Entitles to answer an event of the server.
#[derive(Debug)]
pub enum Token {
    Ours(ClientAckToken),
    Official { space: usize, id: u64 },
}

/// How long a client waits for an answer.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(3);

/// The name of an event of a client, by how it is sent.
pub fn event_name(sending: Sending) -> &'static str {
    match sending {
        Sending::Plain => "plain",
        Sending::Volatile => "volatile",
        Sending::Ack => "ack",
        Sending::Retry => "retry",
    }
}
