//! The entries of a stream.

use std::ops::Range;

use bytes::Bytes;
use socketio_proto::cluster::{
    ClusterInput,
    engines::redis_streams::{RedisReply, RedisStreams, StreamEntry},
    message::MessageNames,
};

use super::{Cursor, DEPTH, Step, Stop, UNEXPECTED, decode_all};
use crate::{bounds::Bounds, error::RedisEngineError};

/// How entries of one stream begin, and no other reply.
const ENTRIES: &[u8] = b"*1\r\n*2\r\n$";
/// The values that take as much memory as an entry.
const ENTRY: usize = size_of::<ClusterInput>().div_ceil(size_of::<RedisReply>());

/// Fields of most entries.
const FIELDS: usize = 6;

/// Entries, and the replies to the commands behind the one that reads them.
type EntriesAndReplies = (Vec<ClusterInput>, Vec<RedisReply>);

/// Reads the entries of a stream.
pub(crate) struct Entries<'a> {
    pub(crate) redis: &'a RedisStreams,
    /// The number of the stream.
    pub(crate) channel: u32,
    /// Those of the entries that were read before.
    pub(crate) names: MessageNames,
}

impl Entries<'_> {
    /// Reads entries, and so many replies to other commands behind them, behind which there is nothing. `None` if
    /// they have not come to their end.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        others: usize,
        bounds: Bounds,
    ) -> Result<Option<EntriesAndReplies>, RedisEngineError> {
        if !bytes.starts_with(ENTRIES) {
            let replies = decode_all(bytes, others.saturating_add(1), bounds)?;
            let mut replies = replies.into_iter().flatten();
            let Some(reply) = replies.next() else { return Ok(None) };
            return Ok(Some((self.of_reply(&reply)?, replies.collect())));
        }
        let mut cursor = Cursor { rest: bytes, values: bounds.values() };
        let read = cursor.page(bytes).and_then(|page| {
            let len = bytes.len().saturating_sub(cursor.rest.len());
            Ok((page, len, cursor.values(others, DEPTH)?))
        });
        match read {
            Ok((page, len, others)) if cursor.rest.is_empty() => {
                let entries = self.read(bytes.get(..len).unwrap_or_default(), &page)?;
                Ok(Some((entries, others)))
            }
            Ok(_) => Err(UNEXPECTED),
            Err(stop) => stop.or_error(bounds),
        }
    }

    /// The same from a reply that has been read.
    pub(crate) fn of_reply(
        &self,
        reply: &RedisReply,
    ) -> Result<Vec<ClusterInput>, RedisEngineError> {
        let entries = self.redis.entries(reply);
        let entries = entries.map_err(|error| RedisEngineError::reply("XREAD", error))?;
        Ok(entries.into_iter().map(|entry| self.input(entry)).collect())
    }

    /// A node delivers broadcasts and keeps copies, so they share one copy of the page. It keeps parts of other
    /// messages, which must not keep all of the page.
    fn read(&mut self, bytes: &[u8], page: &Page) -> Result<Vec<ClusterInput>, RedisEngineError> {
        let shared = Bytes::copy_from_slice(bytes);
        let mut inputs = Vec::with_capacity(page.entries.len());
        for entry in &page.entries {
            let fields = page.fields.get(entry.fields.clone()).unwrap_or_default().iter();
            let id = entry.id.clone();
            let read = if entry.is_broadcast {
                self.redis.entry(&shared, id, fields.cloned(), &mut self.names)
            } else {
                let own = bytes.get(entry.whole.clone()).unwrap_or_default();
                let within = |part: &Range<usize>| {
                    let start = entry.whole.start;
                    part.start.saturating_sub(start)..part.end.saturating_sub(start)
                };
                let fields = fields.map(|(name, value)| (within(name), within(value)));
                let own = Bytes::copy_from_slice(own);
                self.redis.entry(&own, within(&id), fields, &mut self.names)
            };
            let entry = read.ok_or(UNEXPECTED)?;
            inputs.push(self.input(entry));
        }
        Ok(inputs)
    }

    fn input(&self, entry: StreamEntry) -> ClusterInput {
        let StreamEntry { position, message, .. } = entry;
        ClusterInput::Entry { channel: self.channel, position, message: message.ok() }
    }
}

/// Where the parts of all entries are in a reply.
struct Page {
    entries: Vec<Parts>,
    /// Names and values.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

struct Parts {
    whole: Range<usize>,
    id: Range<usize>,
    /// Which of the fields are its own.
    fields: Range<usize>,
    is_broadcast: bool,
}

impl Cursor<'_> {
    /// Reads a list with the name of a stream and its entries, in a list of such lists.
    fn page(&mut self, bytes: &[u8]) -> Step<Page> {
        let (_, _) = (self.line()?, self.line()?);
        self.text()?;
        let len = self.list()?;
        let room = self.room(len);
        let fields = Vec::with_capacity(room.saturating_mul(FIELDS));
        let mut page = Page { entries: Vec::with_capacity(room), fields };
        for _ in 0..len {
            self.note_values(ENTRY)?;
            let entry = self.entry(bytes, &mut page.fields)?;
            page.entries.push(entry);
        }
        Ok(page)
    }

    fn entry(
        &mut self,
        bytes: &[u8],
        fields: &mut Vec<(Range<usize>, Range<usize>)>,
    ) -> Step<Parts> {
        let at = |cursor: &Self| bytes.len().saturating_sub(cursor.rest.len());
        let (start, first) = (at(self), fields.len());
        if self.list()? != 2 {
            return Err(Stop::Malformed);
        }
        let id = self.part(bytes)?;
        // One whose fields were deleted while it was read has none.
        let len = match self.rest.strip_prefix(b"*-1\r\n") {
            Some(rest) => {
                self.rest = rest;
                0
            }
            None => self.list()?,
        };
        let mut is_broadcast = false;
        for _ in 0..len / 2 {
            self.note_value()?;
            let (name, value) = (self.part(bytes)?, self.part(bytes)?);
            if bytes.get(name.clone()) == Some(b"type") {
                is_broadcast = bytes.get(value.clone()) == Some(b"3");
            }
            fields.push((name, value));
        }
        let (whole, fields) = (start..at(self), first..fields.len());
        Ok(Parts { whole, id, fields, is_broadcast })
    }
}
