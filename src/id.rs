//! Identifiers on the wire and identifiers of the API.
//!
//! # Counts that identify
//!
//! A server runs for a long time, and peers can make it count: they connect, join, leave, come back. No
//! count comes to an end for it, and no identifier comes to mean something else. "Never" is 2^64 at
//! the rates that limits allow by default, or at any rate that one process can reach.
//!
//! | what is counted | width | at the end |
//! | --- | --- | --- |
//! | connections ([`ConnectionId`] of a server) | 32 bits for the place in the table, 32 for how many it has had | the place is not used any more: 150 bytes for at least 2^31 connections |
//! | sessions ([`SocketKey`]) | 64 bits, from process to process | never; a snapshot beyond 2^63 is refused as damaged |
//! | links that a session was given to | 32 bits | the session stays where it is: the next claim is refused with [`Limit`](crate::recovery::Refusal::Limit). After 2^32 recoveries of one session, which take 12 days at the default `claims_per_second` if nobody else is let in |
//! | namespaces | 32 bits | ids are used again, after all others. Sockets, requests and acknowledgements of the former namespace are not taken for those of the present one: their own numbers go on |
//! | requests to join ([`ConnectRequest`](crate::hub::ConnectRequest)); CONNECTs of one connection | 64 bits | never |
//! | acknowledgements ([`AckId`], ids on the wire), of the server and of the client | 53 bits, exact in JavaScript; in a namespace that was made again they go on | begin again at 0 after 285 years of a million a second; no one waits that long |
//! | positions in a log, events that were received | 64 bits | never. The log keeps the low halves of the sequences of the packets that it has, which are fewer than 2^32 |
//! | epochs of a log | 64 bits; each restart adds at most 2^32 | never |
//! | rooms, places of sessions | 32 bits (rooms 31) | used again when nothing refers to them; as many as exist at a time take more memory than there is |
//! | marks of a broadcast (which sockets it has visited) | 32 bits | all marks are cleared |
//! | namespaces that a client has joined, its sessions there (`client::AckToken`) | 64 bits | never |
//! | WebSockets and requests of a client ([`WireId`]) | 64 bits | never |
//! | counters of [`Stats`](crate::server::Stats) | 64 bits | wrap; nothing depends on them |

use core::{
    fmt,
    hash::{Hash, Hasher},
    num::NonZeroU64,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use subtle::ConstantTimeEq as _;

use crate::entropy::Entropy;

/// Characters of an id on the wire: URL-safe base64 of 15 bytes, as the reference's.
const ID_LEN: usize = 20;
/// Bytes of entropy in an id: 120 bits.
const ID_ENTROPY: usize = 15;

pub(crate) type IdBytes = [u8; ID_LEN];

fn generate(entropy: &mut dyn Entropy) -> IdBytes {
    let mut random = [0; ID_ENTROPY];
    entropy.fill(&mut random);
    let mut text = [b'A'; ID_LEN];
    let written = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
    debug_assert_eq!(written, Ok(ID_LEN), "15 bytes are 20 characters");
    text
}

fn parse(text: &str) -> Option<IdBytes> {
    let is_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let bytes: IdBytes = text.as_bytes().try_into().ok()?;
    bytes.iter().all(is_id).then_some(bytes)
}

macro_rules! wire_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, PartialOrd, Ord)]
        pub struct $name(IdBytes);

        impl $name {
            /// Draws a new id of 120 random bits.
            pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
                Self(generate(entropy))
            }

            /// Reads an id; `None` unless it is 20 characters of the URL-safe base64 alphabet.
            pub fn parse(text: &str) -> Option<Self> {
                parse(text).map(Self)
            }

            /// Returns the 20 characters as they appear on the wire.
            pub fn as_str(&self) -> &str {
                core::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        /// Takes the same time wherever two ids differ.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = alloc::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom("not an id of 20 characters"))
            }
        }
    };
}

macro_rules! visible_debug {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

wire_id! {
    /// The Engine.IO session id (`sid` of the open packet).
    ///
    /// Whoever knows it can send on a polling session, so it is never the public socket id, its
    /// `Debug` shows only that there is one, and comparing two takes the same time wherever they
    /// differ. A sorted map of them does not: look up what a request names in an
    /// [`EngineIdMap`](crate::EngineIdMap).
    EngineId
}

impl EngineId {
    /// The form under which sessions are indexed.
    pub(crate) fn index_key(&self) -> IdBytes {
        self.0
    }
}

impl fmt::Debug for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineId(..)")
    }
}

wire_id! {
    /// The public Socket.IO id (`sid` of the CONNECT answer), kept across recoveries.
    SocketId
}
visible_debug!(SocketId);

/// The private session id (`pid` of the CONNECT answer): a bearer token for recovery.
///
/// Its `Debug` is redacted and its comparison takes the same time wherever two keys differ.
#[derive(Clone, Copy)]
pub struct RecoveryKey(IdBytes);

impl RecoveryKey {
    /// Draws a new key of 120 random bits.
    pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
        Self(generate(entropy))
    }

    /// Reads a key; `None` unless it is 20 characters of the URL-safe base64 alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }

    /// Returns the secret as it appears on the wire. Do not log it.
    pub fn expose(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The form under which sessions are indexed.
    pub(crate) fn index_key(&self) -> IdBytes {
        self.0
    }
}

impl PartialEq for RecoveryKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for RecoveryKey {}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

/// Names one HTTP exchange or one WebSocket. Chosen by the embedder.
///
/// It must not be reused while the exchange or the WebSocket that it names is still open; an
/// increasing counter will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireId(pub u64);

/// Names an Engine.IO session.
///
/// [`Server`](crate::server::Server) issues generational ones: after the session has ended its id
/// is a miss, never another peer. Whoever runs [`Link`](crate::link::Link)s around a
/// [`Hub`](crate::hub::Hub) chooses them, so that an id says where the link is; it must not be
/// reused for another link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// Makes the id from the number that the embedder uses.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the number that the id was made from.
    pub const fn as_raw(self) -> u64 {
        self.0
    }
}

/// Names a socket: one client in one namespace, connected or parked.
///
/// It stays the same across recoveries. It is generational: after the session has ended for good
/// it is a miss, never another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    pub(crate) namespace: u32,
    pub(crate) index: u32,
    pub(crate) generation: Generation,
}

/// Counts the sessions of a hub and of the processes before it: no two have the same.
///
/// Packed, because there is one wherever a socket is named; not zero, because most of those places
/// may name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(4))]
pub(crate) struct Generation(NonZeroU64);

impl Generation {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);
    /// A larger one is in no snapshot: it leaves room for more than can ever be taken.
    const RESTORED_MAX: u64 = u64::MAX / 2;

    /// Returns the present one and goes on to the next.
    pub(crate) fn take(&mut self) -> Self {
        let present = *self;
        self.0 = { self.0 }.saturating_add(1);
        present
    }

    /// How many there were before it.
    pub(crate) fn as_raw(self) -> u64 {
        { self.0 }.get().saturating_sub(1)
    }

    /// Reads one of a snapshot. `None` if no server has written it.
    pub(crate) fn from_raw(raw: u64) -> Option<Self> {
        if raw > Self::RESTORED_MAX { None } else { NonZeroU64::new(raw + 1).map(Self) }
    }
}

/// Names an acknowledgement that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId {
    pub(crate) namespace: u64,
    pub(crate) id: u64,
}
