//! The other direction: events that clients emit arrive at most once. They arrive exactly once if
//! both sides count them or the application asks whether they are new.

use std::collections::BTreeMap;

use socketio_proto::SocketKey;

use crate::op::Sending;

#[derive(Debug)]
pub struct Sent {
    pub client: usize,
    pub space: usize,
    pub sending: Sending,
    received: u32,
    /// The sessions in which it was handled.
    handled_in: Vec<SocketKey>,
    pub is_acked: bool,
    /// Given up by its client, or lost with the client's process: it has arrived or not.
    pub is_excused: bool,
}

impl Sent {
    /// How often it came.
    pub fn received(&self) -> u32 {
        self.received
    }

    pub fn has_arrived(&self) -> bool {
        self.received > 0 || self.is_excused
    }
}

#[derive(Default)]
pub struct Uplink {
    pub sent: Vec<Sent>,
    /// The latest event of each session.
    last: BTreeMap<SocketKey, usize>,
}

impl Uplink {
    pub fn send(&mut self, client: usize, space: usize, sending: Sending) {
        self.sent.push(Sent {
            client,
            space,
            sending,
            received: 0,
            handled_in: Vec::new(),
            is_acked: false,
            is_excused: false,
        });
    }

    /// An event has arrived in a session. `is_ordered`: nothing of the session may have overtaken it.
    /// `may_repeat`: the network has sent something of this client twice.
    pub fn receive(
        &mut self,
        number: usize,
        key: SocketKey,
        (client, space): (usize, usize),
        is_ordered: bool,
        may_repeat: bool,
    ) {
        let sent = self.sent.get_mut(number).expect("an event that was emitted");
        assert_eq!((sent.client, sent.space), (client, space), "{number} came from another client");
        sent.received += 1;
        if sent.sending == Sending::Retry || may_repeat {
            return;
        }
        assert_eq!(sent.received, 1, "{number} arrived twice: {sent:?}");
        let last = self.last.insert(key, number);
        let is_later = last.is_none_or(|last| last < number);
        assert!(is_later || !is_ordered, "{number} arrived after {last:?}");
    }

    /// An event that may come again was handled.
    pub fn handle(&mut self, number: usize, key: SocketKey, may_repeat: bool) {
        let sent = &mut self.sent[number];
        let is_new = !sent.handled_in.contains(&key);
        assert!(is_new || may_repeat, "{number} was handled twice in a session: {sent:?}");
        sent.handled_in.push(key);
    }

    pub fn was_handled(&self, number: usize, key: SocketKey) -> bool {
        self.sent[number].handled_in.contains(&key)
    }

    pub fn excuse(&mut self, number: usize) {
        self.sent[number].is_excused = true;
    }

    /// Handles of sessions are others after a restart; those that are not named are gone.
    pub fn rename(&mut self, renamed: &BTreeMap<SocketKey, SocketKey>) {
        let name = |key: &SocketKey| renamed.get(key).copied();
        self.last = std::mem::take(&mut self.last)
            .into_iter()
            .filter_map(|(key, number)| Some((name(&key)?, number)))
            .collect();
        for sent in &mut self.sent {
            sent.handled_in = sent.handled_in.iter().filter_map(name).collect();
        }
    }

    /// What a client has emitted in a namespace that it forgets may have arrived or not.
    pub fn excuse_in(&mut self, client: usize, space: usize) {
        let sent = self.sent.iter_mut().filter(|it| it.client == client && it.space == space);
        sent.for_each(|it| it.is_excused = true);
    }

    /// What a client has emitted may be lost with its process.
    pub fn excuse_all(&mut self, client: usize) {
        self.sent.iter_mut().filter(|it| it.client == client).for_each(|it| it.is_excused = true);
    }

    /// At the end: what was promised to arrive has.
    pub fn finish(&self, is_promised: impl Fn(&Sent) -> bool) {
        for (number, sent) in self.sent.iter().enumerate() {
            let is_lost = !sent.has_arrived() && is_promised(sent);
            assert!(!is_lost, "{number} never arrived: {sent:?}");
            assert!(!sent.is_acked || sent.received > 0, "{number} was answered: {sent:?}");
        }
    }
}
