//! Claims whose sessions leave while they wait.
//!
//! A client has come to the node that has its session, or that is going to get it. Before the client
//! has it, the session goes to another node: because of an earlier claim that the client has given up,
//! or because the node did not know yet that the session has gone on elsewhere. Then the claim follows
//! it. The first claim of a CONNECT takes the session from whomever has it. The next ones *yield* to
//! every client that has the session or waits for it. So two nodes do not take it from each other again
//! and again.

use crate::{
    hub::{Hub, request::ConnectRequest},
    recovery::RecoveryRefusal,
};

impl<D: Default> Hub<D> {
    /// Claims a session that has left while a request has waited for it. Returns false if it has not,
    /// or if the claim has asked for it too often.
    pub(in crate::hub) fn follow_session(&mut self, request: ConnectRequest) -> bool {
        let waiting = self.connects.get(request);
        let Some((Ok(held), Some(lookup))) =
            waiting.and_then(|waiting| Some((waiting.claimed?, waiting.lookup.as_ref())))
        else {
            return false;
        };
        let namespace = self.namespaces.get(&held.socket.namespace);
        let has_left = namespace.is_none_or(|it| it.member(held.socket).is_none());
        if !has_left || !lookup.may_try(self.now) {
            return false;
        }
        self.give_up_held(request, RecoveryRefusal::Unanswered);
        self.begin_lookup(request);
        true
    }

    /// A request does not get the session that is held for it. Returns false if none is.
    pub(super) fn give_up_held(
        &mut self,
        request: ConnectRequest,
        refusal: RecoveryRefusal,
    ) -> bool {
        let held = self.connects.take_held(request);
        self.release(request, held);
        self.connects.set_claimed(request, Err(refusal));
        held.is_some()
    }

    /// Claims a session once more, while it is looked up. Returns false if it is not, or if the claim
    /// has asked for it too often.
    pub(super) fn claim_again(&mut self, request: ConnectRequest) -> bool {
        self.connects.note_refusal(request, RecoveryRefusal::Superseded);
        let waiting = self.connects.get(request);
        let lookup = waiting.and_then(|waiting| waiting.lookup.as_ref());
        if !lookup.is_some_and(|lookup| lookup.is_under_way && lookup.may_try(self.now)) {
            return false;
        }
        self.begin_lookup(request);
        true
    }
}
