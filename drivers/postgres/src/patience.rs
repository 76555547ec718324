//! Tells a write that PostgreSQL never answers from a PostgreSQL that answers nothing.

use socketio_proto::RecoveryKey;

use crate::{batch::Batch, error::PostgresEngineError};

/// How often a write is tried alone, each time directly after another one that was answered.
const TRIES: u32 = 3;

/// A write that is repeated after a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// An entry, by its number.
    Append(u64),
    /// A session.
    Store(RecoveryKey),
}

/// What is known of writes that were not answered. It outlives the connections.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// How many writes are sent one at a time, because one of so many was not answered.
    alone: usize,
    /// The one that was not answered alone, and how often although PostgreSQL was well.
    suspect: Option<(Write, u32)>,
    /// The one that was sent alone and is not answered yet, and whether PostgreSQL was well.
    sent: Option<(Write, bool)>,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// It is sent.
    Send,
    /// Whether PostgreSQL is well is found out first, and then it is sent.
    Prove,
    /// It was tried often enough, and refused.
    Refuse,
}

impl Patience {
    /// Whether writes are sent one at a time.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone > 0
    }

    pub(crate) fn advise(&mut self, batch: &Batch) -> Advice {
        match self.suspect {
            Some((suspect, tries)) if batch.only_write() == Some(suspect) => {
                if tries < TRIES {
                    return Advice::Prove;
                }
                self.suspect = None;
                self.alone = self.alone.saturating_sub(1);
                Advice::Refuse
            }
            _ => Advice::Send,
        }
    }

    /// A batch is sent.
    pub(crate) fn note_sent(&mut self, batch: &Batch, is_well: bool) {
        self.alone = self.alone.max(batch.writes());
        self.sent = batch.only_write().map(|write| (write, is_well));
    }

    /// PostgreSQL has answered it.
    pub(crate) fn note_answered(&mut self, batch: &Batch) {
        self.alone = self.alone.saturating_sub(batch.writes());
        self.sent = None;
        if self.suspect.map(|(suspect, _)| suspect) == batch.only_write() {
            self.suspect = None;
        }
    }

    /// The connection is lost.
    pub(crate) fn note_lost(&mut self, cause: &PostgresEngineError) {
        let Some((write, is_well)) = self.sent.take() else { return };
        if !cause.is_silence() {
            return;
        }
        let before = self.suspect.filter(|(suspect, _)| *suspect == write);
        let tries = before.map_or(0, |(_, tries)| tries);
        self.suspect = Some((write, tries.saturating_add(is_well.into())));
    }
}

#[cfg(test)]
mod tests {
    use socketio_proto::cluster::engines::postgres::{Postgres, PostgresOptions};
    use socketio_proto::cluster::message::{Body, Message, NodeId};
    use socketio_proto::socket::NamespaceName;

    use super::*;

    const SILENT: PostgresEngineError = PostgresEngineError::TimedOut;

    fn batch(sequences: &[u64]) -> Batch {
        let postgres = Postgres::new(PostgresOptions::new()).unwrap();
        let node = NodeId::new("a").unwrap();
        let message = Message::new(node, NamespaceName::ROOT, Body::Heartbeat);
        let entry = postgres.to_append(&message).unwrap();
        Batch::Append(sequences.iter().map(|it| (Some(*it), entry.clone())).collect())
    }

    fn fails(patience: &mut Patience, batch: &Batch, cause: &PostgresEngineError) {
        let advice = patience.advise(batch);
        assert_ne!(advice, Advice::Refuse);
        patience.note_sent(batch, advice == Advice::Prove);
        patience.note_lost(cause);
    }

    #[test]
    fn a_write_that_is_never_answered_is_refused_and_those_behind_it_are_sent() {
        let mut patience = Patience::default();
        fails(&mut patience, &batch(&[7, 8]), &SILENT);
        assert!(patience.is_alone());
        for _ in 0..=TRIES {
            fails(&mut patience, &batch(&[7]), &SILENT);
        }
        assert_eq!(patience.advise(&batch(&[7])), Advice::Refuse);
        assert_eq!(patience.advise(&batch(&[8])), Advice::Send);
        patience.note_sent(&batch(&[8]), false);
        patience.note_answered(&batch(&[8]));
        assert!(!patience.is_alone());
    }

    #[test]
    fn connections_that_break_and_an_ailing_server_are_nobodys_fault() {
        let mut patience = Patience::default();
        for _ in 0..10 {
            fails(&mut patience, &batch(&[7]), &PostgresEngineError::Closed);
        }
        assert_eq!(patience.advise(&batch(&[7])), Advice::Send);
        fails(&mut patience, &batch(&[7]), &SILENT);
        for _ in 0..10 {
            // The proof was not answered.
            assert_eq!(patience.advise(&batch(&[7])), Advice::Prove);
            patience.note_lost(&SILENT);
        }
        patience.note_sent(&batch(&[7]), true);
        patience.note_answered(&batch(&[7]));
        assert_eq!(patience.advise(&batch(&[7])), Advice::Send);
    }
}
