//! What waits to be sent or polled, with its size known at any time.

use alloc::{boxed::Box, collections::VecDeque};

use bytes::Bytes;
use bytestring::ByteString;

use super::{Frame, PayloadWriter, packet::base64_len, payload::len_with};
use crate::Limits;

/// Packets on their way to the peer, in order.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    entries: VecDeque<Entry>,
    bytes: usize,
    exempt_bytes: usize,
    exempt_packets: u32,
    /// Packets ever appended: the position of the next one.
    appended: u64,
}

/// A [`Frame`], and whether the limits do not apply to it: control packets, and replays that have a
/// limit of their own. In a type of its own it takes 40 bytes instead of 48.
#[derive(Debug)]
enum Entry {
    Text { text: ByteString, exempt: bool },
    Binary { bytes: Bytes, exempt: bool },
}

impl Entry {
    fn new(frame: Frame, exempt: bool) -> Self {
        match frame {
            Frame::Text(text) => Self::Text { text, exempt },
            Frame::Binary(bytes) => Self::Binary { bytes, exempt },
        }
    }

    fn into_frame(self) -> Frame {
        match self {
            Self::Text { text, .. } => Frame::Text(text),
            Self::Binary { bytes, .. } => Frame::Binary(bytes),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Binary { bytes, .. } => bytes.len(),
        }
    }

    /// Bytes in a polling body.
    fn payload_len(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Binary { bytes, .. } => base64_len(bytes.len()),
        }
    }

    fn is_exempt(&self) -> bool {
        match self {
            Self::Text { exempt, .. } | Self::Binary { exempt, .. } => *exempt,
        }
    }
}

impl SendQueue {
    /// Capacity kept when the queue runs empty, so that light traffic does not allocate each time.
    const KEPT: usize = 8;
    /// The capacity that a queue begins with: an idle connection has had a packet at a time.
    const FIRST: usize = 2;

    pub(super) fn push(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.reserve();
        self.appended = self.appended.wrapping_add(1);
        self.entries.push_back(Entry::new(frame, false));
    }

    pub(super) fn push_exempt(&mut self, frame: Frame) {
        self.count_exempt(&frame);
        self.appended = self.appended.wrapping_add(1);
        self.entries.push_back(Entry::new(frame, true));
    }

    /// As [`push_exempt`](Self::push_exempt), before everything else.
    pub(super) fn push_front_exempt(&mut self, frame: Frame) {
        self.count_exempt(&frame);
        self.entries.push_front(Entry::new(frame, true));
    }

    pub(super) fn pop(&mut self) -> Option<Frame> {
        let entry = self.entries.pop_front()?;
        self.forget(&entry);
        if self.entries.is_empty() && self.entries.capacity() > Self::KEPT {
            self.entries = VecDeque::new();
        }
        Some(entry.into_frame())
    }

    /// Takes as many packets as a polling body of `limit` bytes holds, at least one if there is.
    pub(super) fn pop_payload(&mut self, limit: usize) -> Bytes {
        let (count, len) = self.measure(limit);
        if let (1, Some(Entry::Text { .. })) = (count, self.entries.front())
            && let Some(Frame::Text(text)) = self.pop()
        {
            return text.into_bytes();
        }
        let mut body = PayloadWriter::with_capacity(limit, len);
        for _ in 0..count {
            let fitted = self.pop().is_some_and(|frame| body.push(&frame));
            debug_assert!(fitted, "it was measured");
        }
        body.finish()
    }

    pub(super) fn clear(&mut self) {
        *self = Self { appended: self.appended, ..Self::default() };
    }

    /// The position of the packet that is appended next.
    pub(super) fn end(&self) -> u64 {
        self.appended
    }

    /// Whether the packet at a position was taken out.
    pub(super) fn has_left(&self, position: u64) -> bool {
        position < self.appended.saturating_sub(self.entries.len() as u64)
    }

    /// Whether one more packet respects the limits.
    pub(super) fn fits(&self, frame: &Frame, limits: &Limits) -> bool {
        self.has_room(1, frame.len(), limits.queued_packets, limits.queued_bytes)
    }

    /// Whether that many more packets, of that many bytes together, respect limits on both.
    pub(super) fn has_room(
        &self,
        packets: usize,
        bytes: usize,
        max_packets: usize,
        max_bytes: usize,
    ) -> bool {
        let bytes = self.bytes.saturating_sub(self.exempt_bytes).saturating_add(bytes);
        let held = self.entries.len().saturating_sub(self.exempt_packets as usize);
        bytes <= max_bytes && held.saturating_add(packets) <= max_packets
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn packets(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn reserve(&mut self) {
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(Self::FIRST);
        }
    }

    fn count_exempt(&mut self, frame: &Frame) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.exempt_bytes = self.exempt_bytes.saturating_add(frame.len());
        self.exempt_packets = self.exempt_packets.saturating_add(1);
        self.reserve();
    }

    fn forget(&mut self, entry: &Entry) {
        self.bytes = self.bytes.saturating_sub(entry.len());
        if entry.is_exempt() {
            self.exempt_bytes = self.exempt_bytes.saturating_sub(entry.len());
            self.exempt_packets = self.exempt_packets.saturating_sub(1);
        }
    }

    /// Packets that fit into one body, and its size.
    fn measure(&self, limit: usize) -> (usize, usize) {
        let mut len = 0;
        let mut count = 0;
        for entry in &self.entries {
            let Some(longer) = len_with(len, entry.payload_len(), limit) else {
                break;
            };
            len = longer;
            count += 1;
        }
        (count, len)
    }
}

/// First in, first out, and mostly empty.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "8 bytes instead of 32 for as long as there is nothing")]
pub(crate) struct Rare<T>(Option<Box<VecDeque<T>>>);

impl<T> Rare<T> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) fn push(&mut self, value: T) {
        self.0.get_or_insert_default().push_back(value);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let queue = self.0.as_mut()?;
        let value = queue.pop_front();
        if queue.is_empty() {
            self.0 = None;
        }
        value
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// First in, first out, with no memory of its own for the first one: most are polled before the
/// next is pushed.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    first: Option<T>,
    rest: Rare<T>,
}

impl<T> Fifo<T> {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: Rare::new() }
    }

    pub(super) fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push(value);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.first.take()?;
        self.first = self.rest.pop();
        Some(value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Frame {
        Frame::Binary(Bytes::from(alloc::vec![7; len]))
    }

    #[test]
    fn exempt_packets_do_not_count() {
        let limits = Limits { queued_bytes: 10, queued_packets: 2, ..Limits::default() };
        let mut queue = SendQueue::default();
        for _ in 0..5 {
            queue.push_exempt(frame(100));
        }
        assert!(queue.fits(&frame(10), &limits));
        assert!(!queue.fits(&frame(11), &limits));
        queue.push(frame(4));
        queue.push(frame(4));
        assert!(!queue.fits(&frame(0), &limits), "two packets are the limit");
        assert_eq!((queue.bytes(), queue.packets()), (508, 7));
        while queue.pop().is_some() {}
        assert_eq!((queue.bytes, queue.exempt_bytes, queue.exempt_packets), (0, 0, 0));
    }

    #[test]
    fn positions_say_what_has_left() {
        let mut queue = SendQueue::default();
        queue.push_exempt(frame(1));
        assert!(queue.pop().is_some());
        let position = queue.end();
        queue.push(frame(1));
        queue.push_front_exempt(frame(1));
        assert!(queue.pop().is_some());
        assert!(!queue.has_left(position), "only what stands before it has");
        assert!(queue.pop().is_some());
        assert!(queue.has_left(position) && !queue.has_left(queue.end()));
        queue.push(frame(1));
        queue.clear();
        assert_eq!(queue.end(), position + 2, "no position is used twice");
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut queue = SendQueue::default();
        for _ in 0..100 {
            queue.push(frame(1));
        }
        while queue.pop().is_some() {}
        assert_eq!(queue.entries.capacity(), 0);
        queue.push(frame(1));
        let kept = queue.entries.capacity();
        assert!(queue.pop().is_some());
        assert_eq!(queue.entries.capacity(), kept, "light traffic keeps its capacity");
        assert!(kept <= SendQueue::KEPT);
    }

    #[test]
    fn a_single_text_is_shared_with_the_body() {
        let text = ByteString::from("4shared");
        let mut queue = SendQueue::default();
        queue.push(Frame::Text(text.clone()));
        assert_eq!(queue.pop_payload(3).as_ptr(), text.as_ptr());
    }

    #[test]
    fn fifo_keeps_the_order_and_frees_its_memory() {
        let mut fifo = Fifo::new();
        for value in 0..4 {
            fifo.push(value);
        }
        assert_eq!(fifo.pop(), Some(0));
        fifo.push(4);
        assert!(core::iter::from_fn(|| fifo.pop()).eq(1..5));
        assert!(fifo.is_empty());
        assert!(fifo.rest.is_empty());
    }
}
