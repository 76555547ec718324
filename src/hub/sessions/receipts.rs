//! What a session remembers of its client's events, so that none is handled twice.
//!
//! There are two ways to recognise an event. A client of this crate and the server both count the
//! events of a session, so nothing is added to them: after a recovery the server says how many it
//! has, and the client sends the rest. The application of any other client gives each event an
//! offset of its own, and a window of these is kept. In both cases the answers are kept as well.

mod snapshot;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(in crate::hub) use self::snapshot::ReceiptsSnapshot;
use crate::{
    config::Limits,
    hub::message::Attached,
    socket::{Args, Encoded, Kind, NamespaceName, Packet},
};

/// Longest client offset in bytes.
pub(in crate::hub) const OFFSET_LEN_MAX: usize = 255;

/// What a session remembers of its client's events.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Events of a client that counts them.
    received: u64,
    /// Offsets that were accepted, and the try that waits for the answer to an earlier one.
    offsets: BTreeMap<Box<str>, Option<Waiting>>,
    accepted: VecDeque<Box<str>>,
    answers: BTreeMap<AnswerKey, Answer>,
    answered: VecDeque<AnswerKey>,
    answer_bytes: usize,
    /// Events of a client that counts them which were not handled: it is to send them again.
    withdrawn: BTreeSet<u64>,
    /// Counts what a client that counts has asked.
    questions: u64,
}

#[derive(Debug)]
struct Answer {
    args: Args,
    /// How many questions had been asked when it was sent on the present link; `None` if it was
    /// not.
    sent: Option<u64>,
}

/// Which event an answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::hub) enum AnswerKey {
    /// The one with this id, of a client that counts.
    Id(u64),
    /// The one with this offset.
    Offset(Box<str>),
}

/// A try that asked for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hub) struct Waiting {
    pub(in crate::hub) socket: Attached,
    pub(in crate::hub) id: u64,
}

/// What is known of an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Known {
    /// Nothing until now.
    Fresh,
    /// It was accepted before, and this was the answer if there is one.
    Duplicate(Option<Args>),
}

impl Receipts {
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn count(&mut self) {
        self.received = self.received.saturating_add(1);
    }

    /// Accepts an offset, or notes who waits for the answer now.
    pub(super) fn accept(
        &mut self,
        offset: &str,
        waiting: Option<Waiting>,
        limits: &Limits,
    ) -> Known {
        if let Some(waits) = self.offsets.get_mut(offset) {
            *waits = waiting.or(*waits);
            let answer = self.answers.get(&AnswerKey::Offset(offset.into()));
            return Known::Duplicate(answer.map(|answer| answer.args.clone()));
        }
        self.offsets.insert(offset.into(), None);
        self.accepted.push_back(offset.into());
        if self.accepted.len() > limits.client_offsets
            && let Some(oldest) = self.accepted.pop_front()
        {
            self.offsets.remove(&oldest);
            self.forget(&AnswerKey::Offset(oldest));
        }
        Known::Fresh
    }

    /// Keeps an answer. Returns the later try that waits for it.
    pub(super) fn answer(
        &mut self,
        key: AnswerKey,
        args: &Args,
        is_sent: bool,
        limits: &Limits,
    ) -> Option<Waiting> {
        let waiting = match &key {
            AnswerKey::Id(_) => None,
            // One that has left the window is recognised no more, so its answer is of no use.
            AnswerKey::Offset(offset) => self.offsets.get_mut(offset)?.take(),
        };
        self.forget(&key);
        let size = size(args);
        if size <= limits.client_ack_bytes {
            self.answer_bytes = self.answer_bytes.saturating_add(size);
            let sent = is_sent.then_some(self.questions);
            self.answers.insert(key.clone(), Answer { args: args.detached(), sent });
            self.answered.push_back(key);
        }
        while self.answered.len() > limits.client_offsets
            || self.answer_bytes > limits.client_ack_bytes
        {
            let Some(oldest) = self.answered.front().cloned() else {
                break;
            };
            self.forget(&oldest);
        }
        waiting
    }

    /// Forgets that an event was accepted: the one that a client that counts calls `id`, the one
    /// with this offset. Returns whether there was something to forget.
    ///
    /// A later try that waits for the answer will get none, and is followed by another one.
    pub(super) fn withdraw(
        &mut self,
        id: Option<u64>,
        offset: Option<&str>,
        limits: &Limits,
    ) -> bool {
        let accepted = offset.and_then(|offset| self.offsets.remove_entry(offset));
        let is_known = accepted.is_some() || id.is_some();
        let waiting = accepted.and_then(|(offset, waiting)| {
            // Events are withdrawn soon, so it stands near the end.
            if let Some(index) = self.accepted.iter().rposition(|other| *other == offset) {
                self.accepted.remove(index);
            }
            waiting
        });
        if let Some(id) = id {
            self.withdrawn.insert(id);
            self.withdrawn.extend(waiting.map(|waiting| waiting.id));
        }
        while self.withdrawn.len() > limits.client_offsets {
            self.withdrawn.pop_first();
        }
        is_known
    }

    /// Takes a question, and returns what to send: the number of events and those among `ids` that
    /// were withdrawn, then the answers to the others, as far as they are kept, each once.
    ///
    /// A client asks without ids when it has read the answer to each question before: what was sent
    /// ahead of the last one has arrived.
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
            if let Some(answer) = self.answers.get_mut(&AnswerKey::Id(id)) {
                answer.sent = Some(self.questions);
                packets.push(Encoded::ack(name, id, &answer.args));
            }
        }
        packets
    }

    /// The session has another link, and what was sent on the former one may not have arrived.
    pub(super) fn relink(&mut self) {
        for answer in self.answers.values_mut() {
            answer.sent = None;
        }
    }

    fn forget_arrived(&mut self) {
        let questions = self.questions;
        let has_arrived = |answer: &Answer| answer.sent.is_some_and(|sent| sent < questions);
        let (answers, bytes) = (&mut self.answers, &mut self.answer_bytes);
        self.answered.retain(|key| {
            let is_kept = matches!(key, AnswerKey::Offset(_))
                || answers.get(key).is_some_and(|answer| !has_arrived(answer));
            if !is_kept && let Some(answer) = answers.remove(key) {
                *bytes = bytes.saturating_sub(size(&answer.args));
            }
            is_kept
        });
    }

    fn forget(&mut self, key: &AnswerKey) {
        let Some(answer) = self.answers.remove(key) else {
            return;
        };
        self.answer_bytes = self.answer_bytes.saturating_sub(size(&answer.args));
        // The oldest are forgotten first, so it stands near the front.
        if let Some(index) = self.answered.iter().position(|other| other == key) {
            self.answered.remove(index);
        }
    }
}

fn size(args: &Args) -> usize {
    let attachments = args.attachments().iter().map(Bytes::len);
    attachments.fold(args.json().len(), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(offsets: usize, bytes: usize) -> Limits {
        Limits { client_offsets: offsets, client_ack_bytes: bytes, ..Limits::default() }
    }

    fn args(text: &str) -> Args {
        Args::new(&(text,)).unwrap()
    }

    #[test]
    fn answers_are_bounded_by_bytes_and_offsets_outlive_them() {
        let (mut receipts, limits) = (Receipts::default(), limits(10, 20));
        for offset in ["a", "b", "c"] {
            assert_eq!(receipts.accept(offset, None, &limits), Known::Fresh);
            receipts.answer(AnswerKey::Offset(offset.into()), &args("12345678"), true, &limits);
        }
        assert_eq!(receipts.answer_bytes, 12, "one answer of twelve bytes");
        assert_eq!(receipts.accept("a", None, &limits), Known::Duplicate(None));
        let kept = Known::Duplicate(Some(args("12345678")));
        assert_eq!(receipts.accept("c", None, &limits), kept);
        receipts.answer(AnswerKey::Offset("c".into()), &args(&"x".repeat(20)), true, &limits);
        assert_eq!(
            (receipts.answer_bytes, receipts.answered.len()),
            (0, 0),
            "too large to be kept"
        );
    }

    #[test]
    fn the_window_is_bounded_by_count() {
        let (mut receipts, limits) = (Receipts::default(), limits(2, 1_000));
        for number in 0..100_u32 {
            let offset = alloc::format!("{number}");
            assert_eq!(receipts.accept(&offset, None, &limits), Known::Fresh);
            receipts.answer(AnswerKey::Offset(offset.into()), &args("ok"), true, &limits);
            receipts.answer(AnswerKey::Id(number.into()), &args("ok"), true, &limits);
            assert!(
                receipts.offsets.len() <= 2 && receipts.accepted.len() == receipts.offsets.len()
            );
            assert!(
                receipts.answers.len() <= 2 && receipts.answered.len() == receipts.answers.len()
            );
            let bytes: usize = receipts.answers.values().map(|answer| size(&answer.args)).sum();
            assert_eq!(receipts.answer_bytes, bytes);
        }
        let answers = receipts.question(&NamespaceName::ROOT, [99, 99, 5].into());
        assert_eq!(answers.len(), 2, "the count, and each once");
        assert!(
            receipts.answer(AnswerKey::Offset("5".into()), &args("late"), true, &limits).is_none()
        );
        assert!(!receipts.answers.contains_key(&AnswerKey::Offset("5".into())));
    }

    #[test]
    fn what_was_withdrawn_is_bounded_and_leaves_nothing_in_the_window() {
        let (mut receipts, limits) = (Receipts::default(), limits(3, 1_000));
        for number in 0..100_u32 {
            let offset = alloc::format!("{number}");
            assert_eq!(receipts.accept(&offset, None, &limits), Known::Fresh);
            assert!(receipts.withdraw(Some(number.into()), Some(&offset), &limits));
            assert!(!receipts.withdraw(None, Some(&offset), &limits), "once");
            assert!(receipts.offsets.is_empty() && receipts.accepted.is_empty());
            assert!(receipts.withdrawn.len() <= 3);
        }
        let answers = receipts.question(&NamespaceName::ROOT, [96, 97, 99, 99].into());
        assert_eq!(answers[0].head(), "43[0,97,99]");
    }

    #[test]
    fn answers_that_have_arrived_are_forgotten() {
        let (mut receipts, limits) = (Receipts::default(), limits(10, 1_000));
        let mut kept = |ids: &[u64], sent: Option<(u64, bool)>| {
            let count = receipts.question(&NamespaceName::ROOT, ids.to_vec()).len() - 1;
            if let Some((id, is_sent)) = sent {
                receipts.answer(AnswerKey::Id(id), &args("ok"), is_sent, &limits);
            }
            (count, receipts.answered.len())
        };
        assert_eq!(kept(&[], Some((1, true))), (0, 1));
        assert_eq!(kept(&[], Some((2, false))), (0, 2), "sent behind the answer that has arrived");
        assert_eq!(kept(&[], None), (0, 1), "the one that was not sent is kept");
        assert_eq!(kept(&[1, 2], None), (1, 1));
        receipts.relink();
        for _ in 0..3 {
            receipts.question(&NamespaceName::ROOT, Vec::new());
        }
        assert_eq!(receipts.answered.len(), 1, "on another link nothing has arrived");
        assert_eq!(receipts.answer_bytes, size(&args("ok")));
    }
}
