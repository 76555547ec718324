//! Claims of sessions whose records are in the store.
//!
//! The claimant asks the store after it has read its claim. It first looks at the record and leaves
//! it there. Only if the session can be recovered, it takes the record. If the owner hands the session
//! over before that, the record is not needed.

use alloc::boxed::Box;

use super::{
    ahead::Versions,
    changes::Forgotten,
    claim::Successor,
    claims::LATENESS,
    commands::Command,
    pending::{Pending, Priority},
    placed::InStore,
};
use crate::{
    cluster::{ClusterOutput, FetchedSession, StoreOutcome},
    hub::{Hub, output::HubOutput, sessions::Arrival},
    id::{RecoveryKey, SocketKey},
    recovery::RecoveryRefusal,
    stats::increment,
};

/// What a record is good for.
enum Found<D> {
    /// The session can be recovered.
    Usable(Box<Arrival<D>>),
    /// The same, but a node that still has the session may know more.
    Held(Box<Arrival<D>>),
    /// This node has not yet read everything that is in the record.
    Early,
    /// It cannot be recovered with this record.
    Refused(RecoveryRefusal),
}

impl<D: Default> Hub<D> {
    /// Asks the store for the record for a claim.
    pub(super) fn fetch_record(&mut self, claim: u64) {
        let Some(node) = &mut self.node else { return };
        if let Some(pending) = node.claims.get_mut(claim) {
            pending.lookup.is_fetched = true;
        }
        node.records.fetch(claim);
    }

    /// The record for a claim was found in the store, where it still is.
    pub(super) fn handle_found(&mut self, claim: u64, session: Option<FetchedSession>) {
        let pending = self.node.as_mut().and_then(|node| node.claims.get_mut(claim));
        if let Some(pending) = pending {
            pending.lookup.is_fetched = false;
        }
        let Some(session) = session else {
            self.note_no_record(claim);
            return self.end_in_vain(claim);
        };
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(claim) else { return };
        pending.lookup.found = Some(session);
        self.use_record(claim);
    }

    /// Goes on with the claims whose records say more than this node had read.
    pub(super) fn use_early_records(&mut self) {
        let Some(node) = self.node.as_mut().filter(|node| !node.early_records.is_empty()) else {
            return;
        };
        for claim in core::mem::take(&mut node.early_records) {
            self.use_record(claim);
        }
    }

    pub(super) fn use_record(&mut self, claim: u64) {
        let found = self.look_at(claim);
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(claim) else { return };
        let (key, request) = (pending.key, pending.request);
        // If the client has gone, the record stays where it is.
        if pending.has_come || !self.connects.is_looked_up(request) {
            return;
        }
        match found {
            Found::Early => drop(node.early_records.insert(claim)),
            Found::Held(_) if !self.owner_is_gone(claim) => {}
            Found::Usable(_) | Found::Held(_) => self.take_record(claim, key),
            // The owner may know more, if it is up.
            Found::Refused(RecoveryRefusal::Trimmed) => {
                self.connects.note_refusal(request, RecoveryRefusal::Trimmed);
                self.end_in_vain(claim);
            }
            Found::Refused(refusal) => {
                self.end_lookup(self.now, request, refusal);
            }
        }
    }

    /// Uses the record for a claim that has waited for the owner of the session.
    pub(super) fn use_held_record(&mut self, claim: u64) {
        let pending = self.node.as_ref().and_then(|node| node.claims.get(claim));
        if pending.is_some_and(|pending| pending.lookup.found.is_some() && !pending.lookup.is_taken)
        {
            self.use_record(claim);
        }
    }

    /// Whether no other node has the session of a claim, or its owner does not answer in time.
    fn owner_is_gone(&mut self, claim: u64) -> bool {
        let now = self.now;
        let Some(node) = &self.node else { return false };
        let is_absent = node.claims.get(claim).is_some_and(|pending| {
            let introduced = node.members.introduced_at(pending.request.namespace);
            introduced.is_some_and(|at| at <= now) && self.others_lack(pending)
        });
        is_absent || self.node.as_mut().is_some_and(|node| node.claims.await_owner(now, claim))
    }

    /// Takes the record for a claim, so that nobody else does. A node that writes records ahead
    /// replaces it instead: the session is in the store all the time then.
    fn take_record(&mut self, claim: u64, key: RecoveryKey) {
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(claim) else { return };
        pending.lookup.is_taken = true;
        let expected = pending.lookup.version();
        let found = pending.lookup.found.clone().filter(|_| node.durable.is_some());
        let version = found.as_ref().and_then(|found| found.session.version);
        let command = match found.zip(version) {
            Some((FetchedSession { mut session, expires_in }, version)) => {
                let number = node.records.ask(Command::Replace(claim));
                session.version = Some(number);
                pending.lookup.replaced_as = Some(number);
                ClusterOutput::Store { session, expires_in, replaces: Some(version), number }
            }
            None => ClusterOutput::Take {
                key,
                version: expected,
                number: node.records.ask(Command::Take(claim, expected)),
            },
        };
        self.out.push_back(HubOutput::Cluster(command));
    }

    /// The record for a claim was replaced, or was another one by then.
    pub(super) fn handle_replaced(&mut self, claim: u64, number: u64, outcome: StoreOutcome) {
        let Some(node) = &mut self.node else { return };
        let found = node.claims.get(claim).and_then(|pending| pending.lookup.found.clone());
        let replaced = found.filter(|_| outcome == StoreOutcome::Stored).map(|mut found| {
            found.session.version = Some(number);
            found
        });
        if let Some(pending) = self.node.as_mut().and_then(|node| node.claims.get_mut(claim)) {
            pending.lookup.replaced_as = None;
        }
        self.go_on_with_taken(claim, replaced, false);
    }

    /// The record for a claim was taken out of the store, if it still was the version `expected`.
    pub(super) fn handle_taken(
        &mut self,
        claim: u64,
        mut session: Option<FetchedSession>,
        expected: Option<u64>,
    ) {
        if let Some(newer) = session.take_if(|it| it.session.version != expected)
            && let Some(pending) = self.node.as_mut().and_then(|node| node.claims.get_mut(claim))
            // Otherwise, who has stored it keeps it, or hands it over to the later claim.
            && !pending.has_come && pending.successor.is_none() && pending.refused.is_none()
        {
            pending.lookup.is_taken = false;
            pending.lookup.found = Some(newer);
            return self.use_record(claim);
        }
        self.go_on_with_taken(claim, session, true);
    }

    /// The record for a claim was taken out of the store, or was replaced there. `None` if it was
    /// another one by then, or none.
    fn go_on_with_taken(&mut self, claim: u64, session: Option<FetchedSession>, is_removed: bool) {
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(claim) else {
            // The owner has handed the session over meanwhile.
            if let Some(session) = session.filter(|_| is_removed) {
                self.return_taken(session, true);
            }
            return;
        };
        pending.lookup.is_taken = false;
        let (request, has_come) = (pending.request, pending.has_come);
        let Some(session) = session else {
            // Another node has it, and hands it over if this claim came later.
            pending.lookup.has_none = true;
            if let Some(refusal) = pending.refused
                && let Some(pending) = node.claims.remove(claim)
            {
                return self.conclude_claim(pending, Err(refusal), None);
            }
            if !self.claim_again(request) {
                self.end_if_absent(claim);
            }
            return;
        };
        if has_come {
            if is_removed {
                self.return_taken(session, true);
            }
            return;
        }
        pending.lookup.origin = pending.lookup.version();
        pending.lookup.found = Some(session.clone());
        let refusal = match self.look_at(claim) {
            Found::Usable(arrival) | Found::Held(arrival) => {
                let version = session.session.version.filter(|_| !is_removed);
                let in_store = version.map(InStore::certain);
                return self.arrive_from_store(claim, *arrival, in_store);
            }
            Found::Early => RecoveryRefusal::Superseded,
            Found::Refused(refusal) => refusal,
        };
        if is_removed {
            self.return_taken(session, false);
        }
        self.end_lookup(self.now, request, refusal);
    }

    /// The connection was lost while the record for a claim was taken. So it may be here.
    pub(super) fn assume_taken(&mut self, claim: u64) {
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(claim) else { return };
        pending.lookup.is_taken = false;
        if pending.has_come {
            return;
        }
        // Only the version of the record can tell later whether it was taken here. That of an official
        // node has none.
        let version = pending.lookup.version();
        if version.is_none() {
            return;
        }
        if let Found::Usable(arrival) | Found::Held(arrival) = self.look_at(claim) {
            self.arrive_from_store(claim, *arrival, version.map(InStore::uncertain));
        }
    }

    /// The session for a claim comes in. `in_store` is the version of its record that may still be in
    /// the store.
    fn arrive_from_store(&mut self, claim: u64, arrival: Arrival<D>, in_store: Option<InStore>) {
        let Some(mut pending) = self.node.as_mut().and_then(|node| node.claims.remove(claim))
        else {
            return;
        };
        let taken = pending.lookup.found.take().filter(|_| in_store.is_none());
        let arrived = self.bring_in(self.now, pending.request.namespace, arrival);
        if let (Err(_), Some(taken)) = (arrived, taken) {
            self.return_taken(taken, pending.has_come);
        }
        self.conclude_claim(pending, arrived, in_store);
    }

    /// Goes on after the session for a claim has come in, or could not. `in_store` says whether its
    /// record may be in the store.
    pub(super) fn conclude_claim(
        &mut self,
        pending: Pending<Successor>,
        arrived: Result<SocketKey, RecoveryRefusal>,
        in_store: Option<InStore>,
    ) {
        let (now, id) = (self.now, pending.request.namespace);
        if let (Ok(socket), Some(node)) = (arrived, &mut self.node) {
            node.claims.note_arrival(pending.key);
            node.records.note_origin(socket, pending.lookup.origin);
            if let Some(version) = pending.lookup.origin {
                let away = self.config.recovery.as_ref().map(|it| it.max_disconnection);
                let end = now.saturating_add(away.unwrap_or_default()).saturating_add(LATENESS);
                node.void.note(now, pending.key, version, end);
            }
            match (&mut node.durable, in_store) {
                (Some(durable), _) => {
                    let mut possible: Versions = node.claims.replacements(pending.key).collect();
                    possible.extend(pending.lookup.replaced_as);
                    let (certain, uncertain) = match in_store {
                        Some(it) if it.is_certain => (Some(it.version), None),
                        it => (None, it.map(|it| it.version)),
                    };
                    possible.extend(uncertain);
                    possible.extend(in_store.and_then(|it| it.older));
                    durable.ahead.arrive(socket, certain, possible);
                }
                (None, Some(in_store)) => node.records.arrive(socket, in_store),
                (None, None) => {}
            }
            // Of several, only the last one is answered. The others may have taken the record.
            if pending.successors > 1 && (node.durable.is_some() || in_store.is_some()) {
                node.contest(socket);
                node.records.contests.note_unknown_claimants(socket);
            }
            self.note_change(socket);
        }
        if let Some((to, claim)) = pending.successor {
            match self.keys.get(&pending.key.index_key()).copied() {
                // It has come for another claim of this node: a later one, or it would have gone on.
                Some(socket) if arrived.is_err() => {
                    // Unless the session still goes to it.
                    if self.node.as_ref().is_some_and(|node| !node.deferred.is_claimed(socket)) {
                        self.supersede(id, &to, &claim);
                    }
                }
                _ => self.hand_over(now, id, &to, &claim),
            }
        }
        let is_here = self.keys.get(&pending.key.index_key()).is_some();
        let has_gone_on = match arrived {
            Err(RecoveryRefusal::Superseded) => pending.priority == Priority::Takes,
            arrived => arrived.is_ok(),
        };
        if !has_gone_on || is_here || !self.claim_again(pending.request) {
            let refusal = arrived.err().unwrap_or(RecoveryRefusal::Superseded);
            self.end_lookup(now, pending.request, refusal);
        }
        // Others of this node may wait for the same session.
        let others = self.node.as_ref().map(|node| node.claims.requests(pending.key));
        for (request, is_followed) in others.unwrap_or_default() {
            if self.keys.get(&pending.key.index_key()).is_some() {
                self.end_lookup(now, request, RecoveryRefusal::Unknown);
            } else if arrived.is_ok() && is_followed {
                self.claim_again(request);
            }
        }
        match arrived {
            Ok(socket) => self.note_parked(socket),
            Err(_) => self.end_all_absent(pending.key),
        }
    }

    /// A record was taken, but is not used. It goes back into the store, unless its session has come
    /// here: then nobody else may continue from it.
    fn return_taken(&mut self, taken: FetchedSession, has_come: bool) {
        let key = taken.session.pid.index_key();
        let Some(node) = &mut self.node else { return };
        let is_needed = match self.keys.get(&key).copied() {
            Some(socket) => {
                let found = taken.session.version;
                if found.is_some_and(|version| node.records.got(socket, version)) {
                    return self.go_on_here(socket);
                }
                let may_be_stored = node.records.in_store(socket).is_some();
                // An official node has had the session since. It says nothing in the channel.
                let is_official = may_be_stored && found.is_none();
                if is_official {
                    self.let_go(socket);
                }
                is_official
            }
            None => !has_come,
        };
        if is_needed {
            self.put_back(taken);
        }
    }

    /// What the record that was found for a claim is good for.
    fn look_at(&mut self, claim: u64) -> Found<D> {
        let pending = self.node.as_ref().and_then(|node| node.claims.get(claim));
        if let Some(namespace) = pending.map(|pending| pending.request.namespace) {
            self.bring_up_to_date(namespace);
        }
        let Some(node) = &self.node else { return Found::Refused(RecoveryRefusal::Unknown) };
        let found = node
            .claims
            .get(claim)
            .and_then(|pending| Some((pending, pending.lookup.found.as_ref()?)));
        let Some((pending, FetchedSession { session, expires_in })) = found else {
            return Found::Refused(RecoveryRefusal::Unknown);
        };
        if !pending.has_offset_before() {
            return Found::Refused(RecoveryRefusal::InvalidOffset);
        }
        let id = pending.request.namespace;
        let parked = if session.extension.is_none() {
            self.read_official(pending.request, pending.offset.as_deref(), session)
        } else {
            (node.codec.read)(session).ok_or(RecoveryRefusal::Unknown)
        };
        let parked = match parked {
            Ok(parked) if parked.pid == pending.key => Some(parked),
            Ok(_) | Err(RecoveryRefusal::Unknown) => None,
            Err(refusal) => return Found::Refused(refusal),
        };
        let (Some(parked), Some(namespace)) = (parked, self.namespaces.get(&id)) else {
            increment(&mut self.totals.entries_skipped);
            return Found::Refused(RecoveryRefusal::Unknown);
        };
        if parked.past.namespace != *namespace.sessions.name() {
            return Found::Refused(RecoveryRefusal::OtherNamespace);
        }
        let log = namespace.sessions.log();
        let head = log.head_offset();
        if !parked.past.at.has_form_of(head) {
            return Found::Refused(RecoveryRefusal::InvalidOffset);
        }
        if parked.past.at > head {
            return Found::Early;
        }
        let is_held = parked.past.is_held;
        let arrival = parked.arrival(pending.offset.as_deref(), head, *expires_in);
        let folded = arrival.and_then(|arrival| {
            node.changes
                .apply(id, arrival)
                .map_err(|Forgotten| RecoveryRefusal::Trimmed)?
                .ok_or(RecoveryRefusal::Unknown)
        });
        match folded {
            Ok(arrival) if log.covered(arrival.resume()).is_none() => {
                Found::Refused(RecoveryRefusal::Trimmed)
            }
            Ok(arrival) if is_held => Found::Held(Box::new(arrival)),
            Ok(arrival) => Found::Usable(Box::new(arrival)),
            Err(refusal) => Found::Refused(refusal),
        }
    }
}
