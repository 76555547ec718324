//! Outputs that are carried out by one statement.

use socketio_proto::{
    RecoveryKey,
    cluster::{
        ClusterInput, StoreOutcome,
        engines::postgres::{PostgresAppend, PostgresStore},
    },
};

use crate::patience::Write;

/// Outputs of one kind that follow each other.
pub(crate) enum Batch {
    Append(Vec<(Option<u64>, PostgresAppend)>),
    Store(Vec<(u64, RecoveryKey, PostgresStore)>),
    /// Like the others, but each replaces only a certain version.
    Replace(Vec<(u64, RecoveryKey, PostgresStore)>),
    Fetch(Vec<Wanted>),
    Take(Vec<Wanted>),
}

/// A session that is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) number: u64,
    pub(crate) key: RecoveryKey,
    /// The version that is to be taken.
    pub(crate) version: Option<u64>,
}

impl Batch {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Append(list) => list.len(),
            Self::Store(list) | Self::Replace(list) => list.len(),
            Self::Fetch(list) | Self::Take(list) => list.len(),
        }
    }

    /// How many entries and sessions are written.
    pub(crate) const fn writes(&self) -> usize {
        match self {
            Self::Append(_) | Self::Store(_) | Self::Replace(_) => self.len(),
            Self::Fetch(_) | Self::Take(_) => 0,
        }
    }

    /// What is written, if it is one.
    pub(crate) fn only_write(&self) -> Option<Write> {
        match self {
            Self::Append(list) => match &list[..] {
                [(sequence, _)] => sequence.map(Write::Append),
                _ => None,
            },
            Self::Store(list) | Self::Replace(list) => match &list[..] {
                [(_, key, _)] => Some(Write::Store(*key)),
                _ => None,
            },
            Self::Fetch(_) | Self::Take(_) => None,
        }
    }

    /// Adds what another one has, if it is of the same kind and each session is still in it once.
    /// Gives it back otherwise.
    pub(crate) fn join(&mut self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Append(all), Self::Append(more)) => all.extend(more),
            (Self::Store(all), Self::Store(more)) | (Self::Replace(all), Self::Replace(more))
                if !more.iter().any(|(_, key, _)| all.iter().any(|(_, known, _)| known == key)) =>
            {
                all.extend(more);
            }
            (Self::Fetch(all), Self::Fetch(more)) | (Self::Take(all), Self::Take(more))
                if !more.iter().any(|it| all.iter().any(|known| known.key == it.key)) =>
            {
                all.extend(more);
            }
            (_, other) => return Some(other),
        }
        None
    }

    /// Each of them alone.
    pub(crate) fn split(self) -> Vec<Self> {
        match self {
            Self::Append(list) => list.into_iter().map(|it| Self::Append(vec![it])).collect(),
            Self::Store(list) => list.into_iter().map(|it| Self::Store(vec![it])).collect(),
            Self::Replace(list) => list.into_iter().map(|it| Self::Replace(vec![it])).collect(),
            Self::Fetch(list) => list.into_iter().map(|it| Self::Fetch(vec![it])).collect(),
            Self::Take(list) => list.into_iter().map(|it| Self::Take(vec![it])).collect(),
        }
    }

    /// The answer to what PostgreSQL refuses each time.
    pub(crate) fn refused(&self) -> Vec<ClusterInput> {
        match self {
            Self::Append(list) => {
                let sequences = list.iter().filter_map(|(sequence, _)| *sequence);
                sequences.map(|sequence| ClusterInput::Rejected { sequence }).collect()
            }
            Self::Store(list) | Self::Replace(list) => {
                let refused = |(number, ..): &(u64, _, _)| ClusterInput::Stored {
                    number: *number,
                    outcome: StoreOutcome::Refused,
                };
                list.iter().map(refused).collect()
            }
            Self::Fetch(list) | Self::Take(list) => list
                .iter()
                .map(|it| ClusterInput::Fetched { number: it.number, session: None })
                .collect(),
        }
    }
}
