//! What the answers of the store, and markers in the channel, say of a record that is written ahead.

use super::{Ahead, Answer, Found, State, Versions};
use crate::{cluster::StoreOutcome, id::SocketKey, time::Timestamp};

impl Ahead {
    /// The answer to a write.
    pub(in crate::hub::cluster) fn written(
        &mut self,
        socket: SocketKey,
        number: u64,
        outcome: StoreOutcome,
    ) -> Answer {
        let Some(record) = self.records.get_mut(&socket) else { return Answer::Late };
        let State::Writing { number: latest, replaces, covers, until } = record.state else {
            return Answer::Late;
        };
        if latest != number {
            return Answer::Late;
        }
        match outcome {
            StoreOutcome::Stored => {
                record.state = State::Kept(number);
                (record.stored, record.kept_until) = (covers, until);
                record.is_contested = false;
                self.wake_if_changed(socket);
                Answer::Stored(covers)
            }
            StoreOutcome::Superseded => {
                record.state = State::Doubtful(replaces.into_iter().collect());
                self.wake(socket);
                Answer::Doubtful
            }
            StoreOutcome::Refused => {
                record.state = replaces.map_or(State::Absent, State::Kept);
                record.stored = covers;
                record.is_contested = false;
                self.wake_if_changed(socket);
                Answer::Refused
            }
        }
    }

    /// The answer to the question which version is there.
    pub(in crate::hub::cluster) fn checked(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        found: Found,
    ) -> Answer {
        let Some(record) = self.records.get_mut(&socket) else { return Answer::Late };
        let State::Checking(versions) = &record.state else { return Answer::Late };
        match found {
            Found::Version(version) if versions.contains(&version) => {
                record.state = State::Kept(version);
                self.wake_if_changed(socket);
                Answer::Here
            }
            Found::Version(_) | Found::Foreign => Answer::Elsewhere,
            // It was there, and its time is not over. A Node.js server says nothing in the channel.
            Found::Nothing if record.is_contested || now < record.kept_until => Answer::Elsewhere,
            Found::Nothing if record.is_promised() => record.leave_to_claim(),
            Found::Nothing => Answer::Unproven,
        }
    }

    /// A marker with this number is on its way, to prove that nobody else has the session.
    pub(in crate::hub::cluster) fn prove(&mut self, socket: SocketKey, number: u64) {
        if let Some(record) = self.records.get_mut(&socket) {
            record.state = State::Proving(number);
        }
    }

    /// The marker could not be appended.
    pub(in crate::hub::cluster) fn disprove(&mut self, socket: SocketKey) {
        if let Some(record) = self.records.get_mut(&socket) {
            record.state = State::Doubtful(Versions::new());
            self.wake(socket);
        }
    }

    /// This node has read its marker.
    pub(in crate::hub::cluster) fn proven(&mut self, socket: SocketKey, number: u64) -> Answer {
        let Some(record) = self.records.get_mut(&socket) else { return Answer::Late };
        match record.state {
            State::Proving(latest) if latest != number => Answer::Late,
            State::Proving(_) if record.is_contested => Answer::Elsewhere,
            State::Proving(_) if record.is_promised() => record.leave_to_claim(),
            State::Proving(_) => {
                record.state = State::Absent;
                self.wake(socket);
                Answer::Here
            }
            _ => Answer::Late,
        }
    }

    /// The connection is lost, and with it all answers.
    pub(in crate::hub::cluster) fn disconnect(&mut self) {
        for (socket, record) in &mut self.records {
            record.state = match core::mem::replace(&mut record.state, State::Absent) {
                State::Writing { number, replaces, .. } => {
                    State::Doubtful(replaces.into_iter().chain([number]).collect())
                }
                State::Checking(versions) => State::Doubtful(versions),
                State::Proving(_) => State::Doubtful(Versions::new()),
                other => other,
            };
            if matches!(record.state, State::Doubtful(_)) && !record.is_waiting {
                record.is_waiting = true;
                self.waiting.push_back(*socket);
            }
        }
    }
}
