//! What a session remembers about its client's events, so that no event is handled twice.
//!
//! There are two ways to recognise a repeated event. A client of this crate counts the events of a
//! session, and so does the server. Nothing is added to the events: after a recovery the server
//! says how many it has received, and the client sends the rest. With any other client, the
//! application adds a unique offset to each event, and the session remembers the latest offsets. In
//! both cases the session also stores the answers.

mod packed;
mod snapshot;
#[cfg(test)]
mod tests;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

pub(in crate::hub) use self::snapshot::ReceiptsSnapshot;
use crate::{
    config::Limits,
    hub::message::Attached,
    socket::{Args, Encoded, Kind, NamespaceName, Packet},
};

/// The maximum length of a client offset in bytes.
pub(in crate::hub) const OFFSET_LEN_MAX: usize = 255;

/// What a session remembers about its client's events.
///
/// Each step takes O(log n + entries that it forgets). Each entry was added by an earlier step, so
/// this is amortised O(log n).
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// The number of events received from a client that counts its events.
    received: u64,
    /// Accepted offsets.
    offsets: BTreeMap<Arc<str>, Accepted>,
    /// The same offsets, oldest first.
    accepted: BTreeMap<u64, Arc<str>>,
    /// Answers to events of a client that counts them, by id.
    answers: BTreeMap<u64, Answer>,
    /// All answers, including answers to events with an offset, oldest first.
    answered: BTreeMap<u64, Event>,
    answer_bytes: usize,
    /// Answers by id that were sent, each with the number of questions that had been asked by then.
    sent: BTreeSet<(u64, u64)>,
    /// Events of a client that counts its events which were not handled. The client must send them
    /// again.
    withdrawn: BTreeSet<u64>,
    /// The number of questions of a client that counts its events.
    questions: u64,
    /// The number of questions that had been asked when the current link was attached. Answers that
    /// were sent before went to an earlier link.
    linked_at: u64,
    /// Numbers the entries, so that the oldest is known.
    next: u64,
}

/// An event whose offset was accepted.
#[derive(Debug)]
struct Accepted {
    /// Its key in `accepted`.
    order: u64,
    /// The attempt that waits for the answer to an earlier one.
    waiting: Option<AckRequest>,
    /// Whether it was answered. The answer may have been forgotten since.
    is_answered: bool,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    args: Args,
    /// Its key in `answered`.
    order: u64,
    /// Its key in `sent`, if it is there.
    sent: Option<u64>,
}

/// Identifies an event that was answered.
#[derive(Clone, Debug)]
enum Event {
    Id(u64),
    Offset(Arc<str>),
}

/// Which event an answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::hub) enum AnswerKey {
    /// The event with this id, of a client that counts its events.
    Id(u64),
    /// The event with this offset.
    Offset(Box<str>),
}

/// An attempt that asked for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) struct AckRequest {
    pub(in crate::hub) socket: Attached,
    pub(in crate::hub) id: u64,
}

/// Whether an offset is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Known {
    /// It was not accepted before.
    Fresh,
    /// It was accepted before. Contains the answer, if there is one.
    Duplicate(Option<Args>),
}

impl Receipts {
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn count(&mut self) {
        self.received = self.received.saturating_add(1);
    }

    /// Accepts an offset, or records which attempt now waits for the answer.
    pub(super) fn accept(
        &mut self,
        offset: &str,
        waiting: Option<AckRequest>,
        limits: &Limits,
    ) -> Known {
        if let Some(accepted) = self.offsets.get_mut(offset) {
            accepted.waiting = waiting.or(accepted.waiting);
            return Known::Duplicate(accepted.answer.as_ref().map(|answer| answer.args.clone()));
        }
        let (offset, order): (Arc<str>, u64) = (offset.into(), self.take_next());
        self.accepted.insert(order, offset.clone());
        self.offsets
            .insert(offset, Accepted { order, waiting: None, is_answered: false, answer: None });
        if self.accepted.len() > limits.client_offsets
            && let Some((_, oldest)) = self.accepted.pop_first()
        {
            self.forget_offset(&oldest);
        }
        Known::Fresh
    }

    /// Stores an answer. Returns the later attempt that waits for it.
    pub(super) fn answer(
        &mut self,
        key: AnswerKey,
        args: &Args,
        is_sent: bool,
        limits: &Limits,
    ) -> Option<AckRequest> {
        let (event, waiting) = match key {
            AnswerKey::Id(id) => (Event::Id(id), None),
            // An offset that was forgotten is not recognised any more, so its answer is useless.
            AnswerKey::Offset(offset) => {
                let accepted = self.offsets.get_mut(&*offset)?;
                accepted.is_answered = true;
                let waiting = accepted.waiting.take();
                let (offset, _) = self.offsets.get_key_value(&*offset)?;
                (Event::Offset(offset.clone()), waiting)
            }
        };
        self.forget(&event);
        if args.wire_len() <= limits.client_ack_bytes {
            self.keep(event, args, is_sent);
        }
        while self.answered.len() > limits.client_offsets
            || self.answer_bytes > limits.client_ack_bytes
        {
            let Some(oldest) = self.answered.first_entry().map(|entry| entry.get().clone()) else {
                break;
            };
            self.forget(&oldest);
        }
        waiting
    }

    /// Forgets that an event was accepted. `id` is its number if the client counts its events,
    /// `offset` is its client offset. Returns whether there was something to forget.
    ///
    /// A later attempt that waits for the answer gets none, and the client tries again.
    pub(super) fn withdraw(
        &mut self,
        id: Option<u64>,
        offset: Option<&str>,
        limits: &Limits,
    ) -> bool {
        let accepted = offset.and_then(|offset| self.forget_offset(offset));
        let is_known = accepted.is_some() || id.is_some();
        if let Some(id) = id {
            self.withdrawn.insert(id);
            let waiting = accepted.and_then(|accepted| accepted.waiting);
            self.withdrawn.extend(waiting.map(|waiting| waiting.id));
        }
        while self.withdrawn.len() > limits.client_offsets {
            self.withdrawn.pop_first();
        }
        is_known
    }

    /// Handles a question and returns the packets to send. The first has the number of received
    /// events and those of `ids` that were withdrawn. Then follow the stored answers to the others,
    /// each once.
    ///
    /// A client asks without ids when it has read the answers to all earlier questions. So
    /// everything that was sent before the last of these answers has arrived.
    pub(super) fn question(&mut self, name: &NamespaceName, mut ids: Vec<u64>) -> Vec<Encoded> {
        if ids.is_empty() {
            self.forget_arrived();
        }
        self.questions = self.questions.saturating_add(1);
        ids.sort_unstable();
        ids.dedup();
        let withdrawn = ids.iter().copied().filter(|id| self.withdrawn.contains(id));
        let numbers: Vec<u64> = core::iter::once(self.received).chain(withdrawn).collect();
        let args = Args::new(&numbers).unwrap_or_default();
        let count = Packet { namespace: name.clone(), kind: Kind::Ack { id: None, args } };
        let mut packets = Vec::from([Encoded::packet(&count)]);
        for id in ids {
            if let Some(answer) = self.answers.get_mut(&id) {
                if let Some(before) = answer.sent.replace(self.questions) {
                    self.sent.remove(&(before, id));
                }
                self.sent.insert((self.questions, id));
                packets.push(Encoded::ack(name, id, &answer.args));
            }
        }
        packets
    }

    /// The session has a new link. Packets that were sent on the old link may not have arrived.
    pub(super) fn relink(&mut self) {
        self.questions = self.questions.saturating_add(1);
        self.linked_at = self.questions;
    }

    fn forget_arrived(&mut self) {
        let arrived = (self.linked_at, 0)..(self.questions, 0);
        while let Some((_, id)) = self.sent.range(arrived.clone()).next().copied() {
            self.forget(&Event::Id(id));
        }
    }

    /// Stores an answer to an event that has none.
    fn keep(&mut self, event: Event, args: &Args, is_sent: bool) {
        let order = self.take_next();
        let mut answer = Answer { args: args.detached(), order, sent: None };
        match &event {
            Event::Id(id) => {
                if is_sent {
                    answer.sent = Some(self.questions);
                    self.sent.insert((self.questions, *id));
                }
                self.answers.insert(*id, answer);
            }
            Event::Offset(offset) => {
                if let Some(accepted) = self.offsets.get_mut(offset) {
                    accepted.answer = Some(answer);
                }
            }
        }
        self.answer_bytes = self.answer_bytes.saturating_add(args.wire_len());
        self.answered.insert(order, event);
    }

    /// Forgets the answer to an event.
    fn forget(&mut self, event: &Event) {
        let answer = match event {
            Event::Id(id) => self.answers.remove(id),
            Event::Offset(offset) => {
                self.offsets.get_mut(offset).and_then(|accepted| accepted.answer.take())
            }
        };
        let Some(answer) = answer else {
            return;
        };
        if let (Event::Id(id), Some(sent)) = (event, answer.sent) {
            self.sent.remove(&(sent, *id));
        }
        self.discount(&answer);
    }

    /// Forgets that an offset was accepted, and the answer to its event.
    fn forget_offset(&mut self, offset: &str) -> Option<Accepted> {
        let mut accepted = self.offsets.remove(offset)?;
        self.accepted.remove(&accepted.order);
        if let Some(answer) = accepted.answer.take() {
            self.discount(&answer);
        }
        Some(accepted)
    }

    /// An answer is not kept any more.
    fn discount(&mut self, answer: &Answer) {
        self.answered.remove(&answer.order);
        self.answer_bytes = self.answer_bytes.saturating_sub(answer.args.wire_len());
    }

    fn take_next(&mut self) -> u64 {
        let next = self.next;
        self.next = next.saturating_add(1);
        next
    }
}
