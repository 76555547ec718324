//! The answers to broadcasts that are not settled yet, bounded by their size.

use alloc::{collections::BTreeSet, vec::Vec};

use super::responder::Responder;
use crate::socket::Args;

/// The answers to one broadcast in the order in which they arrived; `None` for a dropped answer.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<Option<(Responder, Args)>>);

/// The total size of the answers to all broadcasts of a namespace.
#[derive(Debug, Default)]
pub(super) struct AnswerBytes {
    total: usize,
    /// Every stored answer: its size, its broadcast, and its place among the answers to the
    /// broadcast.
    held: BTreeSet<(usize, u64, usize)>,
}

/// The overhead of an answer in bytes, besides its text and its attachments.
const ANSWER_BYTES: usize =
    size_of::<Option<(Responder, Args)>>() + 2 * size_of::<(usize, u64, usize)>();

impl Answers {
    /// Stores an answer to the broadcast `id`.
    pub(super) fn push(&mut self, bytes: &mut AnswerBytes, id: u64, from: Responder, args: &Args) {
        // The text can be a small part of a large request body, which it would keep in memory.
        let args = args.detached();
        bytes.insert(size(&args), id, self.0.len());
        self.0.push(Some((from, args)));
    }

    /// Whether nothing was answered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops an answer.
    pub(super) fn drop_at(&mut self, place: usize) {
        if let Some(answer) = self.0.get_mut(place) {
            *answer = None;
        }
    }

    /// Returns the answers when the broadcast `id` is settled.
    pub(super) fn settle(self, bytes: &mut AnswerBytes, id: u64) -> Vec<(Responder, Args)> {
        for (place, answer) in self.0.iter().enumerate() {
            if let Some((_, args)) = answer {
                bytes.remove(size(args), id, place);
            }
        }
        self.0.into_iter().flatten().collect()
    }
}

impl AnswerBytes {
    /// If all answers together take more than `limit`, removes the largest one from the total (the
    /// latest, if several are equally large). Returns its broadcast and its place there.
    ///
    /// The largest answer is removed, so a client with large answers does not displace others.
    pub(super) fn pop_excess(&mut self, limit: usize) -> Option<(u64, usize)> {
        if self.total <= limit {
            return None;
        }
        let (bytes, id, place) = self.held.pop_last()?;
        self.total = self.total.saturating_sub(bytes);
        Some((id, place))
    }

    fn insert(&mut self, bytes: usize, id: u64, place: usize) {
        self.total = self.total.saturating_add(bytes);
        self.held.insert((bytes, id, place));
    }

    fn remove(&mut self, bytes: usize, id: u64, place: usize) {
        if self.held.remove(&(bytes, id, place)) {
            self.total = self.total.saturating_sub(bytes);
        }
    }
}

fn size(args: &Args) -> usize {
    args.wire_len().saturating_add(ANSWER_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Generation, SocketKey};

    fn socket(index: u32) -> Responder {
        Responder::Socket(SocketKey { namespace: 0, index, generation: Generation::FIRST })
    }

    fn args(len: usize) -> Args {
        Args::new(&("x".repeat(len),)).unwrap()
    }

    #[test]
    fn the_largest_answer_goes_first_and_the_latest_of_several() {
        let mut bytes = AnswerBytes::default();
        let (mut first, mut second) = (Answers::default(), Answers::default());
        first.push(&mut bytes, 1, socket(0), &args(10));
        second.push(&mut bytes, 2, socket(0), &args(500));
        second.push(&mut bytes, 2, socket(1), &args(500));
        first.push(&mut bytes, 1, socket(1), &args(20));
        assert_eq!(bytes.pop_excess(bytes.total), None);
        let dropped = bytes.pop_excess(bytes.total - 1);
        assert_eq!(dropped, Some((2, 1)));
        second.drop_at(1);
        assert_eq!(second.settle(&mut bytes, 2), [(socket(0), args(500))]);
        assert_eq!(bytes.pop_excess(0), Some((1, 1)));
        first.drop_at(1);
        assert_eq!(first.settle(&mut bytes, 1), [(socket(0), args(10))]);
        assert_eq!((bytes.total, bytes.held.len()), (0, 0));
    }
}
