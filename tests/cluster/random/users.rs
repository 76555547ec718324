//! What the clients do.

use super::{
    model::entry_at,
    plan::PACKET_BURST,
    run::{Claim, Link, Run, USERS, User},
};
use crate::fleet::Client;
use socketio_proto_sim::engine::Positions;

impl Run {
    /// A client comes, or comes back.
    pub(super) fn come(&mut self, user: usize, node: usize) {
        if let Some(link) = &self.users[user].link {
            // It does not wait for the answer to a claim.
            if link.claim.is_some() && self.dice.one_in(8) {
                self.go(user);
            } else {
                return;
            }
        }
        let auth = match &self.users[user].session {
            Some(session) => {
                let offset = session.offset.as_ref().or(session.kept.as_ref());
                let offset = offset.map(|it| format!(r#","offset":"{it}""#));
                format!(r#"{{"pid":"{}"{}}}"#, session.pid, offset.unwrap_or_default())
            }
            None => String::new(),
        };
        let claim = self.claim(user, node);
        let packet = packet('0', USERS[user], &auth);
        let client = if self.dice.one_in(3) {
            self.tally.note("polling");
            self.fleet.open_polling(node, &packet)
        } else {
            self.fleet.open_with(node, &packet)
        };
        if USERS[user] == "/d" {
            self.tally.note("dynamic namespace");
        }
        self.users[user].link = Some(Link { client, seen: 0, claim });
    }

    fn claim(&mut self, user: usize, node: usize) -> Option<Claim> {
        let session = self.users[user].session.as_mut()?;
        session.places.insert(node);
        let next = match &session.offset {
            Some(offset) => entry_at(offset, &self.fleet.channel.entries) + 1,
            None => session.birth,
        };
        let is_stored = self.fleet.store.sessions.contains_key(&session.pid)
            && !self.users[user].has_abandoned
            && self.begins[node] == 0;
        let hindrance = (next < self.begins[node]).then_some("trimmed");
        let refused = self.appends_refused();
        Some(Claim { hindrance, waited: 0, is_stored, refused, is_owner_slow: false })
    }

    /// A client loses its link. Its server may not notice, and some of what was sent is lost.
    pub(super) fn go(&mut self, user: usize) {
        let count = self.dice.roll(6);
        self.process(user, count);
        let Some(link) = self.users[user].link.take() else { return };
        if link.claim.is_some() {
            self.tally.note("claim abandoned");
            self.users[user].has_abandoned = true;
        }
        if self.dice.one_in(3) {
            self.tally.note("lost half-open");
            self.users[user].half_open.extend(link.claim.map(|_| link.client));
        } else {
            self.fleet.lose(link.client);
        }
    }

    pub(super) fn do_rarely(&mut self, user: usize, node: usize) {
        match self.dice.roll(8) {
            0 if self.dice.one_in(3) => self.log_out(user),
            1 if self.dice.one_in(2) => self.flood(user),
            2..6 => self.forge(user, node),
            _ => self.repeat(),
        }
    }

    fn log_out(&mut self, user: usize) {
        let Some((client, _)) = self.socket(user) else { return };
        self.tally.note("logged out");
        self.fleet.send(client, &packet('1', USERS[user], ""));
        self.end(user);
    }

    /// A client sends more than its server takes.
    fn flood(&mut self, user: usize) {
        let Some((client, _)) = self.socket(user) else { return };
        self.tally.note("flood");
        for _ in 0..=PACKET_BURST {
            self.fleet.send(client, &packet('2', USERS[user], r#"["flood"]"#));
        }
    }

    /// Somebody claims a session that is not his.
    fn forge(&mut self, user: usize, node: usize) {
        let Some(session) = &self.users[user].session else { return };
        let far = Positions::Pairs.of(1_000_000);
        let (kind, pid, offset) = match self.dice.roll(3) {
            0 => ("forged id", "AAAAAAAAAAAAAAAAAAAA", far.to_string()),
            1 => ("forged offset", &*session.pid, far.to_string()),
            _ => ("forged offset", &*session.pid, "x".to_owned()),
        };
        let auth = format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#);
        let client = self.fleet.open_with(node, &packet('0', USERS[user], &auth));
        self.tally.note(kind);
        self.forgers.push((client, USERS[user]));
    }

    /// Those who have claimed what is not theirs have got nothing of it, and go.
    pub(super) fn check_forgers(&mut self) {
        for (client, namespace) in std::mem::take(&mut self.forgers) {
            let Some(answer) = self.fleet.frames(client).first() else {
                self.forgers.push((client, namespace));
                continue;
            };
            if answer == "closed" {
                continue;
            }
            let sid = answer.split('"').nth(3).unwrap_or_default();
            let node = &self.fleet.nodes[client.node];
            assert!(node.births.contains_key(sid), "it is a session of its own: {answer}");
            let is_theirs = |user: &User| user.session.as_ref().is_some_and(|it| it.sid == sid);
            assert!(!self.users.iter().any(is_theirs), "nobody recovers by guessing");
            self.fleet.send(client, &packet('1', namespace, ""));
            self.fleet.lose(client);
        }
    }

    /// A client emits an event that has to be processed exactly once.
    pub(super) fn say(&mut self, user: usize) {
        if let Some((client, _)) = self.socket(user)
            && self.users[user].link.as_ref().is_some_and(|link| link.claim.is_none())
        {
            self.emitted += 1;
            let number = self.emitted as u64;
            self.users[user].outbox.push_back(number);
            self.send_said(user, client, number);
        }
    }

    /// A client tries again what was not acknowledged.
    pub(super) fn say_again(&mut self, user: usize, client: Client) {
        for number in self.users[user].outbox.clone() {
            self.tally.note("asked again");
            self.send_said(user, client, number);
        }
    }

    fn send_said(&mut self, user: usize, client: Client, number: u64) {
        let event = format!(r#"{number}["say",{number}]"#);
        self.fleet.send(client, &packet('2', USERS[user], &event));
    }

    /// A client processes frames as they come.
    pub(super) fn look(&mut self, user: usize) {
        if self.dice.one_in(3) {
            self.poll(user);
            self.process(user, 3);
        }
    }

    pub(super) fn poll(&mut self, user: usize) {
        if let Some(link) = &self.users[user].link {
            self.fleet.poll(link.client);
        }
    }

    pub(super) fn process(&mut self, user: usize, count: usize) {
        let Some(Link { client, seen, .. }) = self.users[user].link else { return };
        let frames: Vec<String> =
            self.fleet.frames(client).iter().skip(seen).take(count).cloned().collect();
        for frame in frames {
            let Some(link) = &mut self.users[user].link else { return };
            link.seen += 1;
            self.process_frame(user, client, &frame);
        }
    }

    fn process_frame(&mut self, user: usize, client: Client, frame: &str) {
        let (kind, rest) = frame.split_at(frame.len().min(2));
        let rest = match rest.strip_prefix(USERS[user]) {
            Some(rest) if USERS[user] != "/" => rest.strip_prefix(',').unwrap_or(rest),
            _ => rest,
        };
        match kind {
            "cl" => self.users[user].link = None,
            "2" => {}
            "41" => {
                self.tally.note("was kicked");
                self.fleet.lose(client);
                self.end(user);
            }
            "40" => {
                self.connected(user, client, rest);
                self.say_again(user, client);
            }
            "43" => {
                let number: u64 = rest.trim_end_matches("[]").parse().unwrap();
                self.users[user].outbox.retain(|said| *said != number);
            }
            "42" => {
                let mut parts = rest.strip_prefix("[\"").unwrap().split('"');
                let name = parts.next().unwrap();
                // What is not in the channel has no place in it.
                if !name.starts_with(['l', 'v']) || name == "last" {
                    let session = self.users[user].session.as_mut().unwrap();
                    session.processed.push(name.to_owned());
                    session.offset = parts.nth(1).map(str::to_owned);
                }
            }
            _ => panic!("unexpected: {frame}"),
        }
    }

    /// The session of a client ends.
    fn end(&mut self, user: usize) {
        let user = &mut self.users[user];
        if let Some(session) = user.session.take() {
            session.check(&self.fleet.channel.entries, false);
            self.tally.note_many("checked", session.processed.len() as u64);
        }
        (user.link, user.has_abandoned) = (None, false);
        user.half_open.clear();
        user.outbox.clear();
    }
}

/// A packet of a client.
fn packet(kind: char, namespace: &str, payload: &str) -> String {
    match namespace {
        "/" => format!("4{kind}{payload}"),
        _ => format!("4{kind}{namespace},{payload}"),
    }
}
