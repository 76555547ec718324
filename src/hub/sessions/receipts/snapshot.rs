//! What a session remembers about its client's events, in a snapshot.

use alloc::{boxed::Box, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{AnswerKey, Event, Known, OFFSET_LEN_MAX, Receipts};
use crate::{
    config::Limits,
    recovery::{Inconsistent, require},
    socket::ArgsSnapshot,
};

/// What a session remembers, as plain data. No attempt waits for an answer, because the links are
/// gone.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::hub) struct ReceiptsSnapshot {
    pub(super) received: u64,
    /// Accepted offsets, oldest first.
    pub(super) offsets: Vec<Box<str>>,
    /// Answers, oldest first.
    pub(super) answers: Vec<(AnswerKey, ArgsSnapshot)>,
    /// Events that the client must send again, ascending.
    pub(super) withdrawn: Vec<u64>,
}

impl Receipts {
    /// What is remembered.
    pub(in crate::hub::sessions) fn snapshot(&self) -> ReceiptsSnapshot {
        let answer = |event: &Event| {
            let (key, answer) = match event {
                Event::Id(id) => (AnswerKey::Id(*id), self.answers.get(id)?),
                Event::Offset(offset) => {
                    let accepted = self.offsets.get(offset)?;
                    (AnswerKey::Offset((&**offset).into()), accepted.answer.as_ref()?)
                }
            };
            Some((key, ArgsSnapshot::of(&answer.args)))
        };
        ReceiptsSnapshot {
            received: self.received,
            offsets: self.accepted.values().map(|it| (&**it).into()).collect(),
            answers: self.answered.values().filter_map(answer).collect(),
            withdrawn: self.withdrawn.iter().copied().collect(),
        }
    }

    /// Restores what is in a snapshot, as far as the limits allow.
    pub(in crate::hub::sessions) fn restore(
        snapshot: ReceiptsSnapshot,
        limits: &Limits,
    ) -> Result<Self, Inconsistent> {
        let ReceiptsSnapshot { received, offsets, answers, withdrawn } = snapshot;
        let mut receipts = Self { received, ..Self::default() };
        receipts.withdrawn = withdrawn.into_iter().collect();
        while receipts.withdrawn.len() > limits.client_offsets {
            receipts.withdrawn.pop_first();
        }
        for offset in &offsets {
            let is_new = receipts.accept(offset, None, limits) == Known::Fresh;
            let is_offset = (1..=OFFSET_LEN_MAX).contains(&offset.len());
            require(is_new && is_offset, "sessions.receipts.offsets")?;
        }
        for (key, args) in answers {
            let args = args.restore().ok_or(Inconsistent("sessions.receipts.answers"))?;
            receipts.answer(key, &args, false, limits);
        }
        Ok(receipts)
    }
}
