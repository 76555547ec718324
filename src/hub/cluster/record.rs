//! Sessions as the store has them.

use alloc::{string::String, vec::Vec};

use bytestring::ByteString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    cluster::{
        FetchedSession,
        message::{StoredSession, Value},
    },
    hub::sessions::{Parked, ParkedPast, Sessions},
    time::Timestamp,
};

/// [`StoredSession::extension`], as a text.
#[derive(Serialize, Deserialize)]
struct Extension {
    past: ParkedPast,
    /// The data exactly as they are. An official node may not keep every number as it is.
    data: String,
}

/// Writes a session of this node for the store.
pub(super) fn write<D: Clone + Serialize>(
    sessions: &Sessions<D>,
    now: Timestamp,
    index: u32,
    version: u64,
    is_held: bool,
) -> Option<FetchedSession> {
    let (Parked { sid, pid, data, past }, left) = sessions.parked(now, index, is_held)?;
    let rooms: Vec<ByteString> = sessions.room_names(index).map(ByteString::from).collect();
    let official = Value::new(&data).unwrap_or(Value::null());
    let extension = Extension { past, data: serde_json::to_string(&data).ok()? };
    let text = serde_json::to_string(&extension).ok()?;
    let mut session = StoredSession::new(sid, pid, rooms, official);
    session.extension = Some(Value::new(&text).ok()?);
    session.version = Some(version);
    Some(FetchedSession::new(session, left))
}

/// Reads a session that a node of this crate has stored.
pub(super) fn read<D: DeserializeOwned>(session: &StoredSession) -> Option<Parked<D>> {
    let text: String = session.extension.as_ref()?.parse().ok()?;
    let Extension { past, data, .. } = serde_json::from_str(&text).ok()?;
    let data = serde_json::from_str(&data).ok()?;
    Some(Parked { sid: session.sid, pid: session.pid, data, past })
}
