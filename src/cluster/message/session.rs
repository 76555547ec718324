//! Sessions as the store keeps them.

use alloc::{string::String, vec::Vec};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    MessageError, Value,
    encode::{write_rooms, write_value},
    raw::{Format, Raw},
    sink::{MsgpackSink, Sink as _},
};
use crate::{RecoveryKey, SocketId};

/// A session that waits in the store for its client.
///
/// An official node stores `sid`, `pid`, `rooms` and `data`, and ignores everything else.
///
/// ```
/// use bytes::Bytes;
/// use socketio_proto::cluster::message::StoredSession;
///
/// // What an official node has stored.
/// let value = Bytes::from_static(
///     b"hKNzaWS0Ymhad1FTZGFrZjBhbldVSUFBQUGjcGlktE1IYjRGcGNxM2piUnphZDJBQUFCpXJvb21zkrRiaFp3UVNkYWtm\
///       MGFuV1VJQUFBQaJyMaRkYXRhgaR1c2VyonUx",
/// );
/// let session = StoredSession::from_base64(&value)?;
/// assert_eq!(session.sid.as_str(), "bhZwQSdakf0anWUIAAAA");
/// assert_eq!(session.rooms, ["bhZwQSdakf0anWUIAAAA", "r1"]);
/// assert_eq!(session.data.json(), r#"{"user":"u1"}"#);
/// assert_eq!(session.to_base64()?.as_bytes(), value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The id of the socket.
    pub sid: SocketId,
    /// The private id, with which the client recovers the session.
    pub pid: RecoveryKey,
    /// The rooms of the socket, its own included.
    pub rooms: Vec<ByteString>,
    /// What the application keeps with the socket. For an official node it is an object.
    pub data: Value,
    /// What nodes of this crate keep beside it. Without it, the session is of an official node.
    pub extension: Option<Value>,
    /// Changes each time that a node of this crate stores the session, so that a node can replace
    /// exactly what it knows. `None` if an official node has stored it.
    pub version: Option<u64>,
}

/// The field of [`StoredSession::extension`].
const EXTENSION: &str = "socketio-proto";

/// The field of [`StoredSession::version`].
const VERSION: &str = "socketio-proto-version";

/// A field that only makes the length fit.
const PADDING: &str = "socketio-proto-padding";

/// A number of 8 bytes in msgpack.
const UINT_64: u8 = 0xcf;

/// As Node.js reads base64: with or without padding.
pub(in crate::cluster) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl StoredSession {
    /// Makes a session as an official node stores it.
    pub const fn new(sid: SocketId, pid: RecoveryKey, rooms: Vec<ByteString>, data: Value) -> Self {
        Self { sid, pid, rooms, data, extension: None, version: None }
    }

    /// Reads a session from the value in the store: base64 of msgpack.
    ///
    /// # Errors
    ///
    /// It is malformed. The client has to be refused, as if there were none.
    pub fn from_base64(value: &[u8]) -> Result<Self, MessageError> {
        let value = BASE64.decode(value).map_err(|_| MessageError::Malformed)?;
        Self::from_msgpack(&value.into())
    }

    /// Reads a session from msgpack.
    pub(in crate::cluster) fn from_msgpack(value: &Bytes) -> Result<Self, MessageError> {
        let (mut sid, mut pid, mut rooms, mut data) = (None, None, None, None);
        let (mut extension, mut version) = (None, None);
        Raw::new(value, Format::Msgpack)
            .fields(|name, value| {
                match name {
                    "sid" => sid = value.text().and_then(|sid| SocketId::parse(&sid)),
                    "pid" => pid = value.text().and_then(|pid| RecoveryKey::parse(&pid)),
                    "rooms" => rooms = value.rooms(),
                    "data" => data = Some(value),
                    EXTENSION => extension = Some(value),
                    VERSION => version = value.wide_number(),
                    _ => {}
                }
                Some(())
            })
            .ok_or(MessageError::Malformed)?;
        Ok(Self {
            sid: sid.ok_or(MessageError::Field { field: "sid" })?,
            pid: pid.ok_or(MessageError::Field { field: "pid" })?,
            rooms: rooms.ok_or(MessageError::Field { field: "rooms" })?.0,
            data: data.map_or(Ok(Value::null()), Raw::value)?,
            extension: extension.map(Raw::value).transpose()?,
            version,
        })
    }

    /// Writes the value for the store.
    ///
    /// # Errors
    ///
    /// [`MessageError::TooDeep`] if a value is nested more than 128 deep.
    pub fn to_base64(&self) -> Result<String, MessageError> {
        Ok(STANDARD.encode(self.to_msgpack()?))
    }

    /// Writes msgpack. If there is a version, [`version_end`](Self::version_end) is at its end.
    pub(in crate::cluster) fn to_msgpack(&self) -> Result<Bytes, MessageError> {
        let mut sink = MsgpackSink::default();
        let of_version = if self.version.is_some() { 2 } else { 0 };
        sink.map(4 + usize::from(self.extension.is_some()) + of_version);
        sink.key("sid");
        sink.text(self.sid.as_str());
        sink.key("pid");
        sink.text(self.pid.expose());
        write_rooms(&mut sink, "rooms", &self.rooms, false);
        sink.key("data");
        if self.data.json() == "null" {
            // Handlers of an official node read properties of it.
            sink.map(0);
        } else {
            write_value(&mut sink, &self.data)?;
        }
        if let Some(extension) = &self.extension {
            sink.key(EXTENSION);
            write_value(&mut sink, extension)?;
        }
        if let Some(version) = self.version {
            sink.key(PADDING);
            let before = sink.out.len() + 1;
            let mut key = MsgpackSink::default();
            key.key(VERSION);
            let excess = (before + key.out.len()) % 3;
            sink.text(&"  "[..(3 - excess) % 3]);
            sink.key(VERSION);
            sink.out.extend(Self::version_end(version));
        }
        Ok(sink.out.into())
    }

    /// What precedes [`version_end`](Self::version_end) if there is a version: all but the first letter of
    /// the name of its field. Both begin where base64 begins anew, so this is also true of their base64.
    pub(in crate::cluster) const VERSION_MARK: &[u8] = VERSION.as_bytes().split_at(1).1;

    /// How a session of this version ends in msgpack. An engine that can compare texts only thereby
    /// finds out which version it has. The length of the whole is a multiple of 3, so this is also the
    /// end of the base64.
    pub(in crate::cluster) fn version_end(version: u64) -> [u8; 9] {
        let mut end = [UINT_64; 9];
        end[1..].copy_from_slice(&version.to_be_bytes());
        end
    }

    /// [`VERSION_MARK`](Self::VERSION_MARK) in base64.
    pub(in crate::cluster) fn version_mark_base64() -> String {
        STANDARD.encode(Self::VERSION_MARK)
    }

    /// How a session of this version ends in base64.
    pub(in crate::cluster) fn version_end_base64(version: u64) -> String {
        STANDARD.encode(Self::version_end(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> StoredSession {
        let sid = SocketId::parse("bhZwQSdakf0anWUIAAAA").unwrap();
        let pid = RecoveryKey::parse("MHb4Fpcq3jbRzad2AAAB").unwrap();
        StoredSession::new(sid, pid, alloc::vec!["r1".into()], Value::new(&("x", 1)).unwrap())
    }

    #[test]
    fn our_fields_come_back_and_nothing_becomes_an_object() {
        let mut stored = session();
        stored.extension = Some(Value::new(&(7, Bytes::from_static(b"\0\xff"))).unwrap());
        let value = stored.to_base64().unwrap();
        assert_eq!(StoredSession::from_base64(value.as_bytes()), Ok(stored.clone()));
        let unpadded = value.trim_end_matches('=');
        assert_eq!(StoredSession::from_base64(unpadded.as_bytes()), Ok(stored.clone()));

        stored.data = Value::null();
        let value = stored.to_base64().unwrap();
        let read = StoredSession::from_base64(value.as_bytes()).unwrap();
        assert_eq!(read.data.json(), "{}");
    }

    #[test]
    fn every_version_is_at_the_end_of_what_is_stored() {
        for len in 0..9 {
            for version in [0, 1, 127, u64::from(u32::MAX), u64::MAX] {
                let mut stored = session();
                stored.rooms = alloc::vec!["r".repeat(len).into()];
                stored.version = Some(version);
                let value = stored.to_base64().unwrap();
                let end = StoredSession::version_end_base64(version);
                let end = [StoredSession::version_mark_base64(), end].concat();
                assert_eq!(end.len(), 40);
                assert!(value.ends_with(&end) && !end.contains('='), "{len} {version} {value}");
                let end = StoredSession::version_end(version);
                let end = [StoredSession::VERSION_MARK, &end].concat();
                assert_eq!(end.len(), 30);
                assert!(stored.to_msgpack().unwrap().ends_with(&end));
                assert_eq!(StoredSession::from_base64(value.as_bytes()), Ok(stored));
            }
        }
    }

    #[test]
    fn a_session_in_pieces_is_refused() {
        let value = session().to_base64().unwrap();
        let whole = STANDARD.decode(&value).unwrap();
        for len in 0..whole.len() {
            let part = STANDARD.encode(&whole[..len]);
            assert!(StoredSession::from_base64(part.as_bytes()).is_err(), "{len}");
        }
        let longer = STANDARD.encode([&whole[..], b"\0"].concat());
        assert_eq!(StoredSession::from_base64(longer.as_bytes()), Err(MessageError::Malformed));
        for value in ["", "%", "gKA", "wA==", "gA=="] {
            assert!(StoredSession::from_base64(value.as_bytes()).is_err(), "{value}");
        }
        let short = "hKNzaWShYaNwaWShYqVyb29tc5CkZGF0YYA=";
        let refused = StoredSession::from_base64(short.as_bytes());
        assert_eq!(refused, Err(MessageError::Field { field: "sid" }));
    }
}
