//! Reads a stream.

use std::{convert::Infallible, time::Duration};

use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::redis_streams::{RedisReply, RedisStreams, StreamInfo},
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::EngineInputs;
use tokio::{sync::mpsc, time::Instant};

use crate::{connection::Connection, error::RedisEngineError, position::Position, resp::Entries};

/// How often the reader checks that the stream is still the same.
const CHECK: Duration = Duration::from_secs(1);

/// The connection that reads a stream.
pub(crate) struct Reader<'a> {
    pub(crate) entries: Entries<'a>,
    /// The name of the stream.
    pub(crate) stream: &'a str,
    pub(crate) connection: Connection,
    /// Where the stream began when the connection was made.
    pub(crate) oldest: Position,
    /// How far it was read, also over earlier connections.
    pub(crate) position: &'a mut Option<Position>,
    /// How many entries are read one at a time, because so many at once were too large.
    pub(crate) large: &'a mut u32,
    /// Whether something could have been missing before the last page. So it can before the next one.
    pub(crate) is_behind: bool,
}

impl Reader<'_> {
    /// Hands in the entries behind the position that is asked for.
    pub(crate) async fn run(
        mut self,
        inputs: &EngineInputs,
        mut reads: mpsc::UnboundedReceiver<Offset>,
    ) -> Result<Infallible, RedisEngineError> {
        let Some(after) = reads.recv().await else { return std::future::pending().await };
        let mut position = self.position_of(after);
        *self.position = Some(position);
        let mut checked = Instant::now();
        loop {
            let (entries, end) = self.page(position).await?;
            position = end;
            *self.position = Some(position);
            let is_empty = entries.is_empty();
            inputs.send(entries).await;
            if self.is_behind {
                checked = Instant::now();
            } else if checked.elapsed() >= CHECK && !is_empty {
                let info = self.info().await?;
                ensure_continued(position, &[], &info)?;
                checked = Instant::now();
            }
        }
    }

    /// Reads the next entries behind a position, of which none is missing. Returns the position of the last one, too.
    async fn page(
        &mut self,
        position: Position,
    ) -> Result<(Vec<ClusterInput>, Position), RedisEngineError> {
        let count = self.count();
        let (entries, info) = self.read(position.at, count).await?;
        let read: Vec<Offset> = entries.iter().filter_map(position_of).collect();
        self.is_behind = self.may_have_gap(read.len(), count);
        if self.is_behind {
            // It must be later than the entries.
            let info = match info {
                Some(reply) => stream_info(&reply)?,
                None => self.info().await?,
            };
            ensure_continued(position, &read, &info)?;
        }
        Ok((entries, position.advance(&read)))
    }

    fn position_of(&self, after: Offset) -> Position {
        let known = [*self.position, Some(self.oldest)].into_iter().flatten();
        let known = known.filter(|position| position.at == after).max_by_key(|it| it.index);
        known.unwrap_or(Position { at: after, index: None })
    }

    /// How many entries are read at once.
    fn count(&self) -> u32 {
        if *self.large > 0 { 1 } else { self.entries.redis.options().read_count }
    }

    /// If the reader is behind, this asks at once for what the stream says of itself. That saves a trip and a wake-up
    /// for each page.
    async fn read(
        &mut self,
        after: Offset,
        count: u32,
    ) -> Result<(Vec<ClusterInput>, Option<RedisReply>), RedisEngineError> {
        let command = self.entries.redis.read_up_to(self.stream, after, count);
        let info = self.is_behind.then(|| RedisStreams::info(self.stream));
        let page = self.connection.read_entries(&command, info.as_ref(), &mut self.entries).await;
        if matches!(page, Err(RedisEngineError::ReplyTooLarge { .. })) {
            *self.large = self.entries.redis.options().read_count;
        } else {
            *self.large = self.large.saturating_sub(1);
        }
        page
    }

    /// A page that is not full has everything that the stream had behind the position. So something
    /// can only be missing if the stream had nothing more than the page.
    fn may_have_gap(&self, entries: usize, count: u32) -> bool {
        let options = self.entries.redis.options();
        let entries = entries as u64;
        entries >= u64::from(count) || entries >= options.max_len / 2
    }

    async fn info(&mut self) -> Result<StreamInfo, RedisEngineError> {
        stream_info(&self.connection.call(&RedisStreams::info(self.stream)).await?)
    }
}

fn ensure_continued(
    position: Position,
    read: &[Offset],
    info: &StreamInfo,
) -> Result<(), RedisEngineError> {
    if position.is_continued(read, info) { Ok(()) } else { Err(RedisEngineError::Trimmed) }
}

/// Reads where a stream begins and ends.
pub(crate) fn stream_info(reply: &RedisReply) -> Result<StreamInfo, RedisEngineError> {
    RedisStreams::stream_info(reply).map_err(|error| RedisEngineError::reply("XINFO", error))
}

const fn position_of(input: &ClusterInput) -> Option<Offset> {
    match input {
        ClusterInput::Entry { position, .. } => Some(*position),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
