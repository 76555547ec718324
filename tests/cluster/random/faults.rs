//! What fails, and how it goes on.

use socketio_proto::cluster::{
    ClusterInput,
    message::{Body, Message},
};

use super::run::{NODES, Run};
use crate::fleet::{Flight, name};

impl Run {
    pub(super) fn fault(&mut self, node: usize) {
        if self.dice.roll(16) >= self.plan.faults {
            return;
        }
        match self.dice.roll(10) {
            0..2 => self.crash(node),
            2..5 if self.fleet.nodes[node].read.is_some() => {
                self.tally.note("cut");
                let taken = self.dice.roll(3);
                if self.dice.one_in(2) {
                    self.fleet.cut_before_sending(node, taken);
                } else {
                    self.fleet.cut(node, taken);
                }
            }
            5..8 => {
                self.tally.note("paused");
                self.paused[node] = true;
            }
            8 => self.trim(),
            _ => self.reject(node),
        }
    }

    /// A process ends, and its sessions with it. The next one starts in its place.
    fn crash(&mut self, node: usize) {
        self.tally.note("crashed");
        for user in 0..self.users.len() {
            let link = self.users[user].link.as_ref();
            if link.is_some_and(|link| link.client.node == node) {
                let count = self.dice.roll(6);
                self.process(user, count);
                let link = self.users[user].link.take();
                self.users[user].has_abandoned |= link.is_some_and(|link| link.claim.is_some());
            }
            self.users[user].half_open.retain(|half_open| half_open.node != node);
        }
        self.forgers.retain(|forger| forger.0.node != node);
        self.doubt(node, "crashed");
        let total = self.fleet.nodes[node].server.stats().total;
        self.tally.note_many("moved", total.sessions_arrived);
        self.tally.note_many("paced", total.paced);
        self.fleet.crash(node);
        self.fleet.nodes[node].answers_late = self.plan.answers_late;
        self.paused[node] = false;
        self.forget_heard(node);
    }

    /// What may have been at a node may be lost.
    fn doubt(&mut self, node: usize, why: &'static str) {
        let sessions = self.users.iter_mut().filter_map(|user| user.session.as_mut());
        sessions.filter(|it| it.places.contains(&node)).for_each(|it| it.doubt = Some(why));
    }

    /// The engine forgets what is old.
    fn trim(&mut self) {
        let kept = self.dice.roll(40);
        let mut trimmed = self.fleet.channel.entries.len().saturating_sub(kept);
        // An entry that is there twice is so because its node has tried again, which does not take
        // that long.
        while let Some(pair) = self.repeated.iter().find(|it| it.0 < trimmed && trimmed <= it.1) {
            trimmed = pair.0;
        }
        if trimmed > self.fleet.channel.trimmed {
            self.tally.note("trimmed");
            self.fleet.channel.trimmed = trimmed;
        }
    }

    /// The engine refuses an event of a node.
    fn reject(&mut self, node: usize) {
        let in_flight = &mut self.fleet.nodes[node].in_flight;
        let is_event = |flight: &Flight| match flight {
            Flight::Append(Message { body: Body::Broadcast(it), .. }) => {
                it.packet().unwrap().event.name().starts_with('e')
            }
            _ => false,
        };
        let index = in_flight.iter().position(is_event);
        let removed = index.and_then(|index| in_flight.remove(index));
        if let Some(Flight::Append(message)) = removed {
            self.tally.note("entry rejected");
            let sequence = message.stamp.unwrap().sequence;
            self.fleet.input(node, ClusterInput::Rejected { sequence });
        }
    }

    /// An entry is there twice.
    pub(super) fn repeat(&mut self) {
        let channel = &mut self.fleet.channel;
        let len = channel.entries.len();
        let index = len.saturating_sub(1 + self.dice.roll(10)).max(channel.trimmed);
        if let Some(entry) = channel.entries.get(index).cloned() {
            self.tally.note("entry repeated");
            channel.entries.push(entry);
            self.repeated.push((index, len));
        }
    }

    /// Something goes on.
    pub(super) fn mend(&mut self, node: usize) {
        if self.dice.one_in(3) {
            self.mend_at_once(node);
        }
        let is_lazy = self.plan.is_lazy && self.dice.one_in(3);
        if is_lazy {
            self.tally.note("lazy");
        }
        self.set_lazy(node, is_lazy);
        self.answer(1);
    }

    pub(super) fn mend_at_once(&mut self, node: usize) {
        self.paused[node] = false;
        if self.fleet.nodes[node].read.is_none() {
            if self.fleet.channel.trimmed > self.fleet.nodes[node].position {
                self.tally.note("gap");
                self.doubt(node, "gap");
                self.begins[node] = self.fleet.channel.trimmed;
            }
            self.fleet.connect(node);
        }
        self.set_lazy(node, false);
    }

    /// How many entries each node could not append, because too much waited.
    pub(super) fn appends_refused(&self) -> [u64; NODES] {
        let stats = |node: usize| self.fleet.nodes[node].server.stats();
        std::array::from_fn(|node| stats(node).total.appends_refused)
    }

    /// Notes which claims may be refused, because of the nodes that have to do with them.
    pub(super) fn note_hindrances(&mut self) {
        let state = |node: usize| {
            let is_away = self.fleet.nodes[node].read.is_none();
            let reasons = [(is_away, "away"), (self.paused[node], "paused")];
            reasons.into_iter().find_map(|(is_so, why)| is_so.then_some(why))
        };
        let states: Vec<_> = (0..NODES).map(state).collect();
        let refused = self.appends_refused();
        let writes_ahead = self.plan.writes_ahead();
        let is_news = |message: &Message, of: usize| {
            let is_heartbeat = matches!(message.body, Body::InitialHeartbeat | Body::Heartbeat);
            is_heartbeat && message.sender == name(of)
        };
        let has_news = |node: usize, of: usize| {
            self.fleet.nodes[node].inbox.iter().any(|message| is_news(message, of))
        };
        for user in &mut self.users {
            let (Some(session), Some(link)) = (&user.session, &mut user.link) else { continue };
            if let Some(claim) = &mut link.claim {
                claim.is_owner_slow |= session.places.iter().any(|node| states[*node].is_some());
                let claimant = [link.client.node].into();
                let mut others = session.places.iter();
                let is_new = others.any(|other| {
                    has_news(link.client.node, *other) || has_news(*other, link.client.node)
                });
                let needed = if claim.is_stored { &claimant } else { &session.places };
                let full = |node: usize| (refused[node] > claim.refused[node]).then_some("full");
                let hindrance =
                    needed.iter().find_map(|node| states[*node].or_else(|| full(*node)));
                // It goes on writing the session, and believes that its client is there.
                let mut owners = session.places.iter().filter(|_| writes_ahead);
                let owner = owners.find_map(|node| full(*node));
                let news = is_new.then_some("not introduced");
                claim.hindrance = claim.hindrance.or(hindrance).or(owner).or(news);
            }
        }
    }
}
