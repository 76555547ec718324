//! Where a client is. Every transition is a method here; nothing else assigns a state.
//!
//! Two rules:
//!
//! 1. There is a connection, or a planned attempt, or neither; never both.
//! 2. A connection that the client closed or aborted never becomes usable again. The next attempt
//!    makes a new one.
//!
//! | state | event | becomes |
//! | --- | --- | --- |
//! | Closed, Waiting | [`State::begin`] | Opening |
//! | Opening | [`State::opened`] | Open |
//! | Opening, Open | [`State::release`] | Unused |
//! | Waiting | [`State::release`] | Closed |
//! | Opening, Open, Unused | [`State::abort`] | Aborted |
//! | Opening, Open, Unused, Aborted | [`State::end`] | Closed |
//! | Closed | [`State::wait`] | Waiting |

use alloc::boxed::Box;

use crate::{engine::ClientConnection, time::Timestamp};

#[derive(Debug)]
pub(super) struct State(Phase);

#[derive(Debug)]
enum Phase {
    /// There is no connection and no planned attempt.
    Closed,
    /// The next attempt is planned.
    Waiting { attempt_at: Timestamp },
    /// There is a connection, from the start of its handshake until its end is handled.
    Connection { connection: Box<ClientConnection>, life: Life },
}

#[derive(Clone, Copy, Debug)]
enum Life {
    /// The handshake is in progress.
    Opening,
    Open,
    /// No namespace needed the connection any more, so the client closed it.
    Unused {
        was_open: bool,
    },
    /// The client gave the connection up: what still comes out of it is ignored.
    Aborted {
        was_open: bool,
        was_unused: bool,
    },
}

/// A connection that has ended.
pub(super) struct Ended {
    pub(super) connection: Box<ClientConnection>,
    /// Whether its handshake was completed.
    pub(super) was_open: bool,
    /// Whether the client closed it because no namespace needed it.
    pub(super) was_unused: bool,
}

impl State {
    pub(super) const fn new() -> Self {
        Self(Phase::Closed)
    }

    /// A connection is made.
    pub(super) fn begin(&mut self, connection: ClientConnection) {
        debug_assert!(self.connection().is_none(), "one connection at a time");
        self.0 = Phase::Connection { connection: Box::new(connection), life: Life::Opening };
    }

    /// The handshake is complete.
    pub(super) fn opened(&mut self) {
        if let Phase::Connection { life, .. } = &mut self.0 {
            match life {
                Life::Opening => *life = Life::Open,
                Life::Unused { was_open } | Life::Aborted { was_open, .. } => *was_open = true,
                Life::Open => {}
            }
        }
    }

    /// No namespace needs a connection. The caller closes the one that there is.
    pub(super) fn release(&mut self) {
        match &mut self.0 {
            Phase::Closed => {}
            Phase::Waiting { .. } => self.0 = Phase::Closed,
            Phase::Connection { life, .. } => match life {
                Life::Opening | Life::Open => {
                    *life = Life::Unused { was_open: matches!(life, Life::Open) };
                }
                Life::Aborted { was_unused, .. } => *was_unused = true,
                Life::Unused { .. } => {}
            },
        }
    }

    /// The connection is given up. The caller aborts it.
    pub(super) fn abort(&mut self) {
        if let Phase::Connection { life, .. } = &mut self.0 {
            let (was_open, was_unused) = life.history();
            *life = Life::Aborted { was_open, was_unused };
        }
    }

    /// The connection has ended. Returns it.
    pub(super) fn end(&mut self) -> Option<Ended> {
        match core::mem::replace(&mut self.0, Phase::Closed) {
            Phase::Connection { connection, life } => {
                let (was_open, was_unused) = life.history();
                Some(Ended { connection, was_open, was_unused })
            }
            other @ (Phase::Closed | Phase::Waiting { .. }) => {
                self.0 = other;
                None
            }
        }
    }

    /// The next attempt is planned.
    pub(super) fn wait(&mut self, attempt_at: Timestamp) {
        debug_assert!(self.connection().is_none(), "there is nothing to wait for");
        self.0 = Phase::Waiting { attempt_at };
    }

    pub(super) fn connection(&self) -> Option<&ClientConnection> {
        match &self.0 {
            Phase::Connection { connection, .. } => Some(connection),
            Phase::Closed | Phase::Waiting { .. } => None,
        }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut ClientConnection> {
        match &mut self.0 {
            Phase::Connection { connection, .. } => Some(connection),
            Phase::Closed | Phase::Waiting { .. } => None,
        }
    }

    /// When the next attempt is made; [`Timestamp::NEVER`] if none is planned.
    pub(super) fn attempt_at(&self) -> Timestamp {
        match self.0 {
            Phase::Waiting { attempt_at } => attempt_at,
            Phase::Closed | Phase::Connection { .. } => Timestamp::NEVER,
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        matches!(self.0, Phase::Connection { life: Life::Aborted { .. }, .. })
    }
}

impl Life {
    /// Whether the connection was open, and whether it was closed because it was not needed.
    fn history(self) -> (bool, bool) {
        match self {
            Self::Opening => (false, false),
            Self::Open => (true, false),
            Self::Unused { was_open } => (was_open, true),
            Self::Aborted { was_open, was_unused } => (was_open, was_unused),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::{config::ClientConfig, engine::ClientStart};

    fn connection() -> ClientConnection {
        let config = Arc::new(ClientConfig::new());
        ClientConnection::new(Timestamp::ZERO, config, ClientStart::default())
    }

    /// Each row: the transitions after `begin`, and what `end` says of the connection.
    #[test]
    fn the_end_tells_how_the_connection_was_used() {
        type Transition = fn(&mut State);
        let opened: Transition = State::opened;
        let table: [(&[Transition], (bool, bool)); 7] = [
            (&[], (false, false)),
            (&[opened], (true, false)),
            (&[State::release], (false, true)),
            (&[opened, State::release], (true, true)),
            (&[opened, State::abort], (true, false)),
            (&[opened, State::release, State::abort], (true, true)),
            (&[State::abort, State::release], (false, true)),
        ];
        for (transitions, expected) in table {
            let mut state = State::new();
            state.begin(connection());
            for transition in transitions {
                transition(&mut state);
            }
            let ended = state.end().unwrap();
            assert_eq!((ended.was_open, ended.was_unused), expected);
            assert!(state.end().is_none() && state.connection().is_none());
        }
    }

    #[test]
    fn a_planned_attempt_is_given_up_when_nobody_needs_it() {
        let mut state = State::new();
        state.wait(Timestamp::from_millis(5));
        assert!(state.end().is_none(), "there is no connection that could end");
        assert_eq!(state.attempt_at(), Timestamp::from_millis(5));
        state.release();
        assert_eq!(state.attempt_at(), Timestamp::NEVER);
    }

    #[test]
    fn an_attempt_ends_the_wait() {
        let mut state = State::new();
        state.wait(Timestamp::from_millis(5));
        state.begin(connection());
        assert_eq!(state.attempt_at(), Timestamp::NEVER);
        assert!(state.connection().is_some() && !state.is_aborted());
    }
}
