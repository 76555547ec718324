//! The promise of recovery: each client receives exactly the recoverable events that were addressed
//! to its session, each once, in the order in which they were emitted.
//!
//! The server reports what it emits and who is in which room. From that this derives who must
//! receive what, without the log and the memberships of recovery.

mod channel;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

pub(super) use self::channel::Ender;
use self::channel::{Changed, Channels};
use socketio_proto::{
    hub::{Address, Record, Recorder},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    socket::{Decoder, DecoderLimits, Encoded, Event, Kind, NamespaceName},
};

/// What the server has reported and the promise has not taken yet.
pub(super) type Records = Arc<Mutex<Vec<Recorded>>>;

/// A [`Record`] that borrows nothing.
#[derive(Debug)]
pub(super) enum Recorded {
    Opened { namespace: NamespaceName, socket: String },
    Joined { socket: String, room: String },
    Left { socket: String, room: String },
    Ended { socket: String },
    Emitted(Emission),
}

#[derive(Debug)]
pub(super) struct Emission {
    namespace: NamespaceName,
    to: Vec<Target>,
    except: Vec<Target>,
    event: Event,
    /// As it is on the wire, with its offset.
    sent: Event,
    /// Whether its addressees must receive it.
    is_owed: bool,
    asks: bool,
}

#[derive(Debug)]
enum Target {
    Everyone,
    Room(String),
    Socket(String),
}

/// Every session, and what its client must receive.
#[derive(Debug, Default)]
pub(super) struct Promise {
    sessions: BTreeMap<String, Session>,
    /// The session that each client takes itself to be in.
    views: BTreeMap<(usize, NamespaceName), String>,
    /// What became of the CONNECT that began or continued each session.
    outcomes: BTreeMap<String, RecoveryOutcome>,
    /// Sessions that had ended when a node continued them. Until a client is told, the node may still learn
    /// of that.
    undead: BTreeSet<String>,
    /// Whether a crash of a node costs no session.
    is_durable: bool,
    /// The channels of a cluster.
    channels: Option<Channels>,
    /// Whether something fails at present that may cost any session.
    is_shaken: bool,
    /// When the latest decision about a CONNECT was, in microseconds.
    decided_at: u64,
}

#[derive(Clone, Debug)]
struct Session {
    namespace: NamespaceName,
    rooms: BTreeSet<String>,
    /// It has ended, or its server has lost it.
    is_over: bool,
    /// In a cluster, the node that has ended it, while the store does not know of that.
    ended_by: Option<usize>,
    due: VecDeque<Due>,
    /// Events that ask for an acknowledgement and were received: they may be replayed.
    asked: Vec<Event>,
    /// Events that the official client takes twice (H24).
    repeats: Vec<Event>,
    /// In a cluster, events that are not in the channel: nothing says where they are in its order.
    loose: Vec<Due>,
    /// In a cluster, the next entry that it has not been held against.
    next_entry: usize,
    /// In a cluster, what its node has done to it, by the entry before which that was.
    changes: VecDeque<(usize, Changed)>,
    /// Something has failed that may have cost the session.
    may_be_lost: bool,
    /// In a cluster, whether the store has it.
    kept: Kept,
    /// In a cluster, the node that has continued it may not hear of what ends it elsewhere.
    may_be_old: bool,
}

/// Whether the store of a cluster has a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Never,
    /// Until this time, in microseconds.
    Until(u64),
    /// A node has taken it for its client. It would have been kept until then.
    Taken(u64),
}

/// An event that a client has not received.
#[derive(Clone, Debug)]
struct Due {
    event: Event,
    sent: Event,
    is_owed: bool,
    asks: bool,
}

/// Returns a recorder that writes into a list.
pub(super) fn recorder(records: &Records) -> Recorder {
    let records = Arc::clone(records);
    Arc::new(move |record: &Record<'_>| {
        if let Some(record) = own(record) {
            records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
    })
}

fn own(record: &Record<'_>) -> Option<Recorded> {
    Some(match record {
        Record::Opened { namespace, socket } => {
            Recorded::Opened { namespace: (*namespace).clone(), socket: socket.to_string() }
        }
        Record::Joined { socket, room, .. } => {
            Recorded::Joined { socket: socket.to_string(), room: (*room).to_owned() }
        }
        Record::Left { socket, room, .. } => {
            Recorded::Left { socket: socket.to_string(), room: (*room).to_owned() }
        }
        Record::Ended { socket, .. } => Recorded::Ended { socket: socket.to_string() },
        Record::Emitted { namespace, to, except, event, packet, is_logged, asks } => {
            Recorded::Emitted(Emission {
                namespace: (*namespace).clone(),
                to: to.iter().filter_map(target).collect(),
                except: except.iter().filter_map(target).collect(),
                event: (*event).clone(),
                sent: decode(packet),
                is_owed: *is_logged && !asks,
                asks: *asks,
            })
        }
        _ => return None,
    })
}

fn target(address: &Address<'_>) -> Option<Target> {
    Some(match address {
        Address::Everyone => Target::Everyone,
        Address::Room(name) => Target::Room((*name).to_owned()),
        Address::Socket(id) => Target::Socket(id.to_string()),
        _ => return None,
    })
}

/// The event of a packet, as a client reads it.
fn decode(packet: &Encoded) -> Event {
    let mut decoder = Decoder::new(DecoderLimits {
        attachments: usize::MAX,
        attachment_bytes: usize::MAX,
        namespace_name_bytes: usize::MAX,
    });
    let text = packet.head().strip_prefix('4').expect("a message of Engine.IO");
    let mut packet_read = decoder.push_text(text.into());
    for attachment in packet.attachments() {
        packet_read = decoder.push_binary(attachment.clone());
    }
    match packet_read.expect("the server encodes what it can read").expect("a whole packet").kind {
        Kind::Event { event, .. } => event,
        other => panic!("no event: {other:?}"),
    }
}

impl Session {
    fn new(namespace: NamespaceName, id: String) -> Self {
        Self {
            namespace,
            rooms: BTreeSet::from([id]),
            is_over: false,
            ended_by: None,
            due: VecDeque::new(),
            asked: Vec::new(),
            repeats: Vec::new(),
            loose: Vec::new(),
            next_entry: 0,
            changes: VecDeque::new(),
            may_be_lost: false,
            kept: Kept::Never,
            may_be_old: false,
        }
    }
}

impl Promise {
    /// Takes what a server has reported. `read` says how many entries of each channel it has read. If it
    /// writes ahead, joins and leaves are entries, and what an old copy of a session reports is late.
    pub(super) fn take(&mut self, records: &Records, read: &[usize], writes_ahead: bool) {
        let records = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
        for record in records {
            let is_entry = matches!(record, Recorded::Joined { .. } | Recorded::Left { .. });
            if self.channels.is_some() {
                if !(writes_ahead && is_entry) {
                    self.note_of_node(record, read);
                }
            } else {
                self.note(record);
            }
        }
    }

    fn note(&mut self, record: Recorded) {
        match record {
            Recorded::Opened { namespace, socket } => {
                self.sessions.insert(socket.clone(), Session::new(namespace, socket));
            }
            Recorded::Joined { socket, room } => {
                if let Some(session) = self.sessions.get_mut(&socket) {
                    session.rooms.insert(room);
                }
            }
            Recorded::Left { socket, room } => {
                if let Some(session) = self.sessions.get_mut(&socket) {
                    session.rooms.remove(&room);
                }
            }
            Recorded::Ended { socket } => {
                if let Some(session) = self.sessions.get_mut(&socket) {
                    session.is_over = true;
                }
            }
            Recorded::Emitted(emission) => self.address(&emission),
        }
    }

    fn address(&mut self, emission: &Emission) {
        let Emission { namespace, to, except, event, sent, is_owed, asks } = emission;
        for (id, session) in &mut self.sessions {
            let is_in = |target: &Target| match target {
                Target::Everyone => true,
                Target::Room(room) => session.rooms.contains(room),
                Target::Socket(socket) => socket == id,
            };
            let is_here = session.namespace == *namespace && !session.is_over;
            if is_here && to.iter().any(is_in) && !except.iter().any(is_in) {
                let (event, sent) = (event.clone(), sent.clone());
                session.due.push_back(Due { event, sent, is_owed: *is_owed, asks: *asks });
            }
        }
    }

    /// The server has decided about a CONNECT. `may_be_old` says whether its node may continue a session
    /// that has gone on elsewhere.
    pub(super) fn decided(
        &mut self,
        id: &str,
        outcome: RecoveryOutcome,
        now: u64,
        may_be_old: bool,
    ) {
        self.decided_at = now;
        let is_over = self.channels.is_some() && self.sessions.get(id).is_some_and(|it| it.is_over);
        if outcome.is_recovered() && is_over && !may_be_old {
            self.undead.insert(id.to_owned());
        } else {
            self.undead.remove(id);
        }
        if let Some(session) = self.sessions.get_mut(id) {
            session.may_be_old = may_be_old;
        }
        self.outcomes.insert(id.to_owned(), outcome);
    }

    /// Something has failed that may cost any session, also those that begin before it is over.
    pub(super) fn shaken(&mut self) {
        self.is_shaken = true;
        self.sessions.values_mut().for_each(|session| session.may_be_lost = true);
    }

    /// Nothing fails any more.
    pub(super) fn calm(&mut self) {
        self.is_shaken = false;
    }

    /// The server has lost all sessions.
    pub(super) fn crashed(&mut self) {
        self.sessions.values_mut().for_each(|session| session.is_over = true);
    }

    /// A client takes itself for connected.
    pub(super) fn connected(
        &mut self,
        client: usize,
        namespace: &NamespaceName,
        id: &str,
        recovered: bool,
    ) -> Result<(), String> {
        if !self.sessions.contains_key(id) {
            return Err(format!("client {client} is in session {id}, which does not exist"));
        }
        if recovered && self.undead.contains(id) {
            return Err(format!("session {id} has ended, and is recovered"));
        }
        let before = self.views.insert((client, namespace.clone()), id.to_owned());
        let is_same = before.as_deref() == Some(id);
        // Without a private id, the official client takes an answer that is repeated for a new one.
        let is_new = self.outcomes.get(id) == Some(&RecoveryOutcome::New);
        let is_true = if recovered { is_same } else { !is_same || is_new };
        if !is_true {
            return Err(format!("client {client} was told recovered: {recovered}, but {before:?}"));
        }
        let lost = before.as_deref().filter(|before| *before != id);
        let lost = lost.and_then(|lost| self.sessions.get(lost));
        let is_stored = self.is_durable || lost.is_some_and(Session::is_stored);
        let is_unknown = match self.outcomes.get(id) {
            Some(RecoveryOutcome::Refused(RecoveryRefusal::Unknown)) => true,
            Some(RecoveryOutcome::Refused(RecoveryRefusal::OwnerUnreachable)) => is_stored,
            _ => false,
        };
        let goes_on =
            |session: &Session| !session.may_be_gone(self.decided_at) && !self.is_kicked(session);
        if is_unknown && lost.is_some_and(goes_on) {
            return Err(format!("client {client}: its session {before:?} goes on, and is unknown"));
        }
        Ok(())
    }

    /// The client that is in a session.
    pub(super) fn client_of(&self, id: &str) -> Option<usize> {
        let mut views = self.views.iter();
        views.find(|(_, session)| *session == id).map(|((client, _), _)| *client)
    }

    /// The session of a client.
    pub(super) fn session_of(&self, client: usize, namespace: &str) -> Option<&str> {
        let mut views = self.views.iter();
        let found = views.find(|((it, name), _)| *it == client && name.as_str() == namespace);
        found.map(|(_, id)| &**id)
    }

    /// What became of the CONNECT that began or continued a session.
    pub(super) fn outcome(&self, id: &str) -> Option<RecoveryOutcome> {
        self.outcomes.get(id).copied()
    }

    /// A client has received an event. Returns it as it was emitted, unless it is one that the
    /// official client takes twice.
    pub(super) fn received(
        &mut self,
        client: usize,
        namespace: &NamespaceName,
        event: &Event,
        is_buffered: bool,
    ) -> Result<Option<Event>, String> {
        let id = self.views.get(&(client, namespace.clone())).cloned().unwrap_or_default();
        self.read_until(&id, event);
        let Some(session) = self.sessions.get_mut(&id) else {
            return Err(format!("client {client} received {event:?} without a session"));
        };
        if let Some(event) = session.take_loose(event) {
            return Ok(Some(event));
        }
        let place = session.due.iter().position(|due| due.sent == *event);
        let missed = session.due.iter().take(place.unwrap_or(0)).find(|due| due.is_owed);
        match (place, missed) {
            (Some(place), None) => {
                let due = session.due.drain(..=place).next_back().expect("it is due");
                if due.asks {
                    session.asked.push(event.clone());
                }
                if is_buffered {
                    session.repeats.push(event.clone());
                }
                Ok(Some(due.event))
            }
            // Of a session that is over, or the same again.
            _ if is_buffered => Ok(None),
            (Some(_), Some(missed)) => {
                Err(format!("client {client} has missed {}: it received {event:?}", show(missed)))
            }
            (None, _) => {
                let repeated = session.repeats.iter().position(|it| it == event);
                if let Some(repeated) = repeated {
                    session.repeats.remove(repeated);
                } else if !session.asked.contains(event) {
                    return Err(format!(
                        "client {client} received {event:?} again, or it was not meant for it"
                    ));
                }
                Ok(None)
            }
        }
    }

    /// The first event that a client must still receive.
    ///
    /// In a cluster, this knows what clients were to receive up to [`read_all`](Self::read_all).
    pub(super) fn owed(&self, client: usize, namespace: &str) -> Option<&Event> {
        let session = self.sessions.get(self.session_of(client, namespace)?)?;
        let mut due = session.due.iter().filter(|_| !session.is_over);
        due.find(|due| due.is_owed).map(|due| &due.event)
    }
}

fn show(due: &Due) -> String {
    format!("{:?}", due.event)
}
