//! The queue of packets that wait to be sent or polled. Its size is known at any time.

use alloc::collections::VecDeque;

use bytes::Bytes;
use bytestring::ByteString;

use super::{EnginePacket, Frame, PayloadWriter, packet::base64_len, payload::len_with};
use crate::Limits;

/// Packets that the peer has not taken yet, in order.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    entries: VecDeque<Entry>,
    bytes: usize,
    backlog_bytes: usize,
    exempt_bytes: usize,
    backlog_packets: u32,
    exempt_packets: u32,
    /// Packets ever appended: the position of the next one.
    appended: u64,
}

/// The limit that a queued packet counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// None: the open packet, and replays, which have their own limit.
    Exempt,
    /// The packet was queued while the peer was reading. How much is sent at once is this side's
    /// decision, so the peer is not blamed.
    Burst,
    /// The packet was queued while the peer was not reading, or it answers a request of the peer.
    Backlog,
}

/// A [`Frame`] and its account. As one enum it takes 40 bytes instead of 48.
#[derive(Debug)]
enum Entry {
    /// The ping of a server. It counts against nothing, because there is only one at a time.
    Ping {
        is_first: bool,
    },
    Text {
        text: ByteString,
        account: Account,
    },
    Binary {
        bytes: Bytes,
        account: Account,
    },
}

impl Entry {
    fn new(frame: Frame, account: Account) -> Self {
        match frame {
            Frame::Text(text) => Self::Text { text, account },
            Frame::Binary(bytes) => Self::Binary { bytes, account },
        }
    }

    fn into_parts(self) -> (Frame, Account) {
        match self {
            Self::Text { text, account } => (Frame::Text(text), account),
            Self::Binary { bytes, account } => (Frame::Binary(bytes), account),
            Self::Ping { .. } => (EnginePacket::Ping { probe: false }.encode(), Account::Exempt),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Ping { .. } => 1,
            Self::Text { text, .. } => text.len(),
            Self::Binary { bytes, .. } => bytes.len(),
        }
    }

    /// Bytes in a polling body.
    fn payload_len(&self) -> usize {
        match self {
            Self::Ping { .. } | Self::Text { .. } => self.len(),
            Self::Binary { bytes, .. } => base64_len(bytes.len()),
        }
    }
}

impl SendQueue {
    /// Capacity kept when the queue runs empty, so that light traffic does not allocate each time.
    const KEPT: usize = 8;
    /// The first capacity of a queue: an idle connection has one packet at a time.
    const FIRST: usize = 2;

    #[inline]
    pub(super) fn push(&mut self, frame: Frame, account: Account) {
        self.count(frame.len(), account);
        self.appended = self.appended.wrapping_add(1);
        self.entries.push_back(Entry::new(frame, account));
    }

    /// Queues a packet before everything else, exempt.
    pub(super) fn push_front_exempt(&mut self, frame: Frame) {
        self.count(frame.len(), Account::Exempt);
        self.entries.push_front(Entry::new(frame, Account::Exempt));
    }

    /// Queues a ping.
    pub(super) fn push_ping(&mut self) {
        self.count(1, Account::Exempt);
        self.appended = self.appended.wrapping_add(1);
        self.entries.push_back(Entry::Ping { is_first: false });
    }

    /// Queues a ping before everything except an open packet, so that a peer that is still reading
    /// earlier packets can answer in time.
    pub(super) fn push_ping_first(&mut self) {
        self.count(1, Account::Exempt);
        let is_open =
            |entry: &Entry| matches!(entry, Entry::Text { text, .. } if text.starts_with('0'));
        let position = usize::from(self.entries.front().is_some_and(is_open));
        self.entries.insert(position, Entry::Ping { is_first: true });
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let (frame, account) = self.entries.pop_front()?.into_parts();
        self.forget(frame.len(), account);
        if self.entries.capacity() > Self::KEPT && self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        Some(frame)
    }

    /// Takes as many packets as fit into a polling body of `limit` bytes, but at least one if there
    /// is one.
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

    /// Whether the first packet alone makes a polling body of more than `limit` bytes.
    pub(super) fn is_large(&self, limit: usize) -> bool {
        self.entries.front().is_some_and(|entry| entry.payload_len() > limit)
    }

    /// Drops everything. Nothing may be appended after this: dropped packets count as not sent, and
    /// new packets would get their positions.
    pub(super) fn clear(&mut self) {
        let appended = self.appended.saturating_sub(self.entries.len() as u64);
        *self = Self { appended, ..Self::default() };
    }

    /// The position that the next appended packet will get.
    pub(super) fn end(&self) -> u64 {
        self.appended
    }

    /// Whether the packet at a position was taken out.
    pub(super) fn has_left(&self, position: u64) -> bool {
        // A ping that was not appended is one of the first two.
        let is_aside = |entry: &&Entry| matches!(entry, Entry::Ping { is_first: true });
        let aside = self.entries.iter().take(2).filter(is_aside).count();
        let held = self.entries.len().saturating_sub(aside);
        position < self.appended.saturating_sub(held as u64)
    }

    /// Whether that many more packets, with that many bytes in total, fit into the limits of their
    /// account. An account that holds nothing accepts one message of any size.
    #[inline]
    pub(super) fn fits(
        &self,
        packets: usize,
        bytes: usize,
        account: Account,
        limits: &Limits,
    ) -> bool {
        if self.entries.is_empty() {
            return true;
        }
        let (held, held_bytes, max, max_bytes) = match account {
            Account::Exempt => return true,
            Account::Burst => {
                let (packets, bytes) = self.burst();
                (packets, bytes, limits.queue_burst_packets, limits.queue_burst_bytes)
            }
            Account::Backlog => (
                self.backlog_packets as usize,
                self.backlog_bytes,
                limits.queued_packets,
                limits.queued_bytes,
            ),
        };
        held == 0
            || (held_bytes.saturating_add(bytes) <= max_bytes
                && held.saturating_add(packets) <= max)
    }

    /// Whether that many more packets, with that many bytes in total, fit into these limits.
    pub(super) fn has_room(
        &self,
        packets: usize,
        bytes: usize,
        max_packets: usize,
        max_bytes: usize,
    ) -> bool {
        let held_bytes = self.bytes.saturating_sub(self.exempt_bytes);
        let held = self.entries.len().saturating_sub(self.exempt_packets as usize);
        held_bytes.saturating_add(bytes) <= max_bytes && held.saturating_add(packets) <= max_packets
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

    /// Packets and bytes of the burst.
    fn burst(&self) -> (usize, usize) {
        let others = (self.exempt_packets as usize).saturating_add(self.backlog_packets as usize);
        let other_bytes = self.exempt_bytes.saturating_add(self.backlog_bytes);
        (self.entries.len().saturating_sub(others), self.bytes.saturating_sub(other_bytes))
    }

    #[inline]
    fn count(&mut self, bytes: usize, account: Account) {
        self.bytes = self.bytes.saturating_add(bytes);
        match account {
            Account::Burst => {}
            Account::Backlog => {
                self.backlog_bytes = self.backlog_bytes.saturating_add(bytes);
                self.backlog_packets = self.backlog_packets.saturating_add(1);
            }
            Account::Exempt => {
                self.exempt_bytes = self.exempt_bytes.saturating_add(bytes);
                self.exempt_packets = self.exempt_packets.saturating_add(1);
            }
        }
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(Self::FIRST);
        }
    }

    #[inline]
    fn forget(&mut self, bytes: usize, account: Account) {
        self.bytes = self.bytes.saturating_sub(bytes);
        match account {
            Account::Burst => {}
            Account::Backlog => {
                self.backlog_bytes = self.backlog_bytes.saturating_sub(bytes);
                self.backlog_packets = self.backlog_packets.saturating_sub(1);
            }
            Account::Exempt => {
                self.exempt_bytes = self.exempt_bytes.saturating_sub(bytes);
                self.exempt_packets = self.exempt_packets.saturating_sub(1);
            }
        }
    }

    /// Returns how many packets fit into one body, and the size of the body.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Frame {
        Frame::Binary(Bytes::from(alloc::vec![7; len]))
    }

    #[test]
    fn each_account_has_its_own_limits() {
        let limits = Limits {
            queued_bytes: 10,
            queued_packets: 2,
            queue_burst_bytes: 20,
            queue_burst_packets: 3,
            ..Limits::default()
        };
        let mut queue = SendQueue::default();
        for _ in 0..5 {
            queue.push(frame(100), Account::Exempt);
        }
        for (account, most) in [(Account::Backlog, 10), (Account::Burst, 20)] {
            assert!(queue.fits(1, 1_000, account, &limits), "one that is empty takes any one");
            queue.push(frame(4), account);
            assert!(queue.fits(1, most - 4, account, &limits));
            assert!(!queue.fits(1, most - 3, account, &limits));
            assert!(!queue.fits(3, 0, account, &limits), "three more are too many");
        }
        assert_eq!((queue.bytes(), queue.packets()), (508, 7));
        while queue.pop().is_some() {}
        assert_eq!((queue.bytes, queue.exempt_bytes, queue.exempt_packets), (0, 0, 0));
        assert_eq!((queue.backlog_bytes, queue.backlog_packets, queue.burst()), (0, 0, (0, 0)));
    }

    #[test]
    fn a_ping_comes_before_all_but_the_open_packet() {
        let mut queue = SendQueue::default();
        queue.push(Frame::Text("0{}".into()), Account::Exempt);
        queue.push(Frame::Text("4a".into()), Account::Burst);
        queue.push_ping_first();
        assert_eq!(queue.pop(), Some(Frame::Text("0{}".into())));
        assert_eq!(queue.pop(), Some(Frame::Text("2".into())));
        queue.push_ping_first();
        assert_eq!(queue.pop_payload(100), "2\u{1e}4a");
        queue.push(Frame::Text("4a".into()), Account::Burst);
        queue.push_ping();
        assert_eq!(queue.pop_payload(100), "4a\u{1e}2");
        assert_eq!((queue.bytes(), queue.exempt_bytes, queue.exempt_packets), (0, 0, 0));
    }

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 40);
    }

    #[test]
    fn positions_say_what_has_left() {
        let mut queue = SendQueue::default();
        queue.push(frame(1), Account::Exempt);
        assert!(queue.pop().is_some());
        let position = queue.end();
        queue.push(frame(1), Account::Burst);
        queue.push_front_exempt(frame(1));
        assert!(queue.pop().is_some());
        assert!(!queue.has_left(position), "only what stands before it has");
        assert!(queue.pop().is_some());
        assert!(queue.has_left(position) && !queue.has_left(queue.end()));
        queue.push(frame(1), Account::Burst);
        queue.push_ping_first();
        assert!(queue.has_left(position) && !queue.has_left(position + 1));
        let position = queue.end();
        queue.push(frame(1), Account::Burst);
        queue.clear();
        assert!(!queue.has_left(position), "what was dropped has not left");
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut queue = SendQueue::default();
        for _ in 0..100 {
            queue.push(frame(1), Account::Burst);
        }
        while queue.pop().is_some() {}
        assert_eq!(queue.entries.capacity(), 0);
        queue.push(frame(1), Account::Burst);
        let kept = queue.entries.capacity();
        assert!(queue.pop().is_some());
        assert_eq!(queue.entries.capacity(), kept, "light traffic keeps its capacity");
        assert!(kept <= SendQueue::KEPT);
    }

    #[test]
    fn a_single_text_is_shared_with_the_body() {
        let text = ByteString::from("4shared");
        let mut queue = SendQueue::default();
        queue.push(Frame::Text(text.clone()), Account::Burst);
        assert_eq!(queue.pop_payload(3).as_ptr(), text.as_ptr());
    }
}
