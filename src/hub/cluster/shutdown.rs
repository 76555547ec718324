//! A node that ends in good order waits until the store has its sessions.

use crate::{
    hub::{Hub, event::ServerEvent, output::HubOutput},
    id::SocketKey,
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// See [`At::hand_over`](crate::hub::At::hand_over).
    pub(in crate::hub) fn begin_handover(&mut self) -> bool {
        let Some(node) = &mut self.node else { return false };
        node.is_handing_over = true;
        self.ask_store();
        self.report_handover();
        true
    }

    /// When a handover need not wait any longer for the sessions that were claimed before it.
    pub(super) fn handover_due(&self) -> Timestamp {
        let node = self.node.as_ref().filter(|node| node.is_handing_over);
        let until = node.and_then(|node| node.claims.awaited_until(self.now));
        until.unwrap_or(Timestamp::NEVER)
    }

    /// Reports that nothing is on its way any more. Call this at the end of a step: within it, a session
    /// may have come and not be parked yet.
    pub(in crate::hub) fn report_handover(&mut self) {
        let now = self.now;
        let Some(node) = self.node.as_mut().filter(|node| node.is_handing_over) else { return };
        let is_under_way = node.records_waiting() > 0
            || !node.deferred.is_empty()
            // A session that is on its way here would be nowhere.
            || node.claims.awaited_until(now).is_some();
        if is_under_way || node.channels.waiting() > 0 {
            return;
        }
        node.is_handing_over = false;
        let is_stored = |socket: &&SocketKey| node.in_store(**socket).is_some();
        let stored = self.keys.values().filter(is_stored).count();
        let not_stored = self.keys.values().count().saturating_sub(stored);
        let event = ServerEvent::HandedOver { stored, not_stored };
        self.out.push_back(HubOutput::Event(event));
    }
}
