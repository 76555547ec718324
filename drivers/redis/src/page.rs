//! Messages that are read together share one copy.

use std::{mem::swap, ops::Range};

use bytes::Bytes;
use socketio_proto::ByteString;

use crate::{pushes::Push, resp::decode_same};

/// A place for so many messages is kept.
const MESSAGES: usize = 1_000;

/// The latest messages of two channels, the last one first. Sharded, an event comes in two.
#[derive(Default)]
pub(crate) struct Latest([Start; 2]);

/// How messages in a channel begin.
#[derive(Default)]
struct Start {
    /// What is in front of the payload.
    head: Vec<u8>,
    channel: ByteString,
    is_pattern: bool,
}

impl Latest {
    /// Reads a message that begins as one of them, and how many bytes it has.
    pub(crate) fn decode<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], usize)> {
        let Self([first, second]) = self;
        if let Some(read) = decode_same(bytes, &first.head) {
            return Some(read);
        }
        let read = decode_same(bytes, &second.head)?;
        swap(first, second);
        Some(read)
    }

    /// Takes note of how another one begins.
    pub(crate) fn note(&mut self, head: &[u8], channel: &[u8], is_pattern: bool) {
        let Self([first, second]) = self;
        swap(first, second);
        first.head.clear();
        first.head.extend_from_slice(head);
        first.channel = String::from_utf8_lossy(channel).into_owned().into();
        first.is_pattern = is_pattern;
    }
}

/// Messages that were read together.
#[derive(Default)]
pub(crate) struct Page {
    /// Without their payloads, and where those are.
    pushes: Vec<(Push, Range<usize>)>,
}

impl Page {
    /// Adds a message that is in `buffer` before `rest`.
    pub(crate) fn add(&mut self, buffer: &[u8], rest: &[u8], payload: &[u8], latest: &Latest) {
        // The line break is behind it.
        let end = buffer.len().saturating_sub(rest.len()).saturating_sub(2);
        let place = end.saturating_sub(payload.len())..end;
        let Latest([Start { channel, is_pattern, .. }, _]) = latest;
        let (channel, is_pattern) = (channel.clone(), *is_pattern);
        self.pushes.push((Push { channel, payload: Bytes::new(), is_pattern }, place));
    }

    /// Passes all of them on.
    pub(crate) fn pass(&mut self, buffer: &[u8], take: &impl Fn(Push)) {
        let (Some((_, first)), Some((_, last))) = (self.pushes.first(), self.pushes.last()) else {
            return;
        };
        let start = first.start;
        let shared = Bytes::copy_from_slice(buffer.get(start..last.end).unwrap_or_default());
        for (push, place) in self.pushes.drain(..) {
            let place = place.start.saturating_sub(start)..place.end.saturating_sub(start);
            take(Push { payload: shared.slice(place), ..push });
        }
        if self.pushes.capacity() > MESSAGES {
            self.pushes = Vec::new();
        }
    }
}
