//! What the log of a namespace must contain according to the settings.

use std::{collections::VecDeque, time::Duration};

use socketio_proto::{RecoveryConfig, Timestamp, recovery::Offset, socket::NamespaceName};

/// The settings that matter.
pub struct Rules {
    pub recovery: RecoveryConfig,
    /// How long a packet is held at least.
    pub age: Duration,
}

/// The log of a namespace.
pub struct Space {
    pub name: NamespaceName,
    /// The epochs of the log, each with the last position before it: a restart begins another one.
    epochs: Vec<(u64, u64)>,
    pub head: u64,
    /// Acknowledgements that were asked for so far.
    pub acks: u64,
    /// What the bounds on count and bytes have left: its time and its size on the wire.
    held: VecDeque<(Timestamp, usize)>,
    /// Up to here packets may be gone.
    doubtful: u64,
}

/// What an entry of the log costs besides its packet, as far as it may be relied upon.
const ENTRY_BYTES_MIN: usize = 16;
const ENTRY_BYTES_MAX: usize = 256;

impl Space {
    pub fn new(name: NamespaceName, epoch: u64) -> Self {
        let (epochs, held) = (vec![(0, epoch)], VecDeque::new());
        Self { name, epochs, head: 0, acks: 0, held, doubtful: 0 }
    }

    /// The process that keeps the log was restarted with it.
    pub fn restart(&mut self, jump: u32) {
        let (_, epoch) = *self.epochs.last().unwrap();
        self.epochs.push((self.head, epoch + 1 + u64::from(jump)));
    }

    /// The offset of a position.
    pub fn offset(&self, seq: u64) -> Offset {
        let mut epochs = self.epochs.iter().rev();
        // Position 0 was there from the start.
        let epoch = epochs.find(|(before, _)| seq > *before).unwrap_or(&self.epochs[0]);
        Offset::pair(epoch.1, seq)
    }

    pub fn append(&mut self, now: Timestamp, wire_len: usize) {
        self.head += 1;
        self.held.push_back((now, wire_len));
    }

    /// The last packet that is gone.
    pub fn evicted(&self) -> u64 {
        self.head - self.held.len() as u64
    }

    pub fn may_be_gone(&self, now: Timestamp, rules: &Rules, at: Timestamp, seq: u64) -> bool {
        at.saturating_add(rules.age) <= now || seq <= self.doubtful
    }

    /// The position that a client resumes from, if it is one of its session.
    pub fn position(&self, floor: u64, offset: Option<&str>) -> Option<u64> {
        let Some(offset) = offset.filter(|offset| !offset.is_empty()) else {
            return Some(floor);
        };
        let (_, sequence) = offset.split_once('-')?;
        let sequence: u64 = sequence.parse().ok()?;
        let is_ours = offset == self.offset(sequence).to_string();
        // One from before the session tells that nothing of it was processed.
        (is_ours && sequence <= self.head).then_some(sequence.max(floor))
    }

    /// This many packets were evicted to make room for the last one. That must have been necessary;
    /// the oldest are gone.
    pub fn evict(&mut self, now: Timestamp, rules: &Rules, count: usize) {
        // Those that were too old may have gone before; then others went in their place.
        let is_old = |(at, _): &&(Timestamp, usize)| at.saturating_add(rules.age) <= now;
        let old = self.held.iter().take_while(is_old).count();
        self.doubtful = self.doubtful.max(self.evicted() + old as u64) + count as u64;
        for _ in 0..count {
            let most: usize = self.held.iter().map(|(_, len)| len + ENTRY_BYTES_MAX).sum();
            let is_over = self.held.len() > rules.recovery.buffer_packets
                || most > rules.recovery.buffer_bytes;
            assert!(is_over, "there was room for {} packets", self.held.len());
            self.held.pop_front();
        }
    }

    /// Packets and bytes, at least and at the most.
    pub fn held(&self, now: Timestamp, rules: &Rules) -> [(usize, usize); 2] {
        let mut bounds = [(0, 0); 2];
        for (seq, (at, len)) in (self.evicted() + 1..).zip(&self.held) {
            // What nobody can be missing does not outlive a restart.
            let is_certain = self.epochs.last().is_none_or(|(before, _)| seq > *before);
            if is_certain && !self.may_be_gone(now, rules, *at, seq) {
                bounds[0] = (bounds[0].0 + 1, bounds[0].1 + len + ENTRY_BYTES_MIN);
            }
            bounds[1] = (bounds[1].0 + 1, bounds[1].1 + len + ENTRY_BYTES_MAX);
        }
        bounds
    }
}
