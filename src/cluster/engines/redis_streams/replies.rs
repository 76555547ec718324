//! What replies mean.

use alloc::{boxed::Box, vec::Vec};
use core::{ops::Range, time::Duration};

use bytes::Bytes;
use thiserror::Error;

use super::{RedisReply, RedisStreams, StreamEntry, entry};
use crate::{
    cluster::{
        StoreOutcome,
        message::{Message, MessageError, MessageNames, StoredSession},
    },
    recovery::Offset,
};

/// A reply that is not an answer to the command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedisReplyError {
    /// Redis refuses the command.
    #[error("Redis refuses: {0}")]
    Refused(Box<str>),
    /// The reply has another form.
    #[error("unexpected reply")]
    Unexpected,
}

/// Where a stream begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Entries in it.
    pub length: u64,
    /// Entries that it has had, those that were trimmed included. `None` before Redis 7.0.
    pub entries_added: Option<u64>,
    /// The position of the first entry that is left, if there is one.
    pub first: Option<Offset>,
    /// The position of the last entry that it has had. A new reader starts behind it.
    pub last: Offset,
}

impl StreamInfo {
    /// Returns the earliest position behind which no entry is missing.
    ///
    /// Before Redis 7.0 it is not known whether entries were trimmed, so it is taken for granted.
    pub fn complete_after(&self) -> Offset {
        if self.entries_added == Some(self.length) {
            return Offset::pair(0, 0);
        }
        let Some((first, second)) = self.first.and_then(Offset::numbers) else {
            return self.last;
        };
        match second.checked_sub(1) {
            Some(before) => Offset::pair(first, before),
            None => Offset::pair(first.saturating_sub(1), u64::MAX),
        }
    }
}

/// A session as it is in Redis, or was before it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisSession {
    /// The session, or why nobody can read it.
    pub session: Result<StoredSession, MessageError>,
    /// How long it would have been kept. `None` if without a limit, which no node asks for.
    pub expires_in: Option<Duration>,
}

impl RedisStreams {
    /// Reads the reply to [`append`](Self::append): the position of the entry.
    ///
    /// # Errors
    ///
    /// Redis has refused it.
    pub fn appended(reply: &RedisReply) -> Result<Offset, RedisReplyError> {
        let id = checked(reply)?.text().ok_or(RedisReplyError::Unexpected)?;
        id.parse().map_err(|_| RedisReplyError::Unexpected)
    }

    /// Reads the reply to [`store`](Self::store).
    ///
    /// # Errors
    ///
    /// Redis has refused it.
    pub fn stored(reply: &RedisReply) -> Result<StoreOutcome, RedisReplyError> {
        match checked(reply)? {
            RedisReply::Int(0) => Ok(StoreOutcome::Superseded),
            RedisReply::Int(1) | RedisReply::Status(_) => Ok(StoreOutcome::Stored),
            _ => Err(RedisReplyError::Unexpected),
        }
    }

    /// Reads the reply to [`read`](Self::read): entries, in order. There are none if no entry came
    /// in time.
    ///
    /// # Errors
    ///
    /// The reply is not one to this command. An entry that cannot be read is not an error here.
    pub fn entries(&self, reply: &RedisReply) -> Result<Vec<StreamEntry>, RedisReplyError> {
        let mut entries = Vec::new();
        let mut stream = |list: &RedisReply| -> Result<(), RedisReplyError> {
            entries.append(&mut self.page(list)?);
            Ok(())
        };
        match checked(reply)? {
            RedisReply::Nil => {}
            RedisReply::Array(streams) => {
                for named in streams {
                    let [_, list] = named.array().ok_or(RedisReplyError::Unexpected)? else {
                        return Err(RedisReplyError::Unexpected);
                    };
                    stream(list)?;
                }
            }
            RedisReply::Map(streams) => streams.iter().try_for_each(|(_, list)| stream(list))?,
            _ => return Err(RedisReplyError::Unexpected),
        }
        Ok(entries)
    }

    /// Reads an entry as [`entries`](Self::entries) does, without a [`RedisReply`] for each of its values. Its
    /// id and its fields, a name and a value each, are parts of `entry`, which should have nothing else:
    /// what is kept of a message keeps all of it. `names` are those of the entries before it. `None` if the
    /// id is none, or a part is out of bounds.
    pub fn entry(
        &self,
        entry: &Bytes,
        id: Range<usize>,
        fields: impl IntoIterator<Item = (Range<usize>, Range<usize>)>,
        names: &mut MessageNames,
    ) -> Option<StreamEntry> {
        entry::read_parts(entry, id, fields.into_iter(), self.options.max_message_bytes, names)
    }

    /// Reads the reply to [`range`](Self::range): entries, in order.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    pub fn page(&self, reply: &RedisReply) -> Result<Vec<StreamEntry>, RedisReplyError> {
        let list = checked(reply)?.array().ok_or(RedisReplyError::Unexpected)?;
        let (limit, mut names) = (self.options.max_message_bytes, MessageNames::default());
        let entries = list.iter().map(|entry| entry::read(entry, limit, &mut names));
        entries.collect::<Option<_>>().ok_or(RedisReplyError::Unexpected)
    }

    /// Reads the reply to [`proven_range`](Self::proven_range). `None` if the entry at `after` is
    /// gone, and others may be.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    pub fn proven_page(
        &self,
        reply: &RedisReply,
    ) -> Result<Option<Vec<StreamEntry>>, RedisReplyError> {
        let Some([proof, page]) = checked(reply)?.array() else {
            return Err(RedisReplyError::Unexpected);
        };
        let proof = checked(proof)?.array().ok_or(RedisReplyError::Unexpected)?;
        if proof.is_empty() { Ok(None) } else { self.page(page).map(Some) }
    }

    /// Reads the reply to [`info`](Self::info). A stream that does not exist is empty.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    pub fn stream_info(reply: &RedisReply) -> Result<StreamInfo, RedisReplyError> {
        let start = Offset::pair(0, 0);
        if matches!(reply, RedisReply::Error(text) if text.ends_with("no such key")) {
            return Ok(StreamInfo { length: 0, entries_added: Some(0), first: None, last: start });
        }
        let pairs = checked(reply)?.pairs().ok_or(RedisReplyError::Unexpected)?;
        let (mut length, mut entries_added, mut first, mut last) = (None, None, None, None);
        for (name, value) in pairs {
            match name.text() {
                Some("length") => length = number(value),
                Some("entries-added") => entries_added = number(value),
                Some("last-generated-id") => last = position(value),
                Some("first-entry") => {
                    first = value.array().and_then(<[_]>::first).and_then(position);
                }
                _ => {}
            }
        }
        let length = length.ok_or(RedisReplyError::Unexpected)?;
        let last = last.ok_or(RedisReplyError::Unexpected)?;
        Ok(StreamInfo { length, entries_added, first, last })
    }

    /// Reads a message of a channel.
    ///
    /// # Errors
    ///
    /// It is malformed or too large. It has to be skipped and counted.
    pub fn message(&self, payload: &Bytes) -> Result<Message, MessageError> {
        self.check_len(payload.len())?;
        Message::from_msgpack(payload)
    }

    /// Reads the reply to [`server_count`](Self::server_count).
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    pub fn counted(reply: &RedisReply) -> Result<u64, RedisReplyError> {
        let pairs = checked(reply)?.pairs().ok_or(RedisReplyError::Unexpected)?;
        let count = pairs.first().and_then(|(_, count)| number(count));
        count.ok_or(RedisReplyError::Unexpected)
    }

    /// Reads the reply to [`fetch`](Self::fetch) or [`take`](Self::take). `None` if there is no
    /// session.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    pub fn fetched(&self, reply: &RedisReply) -> Result<Option<RedisSession>, RedisReplyError> {
        let Some([value, ttl, ..]) = checked(reply)?.array() else {
            return Err(RedisReplyError::Unexpected);
        };
        let value = match checked(value)? {
            RedisReply::Nil => return Ok(None),
            value => value.bytes().ok_or(RedisReplyError::Unexpected)?,
        };
        let ttl = checked(ttl)?.int().ok_or(RedisReplyError::Unexpected)?;
        let expires_in = u64::try_from(ttl).ok().map(Duration::from_millis);
        Ok(Some(RedisSession { session: self.session(&value), expires_in }))
    }

    fn session(&self, value: &Bytes) -> Result<StoredSession, MessageError> {
        self.check_len(value.len())?;
        StoredSession::from_base64(value)
    }
}

fn checked(reply: &RedisReply) -> Result<&RedisReply, RedisReplyError> {
    match reply {
        RedisReply::Error(text) => Err(RedisReplyError::Refused((**text).into())),
        _ => Ok(reply),
    }
}

fn number(reply: &RedisReply) -> Option<u64> {
    u64::try_from(reply.int()?).ok()
}

fn position(reply: &RedisReply) -> Option<Offset> {
    reply.text()?.parse().ok()
}
