//! Clients as a simulation sees them: a model of the official client, and the client of
//! `socketio-proto`.

mod official;
mod official_backoff;
mod official_engine;
mod official_socket;
mod own;

pub use self::{official::OfficialClient, own::OwnClient};

use std::time::Duration;

use socketio_proto::{
    Timestamp, WireId,
    client::ClientAckToken,
    engine::{ClientInput, EngineClientOutput},
    socket::{Args, Event, NamespaceName},
};

/// The transports of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// WebSocket only.
    WebSocket,
    /// HTTP long-polling only.
    Polling,
    /// HTTP long-polling, then an upgrade to WebSocket: the default of the official client.
    Upgrade,
}

/// How a client sends an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once. It waits while the client is not connected.
    Plain,
    /// Only if the client can send it now.
    Volatile,
    /// Once, and the client waits for the acknowledgement.
    Ack,
    /// Again and again until it is acknowledged.
    Retry,
}

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The transports.
    pub route: Route,
    /// The delay before the first attempt to reconnect.
    pub reconnection_delay: Duration,
    /// The longest delay between two attempts.
    pub reconnection_delay_max: Duration,
    /// How long the client waits for an acknowledgement.
    pub ack_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            route: Route::Upgrade,
            reconnection_delay: Duration::from_millis(200),
            reconnection_delay_max: Duration::from_secs(1),
            ack_timeout: Duration::from_secs(3),
        }
    }
}

/// Returns the `auth` of a CONNECT, as the text of a JSON object.
pub type AuthSource = Box<dyn FnMut(&str) -> String>;

/// A client in a simulation. Like the machines of `socketio-proto` it has one input, one output
/// queue and one deadline.
pub trait ClientModel {
    /// Takes what has happened on a wire, or a timeout.
    fn handle_input(&mut self, now: Timestamp, input: ClientInput);
    /// Takes the next outcome.
    fn poll_outcome(&mut self) -> Option<Outcome>;
    /// Returns when a timeout is due.
    fn deadline(&self) -> Option<Timestamp>;
    /// Stops or resumes sending on a WebSocket, which does not accept more frames for now.
    fn set_paused(&mut self, now: Timestamp, wire: WireId, is_paused: bool);
    /// Joins a namespace.
    fn connect(&mut self, now: Timestamp, namespace: &str);
    /// Leaves a namespace.
    fn disconnect(&mut self, now: Timestamp, namespace: &str);
    /// Closes the connection without leaving a namespace.
    fn close(&mut self, now: Timestamp);
    /// Reconnects without waiting for the next attempt.
    fn reconnect(&mut self, now: Timestamp);
    /// Emits an event. `tag` is named in its outcome. Returns false if the event was not accepted.
    fn emit(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &Event,
        delivery: Delivery,
        tag: u64,
    ) -> bool;
    /// Acknowledges an event of the server.
    fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args);
    /// Whether the client considers itself connected to a namespace.
    fn is_connected(&self, namespace: &str) -> bool;
    /// Whether the client wants to be connected to a namespace.
    fn is_active(&self, namespace: &str) -> bool;
    /// Whether nothing waits to be sent or acknowledged.
    fn is_idle(&self) -> bool;
    /// Whether an open wire matters to the client. The official client does not abort requests of a
    /// connection that it has given up.
    fn needs(&self, _wire: WireId) -> bool {
        true
    }
}

/// What a client wants to be done, or has noticed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Something to do on the network.
    Wire(EngineClientOutput),
    /// The connection is open.
    Opened,
    /// The connection is closed.
    Closed {
        /// The reason.
        reason: String,
        /// Whether the server has sent what a client cannot read.
        is_unreadable: bool,
    },
    /// The client has joined a namespace.
    Connected {
        /// The namespace.
        namespace: NamespaceName,
        /// The public id of the session.
        id: String,
        /// Whether the session was recovered.
        recovered: bool,
    },
    /// The server has refused a CONNECT.
    Refused {
        /// The namespace.
        namespace: NamespaceName,
        /// The error.
        message: String,
    },
    /// The client has left a namespace, or has lost its connection.
    Disconnected {
        /// The namespace.
        namespace: NamespaceName,
        /// The reason in the words of the official client.
        reason: &'static str,
    },
    /// The client has received an event.
    Received {
        /// The namespace.
        namespace: NamespaceName,
        /// The event with its offset.
        event: Event,
        /// What to answer with if the server asks for an acknowledgement.
        ack: Option<AckToken>,
        /// Whether it comes from the receive buffer of the official client, where events of earlier
        /// connections and sessions may still be: see [H24](socketio_proto::protocol).
        is_buffered: bool,
    },
    /// The client has taken a DISCONNECT that had crossed its own for the answer to its next
    /// CONNECT, as the official client does, and will break the protocol.
    Confused,
    /// An event was acknowledged.
    Acked {
        /// The tag of the event.
        tag: u64,
        /// The answer.
        args: Args,
    },
    /// An event will not be acknowledged. It may have arrived.
    Failed {
        /// The tag of the event.
        tag: u64,
    },
    /// An event without an acknowledgement was given up. It may have arrived.
    GivenUp {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: Event,
    },
}

/// Allows one acknowledgement of one event of the server.
#[derive(Debug)]
pub struct AckToken(Token);

#[derive(Debug)]
enum Token {
    Own(ClientAckToken),
    Official { namespace: NamespaceName, id: u64 },
}
