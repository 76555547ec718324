//! Sessions as the store has them.

use alloc::{borrow::Cow, vec::Vec};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    cluster::{
        FetchedSession,
        message::{StoredSession, Value},
    },
    hub::sessions::{Parked, ParkedPast, ReceiptsSnapshot, Sessions},
    socket::Binary,
    time::Timestamp,
};

/// [`StoredSession::extension`]: the past, the data, and what the session remembers of its client's
/// events.
///
/// The data are the text exactly as it is. An official node may not keep every number as it is. As bytes,
/// neither text nor numbers are escaped or written twice.
type Extension<'a, P, B> = (P, Cow<'a, str>, Option<B>);

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
    let data = serde_json::to_string(&data).ok()?;
    let receipts = sessions.packed_receipts(index, is_held);
    let extension: Extension<'_, &ParkedPast, Bytes> = (&past, data.into(), receipts);
    let mut session = StoredSession::new(sid, pid, rooms, official);
    session.extension = Some(Value::new(&extension).ok()?);
    session.version = Some(version);
    Some(FetchedSession::new(session, left))
}

/// Reads a session that a node of this crate has stored.
pub(super) fn read<D: DeserializeOwned>(session: &StoredSession) -> Option<Parked<D>> {
    let extension = session.extension.as_ref()?;
    let (mut past, data, receipts): Extension<'_, ParkedPast, Binary> = extension.parse().ok()?;
    if let Some(receipts) = receipts {
        past.receipts = Some(ReceiptsSnapshot::unpack(receipts.resolve(extension)?)?);
    }
    let data = serde_json::from_str(&data).ok()?;
    Some(Parked { sid: session.sid, pid: session.pid, data, past })
}
