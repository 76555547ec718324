//! Where one namespace of a client is. Every transition is a method here; nothing else assigns a
//! state.
//!
//! Two rules:
//!
//! 1. Only Joining holds a replay, so events that the server sent before its answer are dropped on
//!    every way out except the answer itself.
//! 2. Only Joined has a public id: there is one exactly while the application is told that the
//!    namespace is joined.
//!
//! | state | event | becomes |
//! | --- | --- | --- |
//! | Idle | [`SocketState::ask`] | Asking |
//! | Idle, Asking | [`SocketState::join`] | Joining |
//! | Joining | [`SocketState::leave_before_answer`] | Leaving |
//! | Joining, Joined | [`SocketState::joined`] | Joined |
//! | any | [`SocketState::reset`] | Idle |

use alloc::vec::Vec;

use bytestring::ByteString;

use crate::{socket, time::Timestamp};

#[derive(Debug, Default)]
pub(super) struct SocketState(Phase);

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// The application is asked for credentials.
    Asking {
        serial: u64,
        deadline: Timestamp,
    },
    /// A CONNECT was sent.
    Joining {
        connect: u64,
        deadline: Timestamp,
        replay: Replay,
    },
    /// A CONNECT was sent, and the application wants to leave before the answer.
    Leaving {
        connect: u64,
        deadline: Timestamp,
    },
    Joined {
        id: ByteString,
        recovered: bool,
    },
}

/// Events that came before the answer to a CONNECT, as an official server sends them.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) events: Vec<(socket::Event, Option<u64>)>,
    pub(super) bytes: usize,
}

/// The kind of a state, to be matched together with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Asking,
    Joining,
    Leaving,
    Joined,
}

/// What was not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    Asking,
    Joining,
    Leaving,
}

impl SocketState {
    /// The application is asked for credentials, by this request.
    pub(super) fn ask(&mut self, serial: u64, deadline: Timestamp) {
        self.0 = Phase::Asking { serial, deadline };
    }

    /// A CONNECT was sent. `connect` is its number on this connection.
    pub(super) fn join(&mut self, connect: u64, deadline: Timestamp) {
        self.0 = Phase::Joining { connect, deadline, replay: Replay::default() };
    }

    /// The application leaves before the server has answered. Returns whether an answer is expected.
    pub(super) fn leave_before_answer(&mut self) -> bool {
        let Phase::Joining { connect, deadline, .. } = self.0 else {
            return false;
        };
        self.0 = Phase::Leaving { connect, deadline };
        true
    }

    /// The server has answered. Returns the events that came before the answer.
    pub(super) fn joined(&mut self, id: ByteString, recovered: bool) -> Replay {
        match core::mem::replace(&mut self.0, Phase::Joined { id, recovered }) {
            Phase::Joining { replay, .. } => replay,
            Phase::Idle | Phase::Asking { .. } | Phase::Leaving { .. } | Phase::Joined { .. } => {
                Replay::default()
            }
        }
    }

    /// The namespace is not joined, and no answer is expected.
    pub(super) fn reset(&mut self) {
        self.0 = Phase::Idle;
    }

    /// Drops the events that came before the answer to a CONNECT.
    pub(super) fn drop_replay(&mut self) {
        if let Phase::Joining { replay, .. } = &mut self.0 {
            *replay = Replay::default();
        }
    }

    /// Stops waiting for what is overdue, and says what it was. A late answer still counts.
    pub(super) fn time_out(&mut self, now: Timestamp) -> Option<Unanswered> {
        let (deadline, unanswered) = match &mut self.0 {
            Phase::Asking { deadline, .. } => (deadline, Unanswered::Asking),
            Phase::Joining { deadline, .. } => (deadline, Unanswered::Joining),
            Phase::Leaving { deadline, .. } => (deadline, Unanswered::Leaving),
            Phase::Idle | Phase::Joined { .. } => return None,
        };
        let is_due = *deadline <= now;
        is_due.then(|| {
            *deadline = Timestamp::NEVER;
            unanswered
        })
    }

    /// The events that came before the answer, while one is expected.
    pub(super) fn replay(&mut self) -> Option<&mut Replay> {
        match &mut self.0 {
            Phase::Joining { replay, .. } => Some(replay),
            Phase::Idle | Phase::Asking { .. } | Phase::Leaving { .. } | Phase::Joined { .. } => {
                None
            }
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.0 {
            Phase::Idle => Stage::Idle,
            Phase::Asking { .. } => Stage::Asking,
            Phase::Joining { .. } => Stage::Joining,
            Phase::Leaving { .. } => Stage::Leaving,
            Phase::Joined { .. } => Stage::Joined,
        }
    }

    /// Whether the application is asked for credentials by this request.
    pub(super) fn is_asking(&self, request: u64) -> bool {
        matches!(self.0, Phase::Asking { serial, .. } if serial == request)
    }

    /// The number of the CONNECT whose answer is expected.
    pub(super) fn connect(&self) -> Option<u64> {
        match self.0 {
            Phase::Joining { connect, .. } | Phase::Leaving { connect, .. } => Some(connect),
            Phase::Idle | Phase::Asking { .. } | Phase::Joined { .. } => None,
        }
    }

    /// The public id.
    pub(super) fn id(&self) -> Option<&ByteString> {
        match &self.0 {
            Phase::Joined { id, .. } => Some(id),
            Phase::Idle | Phase::Asking { .. } | Phase::Joining { .. } | Phase::Leaving { .. } => {
                None
            }
        }
    }

    /// Whether the namespace is joined in a session that was recovered.
    pub(super) fn is_recovered(&self) -> bool {
        matches!(self.0, Phase::Joined { recovered: true, .. })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        match self.0 {
            Phase::Asking { deadline, .. }
            | Phase::Joining { deadline, .. }
            | Phase::Leaving { deadline, .. } => deadline,
            Phase::Idle | Phase::Joined { .. } => Timestamp::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joining() -> SocketState {
        let mut state = SocketState::default();
        state.join(1, Timestamp::from_millis(9));
        let event = socket::Event::new("e", &()).unwrap();
        state.replay().unwrap().events.push((event, None));
        state
    }

    #[test]
    fn a_replay_ends_with_the_attempt_that_it_belongs_to() {
        assert_eq!(joining().joined("s".into(), false).events.len(), 1);
        let ways_out: [fn(&mut SocketState); 4] = [
            |state| assert!(state.leave_before_answer()),
            SocketState::reset,
            SocketState::drop_replay,
            |state| state.join(2, Timestamp::from_millis(9)),
        ];
        for way_out in ways_out {
            let mut state = joining();
            way_out(&mut state);
            assert!(state.joined("s".into(), false).events.is_empty());
        }
    }

    #[test]
    fn what_is_overdue_is_reported_once() {
        let mut state = joining();
        assert_eq!(state.time_out(Timestamp::from_millis(8)), None);
        assert_eq!(state.time_out(Timestamp::from_millis(9)), Some(Unanswered::Joining));
        assert_eq!(state.time_out(Timestamp::from_millis(9)), None);
        assert_eq!((state.stage(), state.deadline()), (Stage::Joining, Timestamp::NEVER));
    }

    #[test]
    fn only_joined_has_an_id() {
        let mut state = joining();
        assert_eq!((state.id(), state.connect()), (None, Some(1)));
        drop(state.joined("s".into(), true));
        assert_eq!((state.id().map(|id| &**id), state.is_recovered()), (Some("s"), true));
        state.reset();
        assert_eq!((state.id(), state.is_recovered()), (None, false));
    }
}
