//! The two halves of the handshake: the query string of the request, and the open packet.

use alloc::string::String;
use core::{fmt, time::Duration};

use bytestring::ByteString;
use serde::Serialize;
use smallvec::SmallVec;

use super::EngineDecodeError;
use crate::{EngineId, ServerConfig, Transports, transport::Transport};

/// The JSON of the open packet: what the server tells the client about the session.
///
/// Durations are in milliseconds, `max_payload` in bytes.
///
/// ```
/// use socketio_proto::engine::{EnginePacket, Frame, Open, Transport};
///
/// let json = r#"{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}"#;
/// let EnginePacket::Open(open) = EnginePacket::decode(Frame::Text(format!("0{json}").into()))? else {
///     unreachable!("it begins with 0");
/// };
/// assert_eq!((open.ping_interval, open.upgrades.as_slice()), (25_000, &[Transport::WebSocket][..]));
/// # Ok::<(), socketio_proto::engine::EngineDecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The id of the session, to be repeated in every request.
    pub sid: ByteString,
    /// Transports that the session may move to. Unknown ones are left out when it is read.
    pub upgrades: SmallVec<[Transport; 1]>,
    /// Milliseconds between a pong and the next ping.
    pub ping_interval: u64,
    /// Milliseconds that a pong may take.
    pub ping_timeout: u64,
    /// Largest POST or frame that the server accepts, in bytes. `u64::MAX` if the server did not
    /// say.
    pub max_payload: u64,
}

impl fmt::Debug for Open {
    /// Does not show the id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("upgrades", &self.upgrades)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_payload", &self.max_payload)
            .finish_non_exhaustive()
    }
}

impl Open {
    /// Makes the answer to a handshake over `transport`.
    pub(super) fn new(id: &EngineId, config: &ServerConfig, transport: Transport) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut upgrades = SmallVec::new();
        if transport == Transport::Polling && upgradable(config) {
            upgrades.push(Transport::WebSocket);
        }
        Self {
            sid: ByteString::from(id.as_str()),
            upgrades,
            ping_interval: millis(config.ping_interval),
            ping_timeout: millis(config.ping_timeout),
            max_payload: u64::try_from(config.max_payload).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn decode(json: &str) -> Result<Self, EngineDecodeError> {
        serde_json::from_str(json).map_err(|_| EngineDecodeError::InvalidOpen)
    }

    pub(super) fn encode(&self) -> ByteString {
        // Strings, numbers and a list: nothing here can fail to be JSON.
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut encoded = String::with_capacity(json.len().saturating_add(1));
        encoded.push('0');
        encoded.push_str(&json);
        encoded.into()
    }
}

/// Whether a polling session may move to WebSocket.
pub(super) fn upgradable(config: &ServerConfig) -> bool {
    config.allow_upgrades && config.transports == Transports::Both
}

/// The query string of a request. Of a repeated parameter the last one counts.
///
/// ```
/// use socketio_proto::engine::{Query, Transport};
///
/// let query = Query::parse("EIO=4&transport=polling&t=x1");
/// assert!(query.version4);
/// assert_eq!(query.transport, Some(Transport::Polling));
/// assert_eq!(query.sid, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Whether `EIO` is exactly `4`.
    pub version4: bool,
    /// The transport, if it is one that this crate has.
    pub transport: Option<Transport>,
    /// The session, if the request names one.
    pub sid: Option<QuerySid>,
}

/// The `sid` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: an id has the form of one, or not")]
pub enum QuerySid {
    /// It has the form of an id.
    Id(EngineId),
    /// It does not, so it belongs to no session.
    Malformed,
}

impl Query {
    /// Reads a query string (without the `?`). Unknown parameters are ignored, including `t`, `b64`
    /// and `j`. An empty `sid` counts as absent.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self { version4: false, transport: None, sid: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "EIO" => parsed.version4 = value == "4",
                "transport" => parsed.transport = Transport::parse(&value),
                "sid" if value.is_empty() => parsed.sid = None,
                "sid" => {
                    let id = EngineId::parse(&value);
                    parsed.sid = Some(id.map_or(QuerySid::Malformed, QuerySid::Id));
                }
                _ => {}
            }
        }
        parsed
    }
}
