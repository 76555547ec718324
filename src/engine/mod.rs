//! Engine.IO v4: one session over HTTP long-polling and WebSocket, either side.
//!
//! This layer owns the handshake, the [packets](Packet) and their two encodings, the heartbeat, the
//! upgrade from polling to WebSocket, the close sequence, and the queue of packets that the peer
//! has not taken. It never sees a socket or a clock, and does not know what its messages mean.
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
//! An arrow is an [`Input`], a frame (`5`) or a call (`close()`). *Something left* is a close
//! packet for a peer without a waiting GET, or packets for a WebSocket that is paused. Closing keeps
//! the transport; all the ways into Ended lead there from it, too.
//!
//! # Driving it
//!
//! 1. [`verify`] every request. A handshake becomes a [`ServerConnection::new`]; a request of a
//!    session becomes an [`Input`] to it.
//! 2. After any number of calls, take outputs with [`ServerConnection::poll_output`] until there
//!    are none, and do what they say. When that is done makes no difference to what is sent, with
//!    two exceptions that are its very purpose: what was not taken counts against the
//!    [limits](crate::Limits), and [`pause`](ServerConnection::pause) holds it back.
//! 3. Send [`Input::Timeout`] at [`ServerConnection::deadline`], which may change with every call.
//! 4. The session is over when [`Event::Closed`] was taken, and can be dropped when no output is
//!    left. A request that still arrives is answered with code 1.
//!
//! Each wire that the session was given gets exactly one final output, [`Output::Respond`] or
//! [`Output::Close`], unless the peer closed it before.
//!
//! # Time
//!
//! A session sees no socket. Before it gets [`Input::Timeout`], hand in what has arrived: look at the
//! clock, then once more at the sockets, and pass that moment with what they had and with the
//! timeout. What a peer sent in time then counts, however busy the process was.
//!
//! Where that cannot be known, as in a runtime whose readers are tasks, or if the process did not
//! run for a while (it was stopped, its machine was suspended, a handler blocked, the clock jumped
//! forward), the session helps itself. A deadline that waits for the peer and is noticed more than 5
//! ms late ends nothing yet. It is judged at the end of a *grace period*: as long as the notice was
//! late, at least 100 ms, at most `ping_timeout`, and again if the session's owner is much too late
//! once more. So healthy peers stay, and those that are gone are
//! closed soon. No peer can cause one. It holds for the pong, the upgrade and the end of the session;
//! with a [`Link`](crate::link::Link) for its namespace and for attachments; with a
//! [`Hub`](crate::hub::Hub) for acknowledgements and for sessions whose clients are away; and with a
//! [`Client`](crate::client::Client) for all that it waits for. A [`Server`](crate::server::Server)
//! that is late for one of them is late for all.
//!
//! # The client's half
//!
//! [`ClientConnection`] is the other end of a session. It names the wires and asks for requests;
//! see there.
//!
//! # Where the reference is not followed
//!
//! * A ping that is in flight during an upgrade still has its deadline.
//! * A pong is awaited from the moment that its ping was due at, not from when a timer got to it.
//! * A POST over `max_payload` is answered with 413 and ends the session, since packets were lost.
//! * A close packet over WebSocket ends the session at once.
//! * The send queue is bounded.
//! * During an upgrade a GET is answered 25 ms after `3probe`, not 100 ms.
//! * A polling response stops at `max_payload` bytes; the rest follows with the next GET.
//! * Base64 and UTF-8 are checked.
//! * A WebSocket handshake with a fault is refused with words, never completed and then closed.
//! * JSONP does not exist; `j` is ignored.

mod client;
mod close_code;
mod cors;
mod error;
mod handshake;
mod heartbeat;
mod io;
mod open;
mod packet;
mod payload;
mod queue;
mod receive;
mod response;
mod server;
mod state;
mod upgrade;
mod verify;
mod websocket;

pub use crate::transport::Transport;
pub use client::{
    ClientCloseReason, ClientConnection, ClientEvent, ClientFault, ClientInput, ClientOutput,
    ClientStart,
};
pub(crate) use close_code::TRY_AGAIN_LATER;
pub use close_code::close_text;
pub use cors::{Cors, Fields};
pub use error::{CloseReason, DecodeError, SendError, TransportFault};
pub use handshake::{Open, Query, QuerySid};
pub use io::{Event, Input, Output};
pub use packet::{Frame, Packet, Payload};
pub use payload::{PayloadReader, PayloadWriter};
pub(crate) use queue::Rare;
pub use response::Response;
pub use server::ServerConnection;
pub use verify::{ErrorCode, Method, Refusal, RequestHead, Verified, verify};
pub use websocket::{WebSocketRequest, WebSocketResponse};
