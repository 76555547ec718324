//! What sessions remember about their clients' events.

use alloc::vec::Vec;

use super::{AckRequest, AnswerKey, Effect, Member, Sessions, receipts::Receipts};
use crate::{config::Limits, socket::Args};

impl<D> Sessions<D> {
    /// Counts an event of a client that also counts its events.
    pub(super) fn count_received(&mut self, index: u32) -> Effect<D> {
        self.with_receipts(index, |receipts, _| {
            receipts.count();
            Effect::Done
        })
    }

    /// Accepts a client offset, or reports that it was accepted before.
    pub(super) fn accept_offset(
        &mut self,
        index: u32,
        offset: &str,
        waiting: Option<AckRequest>,
    ) -> Effect<D> {
        self.with_receipts(index, |receipts, limits| {
            Effect::Accepted(receipts.accept(offset, waiting, limits))
        })
    }

    /// Stores the answer to an event. Returns the later attempt that waits for it.
    pub(super) fn keep_answer(
        &mut self,
        index: u32,
        key: AnswerKey,
        args: &Args,
        is_sent: bool,
    ) -> Effect<D> {
        let member = self.members.get(index as usize);
        let is_sent = is_sent && member.is_some_and(Member::is_live);
        self.with_receipts(index, |receipts, limits| {
            Effect::of(receipts.answer(key, args, is_sent, limits), Effect::Answered)
        })
    }

    /// Forgets that an event was accepted.
    pub(super) fn withdraw(
        &mut self,
        index: u32,
        id: Option<u64>,
        offset: Option<&str>,
    ) -> Effect<D> {
        let receipts = self.members.get_mut(index as usize).and_then(|it| it.receipts.as_mut());
        let limits = &self.config.limits;
        Effect::done(receipts.is_some_and(|receipts| receipts.withdraw(id, offset, limits)))
    }

    /// Handles a question of a client that counts its events. Returns the packets to send.
    pub(super) fn take_question(&mut self, index: u32, ids: Vec<u64>) -> Effect<D> {
        let name = self.name.clone();
        self.with_receipts(index, |receipts, _| Effect::Told(receipts.question(&name, ids)))
    }

    fn with_receipts(
        &mut self,
        index: u32,
        change: impl FnOnce(&mut Receipts, &Limits) -> Effect<D>,
    ) -> Effect<D> {
        match self.members.get_mut(index as usize) {
            Some(member) => change(member.receipts.get_or_insert_default(), &self.config.limits),
            None => Effect::None,
        }
    }
}
