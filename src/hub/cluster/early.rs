//! Clients that come before the node knows what was in the channel before it.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    hub::{
        Hub,
        message::{Request, RequestKind},
        rejection::Rejection,
        waiting::Asked,
    },
    id::ConnectionId,
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

/// CONNECTs that wait, of each connection the latest one for each namespace.
#[derive(Default)]
pub(super) struct Early(BTreeMap<ConnectionId, Vec<Request>>);

impl<D: Default> Hub<D> {
    /// Keeps a CONNECT until the node knows what was there before it. Returns every other request,
    /// and all of them once the node knows that.
    pub(in crate::hub) fn keep_early(
        &mut self,
        from: ConnectionId,
        request: Request,
    ) -> Option<Request> {
        let Some(node) = &mut self.node else { return Some(request) };
        let early = &mut node.early;
        match &request.0 {
            RequestKind::Cancel { namespace, .. } if !node.channels.is_ready(namespace) => {
                early.remove(from, namespace);
                None
            }
            RequestKind::Connect { namespace, serial, earlier, replaced, .. }
                if !node.channels.is_ready(namespace) =>
            {
                early.remove(from, namespace);
                if early.has_room_for(from, &request, self.config.limits.pending_auth_bytes) {
                    early.0.entry(from).or_default().push(request);
                    return None;
                }
                let asked = Asked { from, serial: *serial, earlier: *earlier, replaced: *replaced };
                increment(&mut self.totals.connects_refused.too_much_auth);
                let rejection = Rejection::new("Too much authentication data");
                self.refuse(asked, namespace.clone(), &rejection);
                None
            }
            _ => Some(request),
        }
    }

    /// Handles the CONNECTs that have waited. Call this when another channel is ready.
    pub(super) fn take_early(&mut self, now: Timestamp) {
        let Some(node) = &mut self.node else { return };
        for (from, requests) in core::mem::take(&mut node.early).0 {
            for request in requests {
                self.handle_request(now, from, request);
            }
        }
    }
}

impl Early {
    fn remove(&mut self, from: ConnectionId, name: &NamespaceName) {
        let Some(requests) = self.0.get_mut(&from) else { return };
        requests.retain(|request| {
            !matches!(&request.0, RequestKind::Connect { namespace, .. } if namespace == name)
        });
        if requests.is_empty() {
            self.0.remove(&from);
        }
    }

    /// Whether a connection may have one more CONNECT waiting, given the total size of the others.
    /// A single one is always allowed.
    fn has_room_for(&self, from: ConnectionId, request: &Request, limit: usize) -> bool {
        let others: usize = self.0.get(&from).map_or(0, |all| all.iter().map(auth_len).sum());
        others == 0 || auth_len(request).saturating_add(others) <= limit
    }
}

fn auth_len(request: &Request) -> usize {
    match &request.0 {
        RequestKind::Connect { auth, .. } => auth.as_ref().map_or(0, |auth| auth.as_str().len()),
        _ => 0,
    }
}
