//! Engine.IO v4: one session over HTTP long-polling and WebSocket, either side.
//!
//! This layer handles the handshake, the [packets](EnginePacket) and their two encodings, the heartbeat,
//! the upgrade from polling to WebSocket, the close sequence, and the queue of packets that the
//! peer has not taken yet. It never sees a socket or a clock, and it does not know what its
//! messages mean.
//!
//! Protocol: <https://socket.io/docs/v4/engine-io-protocol/>
//!
//! # A session
//!
//! ```text
//!    handshake GET                             handshake WebSocket
//!          │                                            │
//!          ▼      WebSocketOpened                  5    ▼
//!       Polling ─────────────────▶ Probing ─────────▶ WebSocket
//!          │  ▲                     │   │               │
//!          │  └─────────────────────┘   │               │
//!          │     failed, closed, late   │               │
//!          │                            │               │
//!          ├────────────────────────────┴───────────────┤
//!          │ close() with something left                │ abort(), close() with nothing left,
//!          ▼                                            │ peer closed, fault, no pong, overflow
//!       Closing                                         │
//!          │ taken by the peer, or close_timeout        │
//!          ▼                                            ▼
//!        Ended ◀────────────────────────────────────────┘
//! ```
//!
//! An arrow is an [`EngineInput`], a frame (`5`) or a call (`close()`). *Something left* means a close
//! packet for a peer without a waiting GET, or packets for a paused WebSocket. Closing keeps the
//! transport. Everything that leads to Ended from another state leads there from Closing as well.
//!
//! # Driving it
//!
//! 1. [`verify`] every request. A handshake becomes a [`ServerConnection::new`]; a request of a
//!    session becomes an [`EngineInput`] to it.
//! 2. After any number of calls, take outputs with [`ServerConnection::poll_output`] until there
//!    are none, and carry them out. When you do that does not change what is sent, with two
//!    intended exceptions: packets that were not taken count against the [limits](crate::Limits),
//!    and [`pause`](ServerConnection::pause) holds them back.
//! 3. Give [`EngineInput::Timeout`] at [`ServerConnection::deadline`]. Every call may change the
//!    deadline.
//! 4. The session is over when you have taken [`EngineEvent::Closed`]. Drop it when no output is left.
//!    Answer a request that still arrives for it with code 1.
//!
//! Each wire of the session gets exactly one final output, [`EngineOutput::Respond`] or
//! [`EngineOutput::Close`], unless the peer closes it first. See the [rules of
//! driving](crate::guide#rules-of-driving) for the rest.
//!
//! # Time
//!
//! A session sees no socket. So give it what has arrived before you give [`EngineInput::Timeout`]: read
//! the clock, read the sockets once more, and pass that moment with the data and with the timeout.
//! Then whatever a peer sent in time counts, however busy the process was.
//!
//! Some drivers cannot know what has arrived, for example if other tasks read the sockets. And
//! sometimes the process did not run for a while: it was stopped, its virtual machine was suspended,
//! a handler blocked, or the clock jumped forward. Then the session protects its peer. A deadline
//! for the peer that is noticed more than 5 ms late ends nothing yet. It is judged at the end of a
//! *grace period*, which is as long as the deadline was noticed late, at least 100 ms and at most
//! `ping_timeout`. If the owner of the session is much too late again, there is another one. So
//! healthy peers stay, and lost ones are closed soon. No peer can cause a grace period.
//!
//! It applies to the pong, the upgrade and the end of the session. A [`Link`](crate::link::Link)
//! applies it to the first namespace and to attachments, a [`Hub`](crate::hub::Hub) to
//! acknowledgements and to parked sessions, and a [`Client`](crate::client::Client) to everything
//! that it waits for. If a [`Server`](crate::server::Server) is late for one deadline, it is late
//! for all, also for those that come within the grace period.
//!
//! Every method whose effect depends on the time takes `now`. These do not: taking an output, pausing
//! a wire, resuming a wire of one connection, aborting a connection, and sending from a client. They
//! set no timer, and nothing later depends on when they were called. A
//! [`Server`](crate::server::Server::resume) and a [`Client`](crate::client::Client::resume) resume a
//! wire at a time, because a connection that ends with it starts a timer there.
//!
//! # The client side
//!
//! [`ClientConnection`] is the other end of a session. It names the wires, and its outputs are the
//! requests to make.
//!
//! # Differences from the reference
//!
//! * A ping that is in flight during an upgrade keeps its deadline.
//! * The time for a pong starts when its ping was due, not when the timer fired.
//! * A POST over `max_payload` is answered with 413 and ends the session, since packets were lost.
//! * A close packet over WebSocket ends the session at once.
//! * The send queue is bounded.
//! * During an upgrade a GET is answered 25 ms after `3probe`, not 100 ms.
//! * A polling response stops at `max_payload` bytes; the rest follows with the next GET.
//! * Base64 and UTF-8 are checked.
//! * A faulty WebSocket handshake is refused with an explanation. It is never completed and then
//!   closed.
//! * JSONP does not exist; `j` is ignored.

mod client;
mod close_code;
mod closing;
mod cors;
mod deadlines;
mod error;
mod fifo;
mod handshake;
mod heartbeat;
mod input;
mod open;
mod output;
mod packet;
mod payload;
mod queue;
mod receive;
mod response;
mod sending;
mod server;
mod state;
mod status;
mod upgrade;
mod verify;
mod websocket;

pub use crate::transport::Transport;
pub use client::{
    ClientCloseReason, ClientConnection, ClientFault, ClientInput, ClientStart, EngineClientEvent,
    EngineClientOutput,
};
pub(crate) use close_code::TRY_AGAIN_LATER;
pub use close_code::close_text;
pub use cors::{Cors, Fields};
pub use error::{CloseReason, EngineDecodeError, SendError, TransportFault};
pub(crate) use fifo::Rare;
pub use handshake::{Open, Query, QuerySid};
pub use input::EngineInput;
pub use output::{EngineEvent, EngineOutput};
pub use packet::{EnginePacket, Frame, Payload};
pub use payload::{PayloadReader, PayloadWriter};
pub use response::Response;
pub use server::ServerConnection;
pub use verify::{ErrorCode, Method, RequestHead, RequestRefusal, Verified, verify};
pub use websocket::{WebSocketRequest, WebSocketResponse};
