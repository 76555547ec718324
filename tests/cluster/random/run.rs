//! One run: what happens in which order, and how it ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use socketio_proto::{
    SocketKey,
    hub::{ConnectRequest, Once},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::ServerEvent,
};

use super::{kinds::Tally, model::Session, plan::Plan};
use crate::{
    dice::Dice,
    fleet::{Client, Fleet},
};

pub const NODES: usize = 3;
/// The namespace of each user. The last one comes and goes with its users.
pub const USERS: [&str; 7] = ["/", "/", "/", "/", "/b", "/b", "/d"];
pub const ROOMS: [&str; 3] = ["a", "b", "c"];

#[derive(Default)]
pub struct User {
    pub session: Option<Session>,
    pub link: Option<Link>,
    /// Events that the client has emitted and whose acknowledgement it has not got.
    pub outbox: VecDeque<u64>,
    /// Whether an earlier claim may still be under way. It may take the session to its node, and away
    /// from one that the client has come to since. If that node has crashed, the session is lost.
    pub has_abandoned: bool,
    /// Connections of earlier claims that the server may still believe in.
    pub half_open: Vec<Client>,
}

/// A present connection.
pub struct Link {
    pub client: Client,
    /// How many of its frames the client has processed.
    pub seen: usize,
    /// The claim that is not answered yet.
    pub claim: Option<Claim>,
}

/// A claim that is not answered yet.
#[derive(Default)]
pub struct Claim {
    /// Why it may be refused.
    pub hindrance: Option<&'static str>,
    /// For how long it waits, in milliseconds.
    pub waited: u64,
    /// Whether the store has the session, so that no other node is needed.
    pub is_stored: bool,
    /// What each node had refused to append before, because too much waited.
    pub refused: [u64; NODES],
    /// Whether a node that may have the session does not answer.
    pub is_owner_slow: bool,
}

pub struct Run {
    pub fleet: Fleet,
    pub dice: Dice,
    pub plan: Plan,
    pub users: Vec<User>,
    pub emitted: usize,
    pub tally: Tally,
    /// Before which entry what each node has read begins: later after a crash or a gap.
    pub begins: [usize; NODES],
    /// Nodes that do nothing at present.
    pub paused: [bool; NODES],
    /// Those who have claimed sessions that are not theirs, and where.
    pub forgers: Vec<(Client, &'static str)>,
    /// Entries that are there twice: where they are.
    pub repeated: Vec<(usize, usize)>,
    /// CONNECTs that the application has not answered.
    pub asked: Vec<(usize, ConnectRequest)>,
    /// Whether the faults have stopped.
    is_ending: bool,
    /// How many events of each node were looked at.
    heard: [usize; NODES],
    /// What the application has processed, by session. Of what is given back, nothing is left.
    processed: BTreeSet<(String, u64)>,
    /// The same of events that were accepted when their client was gone already, and where. A record
    /// that another node has taken by then does not know of them, nor does the session that comes back, here or
    /// at the next process.
    unsure: BTreeMap<(String, u64), (usize, SocketKey)>,
    /// The same of events whose answers the node may have had no time to store.
    unstored: BTreeSet<(String, u64)>,
    /// How each session began or went on, by node and id, the latest last.
    outcomes: BTreeMap<(usize, String), RecoveryOutcome>,
}

impl Run {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        let mut fleet = Fleet::disconnected(0, &plan.config);
        fleet.durability.clone_from(&plan.durability);
        (0..NODES).for_each(|node| fleet.add_disconnected(node));
        for node in 0..NODES {
            fleet.connect(node);
            fleet.nodes[node].answers_late = plan.answers_late;
        }
        Self {
            fleet,
            dice,
            plan,
            users: USERS.iter().map(|_| User::default()).collect(),
            emitted: 0,
            tally: Tally::default(),
            begins: [0; NODES],
            paused: [false; NODES],
            forgers: Vec::new(),
            repeated: Vec::new(),
            asked: Vec::new(),
            is_ending: false,
            heard: [0; NODES],
            processed: BTreeSet::new(),
            unsure: BTreeMap::new(),
            unstored: BTreeSet::new(),
            outcomes: BTreeMap::new(),
        }
    }

    pub fn step(&mut self) {
        let (node, user) = (self.dice.roll(NODES), self.dice.roll(USERS.len()));
        match self.dice.roll(60) {
            0..9 => self.emit(node),
            9..11 => self.emit_to(user),
            11..16 => self.change_one(user),
            16 => self.change_all(node),
            17..20 => self.say(user),
            20..28 => self.come(user, node),
            28..31 => self.go(user),
            31 => self.do_rarely(user, node),
            32..38 => self.take(node),
            38..50 => self.read(node),
            50..52 => self.fault(node),
            52 => self.settle(),
            53 => self.wait(300),
            _ => self.mend(node),
        }
        self.look_at_all();
    }

    fn look_at_all(&mut self) {
        self.note_hindrances();
        for node in 0..NODES {
            self.hear(node);
        }
        for user in 0..USERS.len() {
            self.look(user);
        }
        self.check_forgers();
    }

    /// The engine takes what a node appends.
    fn take(&mut self, node: usize) {
        let count = 1 + self.dice.roll(5);
        self.fleet.take(node, count);
    }

    fn read(&mut self, node: usize) {
        if !self.paused[node] {
            let count = 1 + self.dice.roll(12);
            self.fleet.read(node, count);
            if self.dice.one_in(2) {
                self.fleet.answer(node);
            }
            while self.dice.one_in(2) && !self.fleet.nodes[node].inbox.is_empty() {
                self.fleet.receive(node);
            }
        }
    }

    pub fn wait(&mut self, millis: u64) {
        self.fleet.wait(millis);
        for claim in self.users.iter_mut().filter_map(|user| user.link.as_mut()?.claim.as_mut()) {
            claim.waited += millis;
            if claim.waited >= 1_000 {
                claim.hindrance = Some("time");
            }
        }
    }

    /// Everything that can go on does.
    pub fn settle(&mut self) {
        if self.fleet.nodes.iter().any(|node| node.read.is_none()) || self.paused.contains(&true) {
            return;
        }
        for node in 0..NODES {
            self.set_lazy(node, false);
        }
        // What has not arrived yet does now, and cannot be seen afterwards.
        self.note_hindrances();
        for _ in 0..4 {
            self.fleet.settle();
            for node in 0..NODES {
                self.hear(node);
                self.answer(usize::MAX);
            }
        }
        // A session that is where its client was last is nowhere else.
        for user in 0..USERS.len() {
            let Some((client, _)) = self.socket(user) else { continue };
            let user = &mut self.users[user];
            let is_claimed = user.link.as_ref().is_none_or(|link| link.claim.is_some());
            if let Some(session) = user.session.as_mut().filter(|_| !is_claimed) {
                (session.places, session.doubt) = (BTreeSet::from([client.node]), None);
                user.half_open.retain(|half_open| self.fleet.frames(*half_open).is_empty());
                // Unless a claim that its client has given up takes it there.
                session.places.extend(user.half_open.iter().map(|half_open| half_open.node));
                user.has_abandoned = !user.half_open.is_empty();
            }
        }
    }

    pub fn set_lazy(&mut self, node: usize, is_lazy: bool) {
        self.fleet.nodes[node].is_lazy = is_lazy;
        self.fleet.pump(node);
    }

    /// The application of a node sees what has happened there.
    pub fn hear(&mut self, node: usize) {
        let mut heard = std::mem::take(&mut self.heard[node]);
        while let Some(event) = self.fleet.nodes[node].events.get(heard) {
            heard += 1;
            match event {
                ServerEvent::Connected { id, recovery, .. } => {
                    self.outcomes.insert((node, id.to_string()), *recovery);
                    if let RecoveryOutcome::Refused(refusal) = recovery {
                        self.tally.note(&format!("refused: {refusal:?}"));
                    }
                }
                ServerEvent::ConnectRequested { request, .. }
                    if self.fleet.nodes[node].answers_late =>
                {
                    self.asked.push((node, *request));
                }
                ServerEvent::Received { .. } => self.receive(node, heard - 1),
                _ => {}
            }
        }
        self.heard[node] = heard;
    }

    /// The process of a node has ended.
    pub fn forget_heard(&mut self, node: usize) {
        self.heard[node] = 0;
        // The next one may give the same key to its socket.
        self.unsure.values_mut().filter(|at| at.0 == node).for_each(|at| at.0 = NODES);
        self.asked.retain(|asked| asked.0 != node);
    }

    /// The application answers some of the CONNECTs.
    pub fn answer(&mut self, count: usize) {
        for _ in 0..count.min(self.asked.len()) {
            let (node, request) = self.asked.remove(0);
            self.tally.note("answered late");
            // Its session begins at the position that is known now.
            self.set_lazy(node, false);
            self.fleet.at(node, |at| at.accept(request));
            self.hear(node);
        }
    }

    /// An event of a client arrives. It is processed once, or given back.
    fn receive(&mut self, node: usize, index: usize) {
        let ServerEvent::Received { socket, event, ack, .. } =
            &mut self.fleet.nodes[node].events[index]
        else {
            return;
        };
        let (socket, ack) = (*socket, ack.take());
        let Ok((number,)) = event.parse::<(u64,)>() else { return };
        let Some(id) = self.fleet.nodes[node].server.socket_id(socket) else { return };
        let key = (id.to_string(), number);
        let once = self.fleet.at(node, |at| at.accept_once(socket, &number.to_string(), ack));
        match once {
            Ok(Once::Fresh(Some(token))) if !self.is_ending && self.dice.one_in(4) => {
                self.tally.note("given back");
                self.fleet.at(node, |at| at.withdraw(token));
            }
            Ok(Once::Fresh(Some(token))) => {
                self.tally.note("accepted once");
                let is_first = self.processed.insert(key.clone());
                let is_elsewhere =
                    self.unsure.get(&key).is_some_and(|first| *first != (node, socket));
                let is_unstored = self.unstored.contains(&key);
                assert!(is_first || is_elsewhere || is_unstored, "{number} is processed twice");
                if !self.fleet.nodes[node].server.is_connected(socket) {
                    // Its record may be on its way to another node.
                    self.tally.note("accepted while parked");
                    self.unsure.insert(key, (node, socket));
                }
                let args = socketio_proto::socket::Args::empty();
                self.fleet.at(node, |at| at.ack(token, &args));
            }
            Ok(Once::Duplicate) => {
                self.tally.note("accepted again");
                assert!(self.processed.contains(&key), "{number} is not processed");
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// What a client learns of its session.
    pub fn connected(&mut self, index: usize, client: Client, answer: &str) {
        self.hear(client.node);
        self.note_hindrances();
        let mut parts = answer.split('"');
        let sid = parts.nth(3).unwrap().to_owned();
        let pid = parts.nth(3).unwrap().to_owned();
        let entries = &self.fleet.channel.entries;
        let namespace = USERS[index];
        let user = &mut self.users[index];
        let link = user.link.as_mut().unwrap();
        let claim = link.claim.take();
        let outcome = self.outcomes.get(&(client.node, sid.clone())).copied();
        if let Some(session) = user.session.as_mut().filter(|session| session.sid == sid) {
            self.tally.note("recovered");
            session.check(entries, false);
            if let Some(claim) = claim.as_ref().filter(|claim| claim.hindrance.is_none()) {
                self.tally.note("must be recovered");
                if claim.is_stored && session.doubt == Some("crashed") {
                    self.tally.note("recovered after a crash");
                }
            }
            // The node where it was may have processed what it had no time to store.
            let is_slow = claim.is_none_or(|claim| claim.is_owner_slow || claim.waited >= 500);
            if self.plan.writes_ahead()
                && (is_slow || user.has_abandoned || session.doubt.is_some())
            {
                let unsettled = user.outbox.iter().map(|number| (sid.clone(), *number));
                self.unstored.extend(unsettled);
            }
            // The answer may be an old one.
            let is_there = !user.has_abandoned && self.socket(index).is_some();
            let session = self.users[index].session.as_mut();
            session.and_then(|session| session.doubt.take_if(|_| is_there));
            return;
        }
        if let (Some(session), Some(claim)) = (&user.session, claim) {
            assert!(matches!(outcome, Some(RecoveryOutcome::Refused(_))), "{outcome:?}");
            session.check(entries, false);
            let is = |refusal| outcome == Some(RecoveryOutcome::Refused(refusal));
            let is_superseded = is(RecoveryRefusal::Superseded);
            let reasons = [
                (session.is_over(entries), "kicked"),
                (is(RecoveryRefusal::Gap) && session.is_ambiguous(entries), "ambiguous offset"),
                (user.has_abandoned && is_superseded, "superseded by an abandoned claim"),
            ];
            let reason = reasons.into_iter().find_map(|(is_so, why)| is_so.then_some(why));
            let doubt = session.doubt.filter(|_| !claim.is_stored);
            let reason = reason.or(doubt).or(claim.hindrance);
            assert!(reason.is_some(), "refused without a reason: {outcome:?}, {}", session.sid);
            self.tally.note("refused");
            self.tally.note(&format!("hindrance: {}", reason.unwrap_or_default()));
        }
        user.outbox.clear();
        // So does the official client.
        let kept = user.session.take().and_then(|session| session.offset.or(session.kept));
        self.tally.note_many("offset kept", kept.is_some().into());
        let birth = self.fleet.nodes[client.node].births[&sid];
        user.session = Some(Session {
            namespace,
            sid,
            pid,
            birth,
            changes: Vec::new(),
            processed: Vec::new(),
            offset: None,
            kept,
            places: BTreeSet::from([client.node]),
            doubt: None,
        });
        if self.socket(index).is_none() {
            let session = self.users[index].session.as_mut();
            session.expect("it has just come").doubt = Some("over before its client knew of it");
        }
    }

    /// The faults stop, and everyone comes back.
    pub fn finish(mut self) -> Tally {
        self.is_ending = true;
        self.fleet.nodes.iter_mut().for_each(|node| node.answers_late = false);
        for round in 0..12 {
            for node in 0..NODES {
                self.mend_at_once(node);
            }
            self.settle();
            self.wait(if round < 3 { 500 } else { 21_000 });
            for user in 0..USERS.len() {
                self.poll(user);
                self.process(user, usize::MAX);
                if let Some((client, _)) = self.socket(user) {
                    self.say_again(user, client);
                }
                let node = self.dice.roll(NODES);
                if round < 10 {
                    self.come(user, node);
                }
            }
            self.settle();
            (0..USERS.len()).for_each(|user| self.poll(user));
        }
        for namespace in ["/", "/b", "/d"] {
            let event = socketio_proto::socket::Event::new("last", &()).unwrap();
            let all = socketio_proto::hub::Audience::all();
            self.fleet.at(0, |at| at.broadcast(namespace, &all, &event).ok());
        }
        self.settle();
        for user in 0..USERS.len() {
            self.poll(user);
            self.process(user, usize::MAX);
            let session = self.users[user].session.as_ref().expect("everyone is back");
            session.check(&self.fleet.channel.entries, true);
            self.tally.note_many("checked", session.processed.len() as u64);
            let outbox = &self.users[user].outbox;
            assert!(outbox.is_empty(), "{outbox:?} is not acknowledged to {}", session.sid);
        }
        for node in &self.fleet.nodes {
            let total = node.server.stats().total;
            self.tally.note_many("moved", total.sessions_arrived);
            self.tally.note_many("paced", total.paced);
        }
        self.tally
    }
}
