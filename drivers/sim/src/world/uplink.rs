//! The other direction: each event that a client emits arrives at most once, and in order within a
//! session, unless it is retried.

use std::collections::BTreeMap;

use socketio_proto::socket::Event;

use crate::client::Delivery;

#[derive(Debug)]
struct Sent {
    client: usize,
    namespace: String,
    event: Event,
    delivery: Delivery,
    has_arrived: bool,
}

#[derive(Debug, Default)]
pub(super) struct Uplink {
    sent: Vec<Sent>,
    /// The latest event of each session.
    latest: BTreeMap<String, usize>,
}

impl Uplink {
    /// A client emits an event. Returns its tag.
    pub(super) fn send(
        &mut self,
        client: usize,
        namespace: &str,
        event: &Event,
        delivery: Delivery,
    ) -> u64 {
        self.sent.push(Sent {
            client,
            namespace: namespace.to_owned(),
            event: event.clone(),
            delivery,
            has_arrived: false,
        });
        self.sent.len() as u64 - 1
    }

    /// The event of a tag.
    pub(super) fn event(&self, tag: u64) -> Option<&Event> {
        self.sent.get(usize::try_from(tag).ok()?).map(|sent| &sent.event)
    }

    /// The server has received an event of a client. Of an old copy of a session, it may be earlier than
    /// what the session has received elsewhere.
    pub(super) fn receive(
        &mut self,
        client: usize,
        namespace: &str,
        session: &str,
        event: &Event,
        is_old_copy: bool,
    ) -> Result<(), String> {
        let is_it = |sent: &Sent| {
            sent.client == client && sent.namespace == namespace && sent.event == *event
        };
        let is_retry = |sent: &Sent| is_it(sent) && sent.delivery == Delivery::Retry;
        if self.sent.iter().any(is_retry) {
            return Ok(());
        }
        let latest = self.latest.get(session).filter(|_| !is_old_copy);
        let after = latest.map_or(0, |latest| latest + 1);
        let later = self.sent.iter_mut().enumerate().skip(after);
        let found = later.filter(|(_, sent)| is_it(sent)).find(|(_, sent)| !sent.has_arrived);
        let Some((index, sent)) = found else {
            return Err(format!(
                "the server received {event:?} of client {client} again, or out of order"
            ));
        };
        sent.has_arrived = true;
        if !is_old_copy {
            self.latest.insert(session.to_owned(), index);
        }
        Ok(())
    }
}
