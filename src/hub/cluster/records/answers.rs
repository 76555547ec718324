//! What the answers of the store, and markers in the channel, say of a record.

use alloc::vec::Vec;
use core::mem;

use super::{Recalled, Records};
use crate::{
    cluster::StoreOutcome,
    hub::cluster::{commands::Command, placed::State},
    id::SocketKey,
};

impl Records {
    /// The answer to [`Command::Store`]. Returns whether the record is now in the store, if it is
    /// still the latest.
    pub(in crate::hub::cluster) fn stored(
        &mut self,
        socket: SocketKey,
        number: u64,
        is_stored: bool,
    ) -> Option<bool> {
        let record = self.states.get_mut(&socket).filter(|record| record.version == number)?;
        match &mut record.state {
            state @ State::Storing => {
                *state = if is_stored { State::Stored } else { State::Refused };
                if !is_stored {
                    self.wanted.remove(&socket);
                }
            }
            State::Taking(was_there) => *was_there = Some(is_stored),
            _ => {}
        }
        self.replace_if_outdated(socket);
        Some(is_stored)
    }

    /// The answer to [`Command::Rewrite`]. `has_expired` says that the time of the record may be over.
    pub(in crate::hub::cluster) fn replaced(
        &mut self,
        socket: SocketKey,
        number: u64,
        outcome: StoreOutcome,
        has_expired: bool,
    ) -> Recalled {
        let is_disputed = self.contests.is_disputed(socket);
        let record = self.states.get_mut(&socket).filter(|record| record.version == number);
        let Some(record) = record.filter(|record| record.state == State::Replacing) else {
            return Recalled::Late;
        };
        match outcome {
            StoreOutcome::Stored => record.settle(number),
            // What is there is not what the session is. So it must not stay there.
            StoreOutcome::Refused => {
                record.take_back();
                self.wanted.insert(socket);
            }
            StoreOutcome::Superseded if is_disputed || !has_expired => {
                return Recalled::Elsewhere;
            }
            StoreOutcome::Superseded => {
                record.state = State::Unknown;
                self.find_out(socket);
            }
        }
        self.want_if_claimed(socket);
        self.replace_if_outdated(socket);
        Recalled::Late
    }

    /// The answer to [`Command::Recall`]: the version that was there. `has_expired` says that the
    /// time of the record may be over.
    pub(in crate::hub::cluster) fn recalled(
        &mut self,
        socket: SocketKey,
        found: Option<u64>,
        has_expired: bool,
    ) -> Recalled {
        let Some(record) = self.states.get_mut(&socket) else { return Recalled::Late };
        let State::Taking(was_there) = record.state else { return Recalled::Late };
        match (found, was_there) {
            (Some(found), _) if found == record.version => self.is_here(socket),
            // It was left there.
            (Some(found), _) if record.older == Some(found) => {
                record.settle(found);
                self.want_if_claimed(socket);
                self.replace_if_outdated(socket);
                Recalled::Late
            }
            (None, Some(false)) => self.is_here(socket),
            (None, Some(true)) if !has_expired => Recalled::Elsewhere,
            (None, _) if self.contests.is_disputed(socket) => Recalled::Contested,
            (None, _) => Recalled::Unproven,
            (Some(_), _) => Recalled::Elsewhere,
        }
    }

    /// The answer to [`Command::Look`]: the version that is there. `has_expired` says that the time of the
    /// record may be over.
    pub(in crate::hub::cluster) fn looked(
        &mut self,
        socket: SocketKey,
        found: Option<u64>,
        has_expired: bool,
    ) -> Recalled {
        let Some(record) = self.states.get_mut(&socket) else { return Recalled::Late };
        if record.state != State::Looking {
            return Recalled::Late;
        }
        match found {
            Some(found) if record.may_be(found) => {
                record.settle(found);
                self.replace_if_outdated(socket);
                Recalled::Late
            }
            None if record.was_there && !has_expired => Recalled::Elsewhere,
            None if self.contests.is_disputed(socket) => Recalled::Contested,
            None => Recalled::Unproven,
            Some(_) => Recalled::Elsewhere,
        }
    }

    /// A marker with this number is on its way into the channel, to prove that nobody else has the
    /// session.
    pub(in crate::hub::cluster) fn prove(&mut self, socket: SocketKey) -> u64 {
        self.latest = self.latest.wrapping_add(1);
        if let Some(record) = self.states.get_mut(&socket) {
            record.state = State::Proving(self.latest);
        }
        self.latest
    }

    /// A marker could not be appended.
    pub(in crate::hub::cluster) fn disprove(&mut self, socket: SocketKey) {
        if let Some(record) = self.states.get_mut(&socket) {
            record.state = State::Unknown;
            self.find_out(socket);
        }
    }

    /// This node has read its marker: it knows where the session is now.
    pub(in crate::hub::cluster) fn proven(&mut self, socket: SocketKey, number: u64) -> Recalled {
        let state = self.states.get(&socket).map(|record| record.state);
        if state != Some(State::Proving(number)) {
            Recalled::Late
        } else if self.contests.is_disputed(socket) {
            Recalled::Contested
        } else {
            self.is_here(socket)
        }
    }

    /// Other nodes are asked whether they have a session.
    pub(in crate::hub::cluster) fn ask_others(&mut self, socket: SocketKey) {
        if let Some(record) = self.states.get_mut(&socket) {
            record.state = State::Asking;
        }
    }

    /// Whether other nodes are asked whether they have a session.
    pub(in crate::hub::cluster) fn is_asking(&self, socket: SocketKey) -> bool {
        self.states.get(&socket).is_some_and(|record| record.state == State::Asking)
    }

    /// No other node has a session that they were asked about.
    pub(in crate::hub::cluster) fn absolved(&mut self, socket: SocketKey) -> Recalled {
        if self.is_asking(socket) { self.is_here(socket) } else { Recalled::Late }
    }

    /// The record of a session was taken for a claim, when the session was already here.
    pub(in crate::hub::cluster) fn got(&mut self, socket: SocketKey, version: u64) -> bool {
        let record = self.states.get(&socket);
        let is_it = record.is_some_and(|record| record.may_be(version));
        let is_gained = is_it && self.in_store(socket).is_some();
        if is_gained {
            self.is_here(socket);
        }
        is_gained
    }

    /// The connection is lost. Returns what was not answered, as far as it concerns claims.
    pub(in crate::hub::cluster) fn disconnect(&mut self) -> Vec<Command> {
        let mut lost = Vec::new();
        for (socket, record) in &mut self.states {
            if record.lose_reply() {
                lost.push(*socket);
            }
        }
        for socket in lost {
            self.find_out(socket);
        }
        let lost = mem::take(&mut self.commands).into_values();
        let mut of_claims = Vec::new();
        for command in lost {
            match command {
                Command::Discard(key, version) => self.discard(key, version),
                Command::Fetch(claim) => self.fetch(claim),
                Command::Take(..) | Command::Replace(_) => of_claims.push(command),
                Command::Store(_)
                | Command::Recall(_)
                | Command::Rewrite(_)
                | Command::Look(_)
                | Command::PutBack
                | Command::Write(_)
                | Command::Check(_) => {}
            }
        }
        of_claims
    }
}
