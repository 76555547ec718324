//! The streams of an endpoint, with a timer each.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use socketio_proto::Timestamp;

use crate::stream::Stream;

/// Names a stream, for example a TCP connection, of an [`Endpoint`](crate::Endpoint). It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

#[derive(Default)]
pub(crate) struct Streams {
    slots: BTreeMap<StreamId, Slot>,
    timers: BTreeSet<(Timestamp, StreamId)>,
    last: u64,
}

struct Slot {
    stream: Stream,
    /// Its entry in the timers.
    armed: Option<Timestamp>,
}

impl Streams {
    pub(crate) fn add(&mut self, stream: Stream) -> StreamId {
        self.last += 1;
        let id = StreamId(self.last);
        self.slots.insert(id, Slot { stream, armed: None });
        id
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.slots.get(&id).map(|slot| &slot.stream)
    }

    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.slots.get_mut(&id).map(|slot| &mut slot.stream)
    }

    pub(crate) fn remove(&mut self, id: StreamId) {
        let armed = self.slots.remove(&id).and_then(|slot| slot.armed);
        if let Some(armed) = armed {
            self.timers.remove(&(armed, id));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = StreamId> {
        self.slots.keys().copied()
    }

    /// Sets the timer of a stream to its deadline.
    pub(crate) fn arm(&mut self, id: StreamId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let deadline = slot.stream.deadline();
        if slot.armed != deadline {
            self.timers.extend(deadline.map(|deadline| (deadline, id)));
            if let Some(former) = mem::replace(&mut slot.armed, deadline) {
                self.timers.remove(&(former, id));
            }
        }
    }

    /// The first deadline.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// Takes a timer that is due.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<StreamId> {
        let timer = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&timer);
        let (_, id) = timer;
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.armed = None;
        }
        Some(id)
    }
}
