//! One namespace of the model of the official client.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use socketio_proto::{
    Timestamp,
    socket::{Args, Encoded, Event, NamespaceName},
};

use super::{AckToken, Delivery, Outcome, Token};

pub(super) struct Socket {
    name: NamespaceName,
    ack_timeout: Duration,
    pub(super) is_active: bool,
    pub(super) is_connected: bool,
    pid: Option<String>,
    /// Any trailing string of an event. Neither this nor the private id is ever forgotten.
    offset: Option<String>,
    /// Events before CONNECT, of whatever session. They stay when the connection is lost.
    received: Vec<(Event, Option<u64>)>,
    buffer: VecDeque<Buffered>,
    /// Answers that are awaited: the tags of their events, until when.
    acks: BTreeMap<u64, (u64, Timestamp)>,
    next_ack: u64,
    queue: VecDeque<Queued>,
}

/// A packet: its text without the type of the Engine.IO packet, and its attachments.
pub(super) type Message = (String, Vec<Bytes>);

struct Buffered {
    message: Message,
    ack: Option<u64>,
}

/// An event that is sent until it is answered.
struct Queued {
    event: Event,
    tag: u64,
    tries: u32,
    /// The id it is out under.
    sent: Option<u64>,
}

/// How often an event is sent again.
const RETRIES: u32 = 3;

impl Socket {
    pub(super) fn new(name: NamespaceName, ack_timeout: Duration) -> Self {
        Self {
            name,
            ack_timeout,
            is_active: false,
            is_connected: false,
            pid: None,
            offset: None,
            received: Vec::new(),
            buffer: VecDeque::new(),
            acks: BTreeMap::new(),
            next_ack: 0,
            queue: VecDeque::new(),
        }
    }

    /// The CONNECT with the private id and the offset in front of the application's `auth`.
    pub(super) fn connect_text(&self, auth: &str) -> String {
        let Some(pid) = &self.pid else {
            return text('0', &self.name, None, auth);
        };
        let offset = self.offset.as_ref().map(|offset| format!(",\"offset\":\"{offset}\""));
        let offset = offset.unwrap_or_default();
        let rest = auth.strip_prefix('{').unwrap_or("}");
        let comma = if rest.starts_with('}') { "" } else { "," };
        text('0', &self.name, None, &format!("{{\"pid\":\"{pid}\"{offset}{comma}{rest}"))
    }

    /// The DISCONNECT.
    pub(super) fn disconnect_text(&self) -> String {
        text('1', &self.name, None, "")
    }

    /// Upon CONNECT what was received before it is delivered, whatever it belongs to.
    pub(super) fn connected(&mut self, id: &str, pid: Option<&str>) -> Vec<Outcome> {
        let recovered = pid.is_some() && self.pid.as_deref() == pid;
        self.pid = pid.map(str::to_owned);
        self.is_connected = true;
        let namespace = self.name.clone();
        let mut outcomes = vec![Outcome::Connected { namespace, id: id.to_owned(), recovered }];
        for (event, ack) in std::mem::take(&mut self.received) {
            outcomes.push(self.deliver(event, ack, true));
        }
        outcomes
    }

    pub(super) fn event(&mut self, event: Event, ack: Option<u64>) -> Option<Outcome> {
        if self.is_connected {
            return Some(self.deliver(event, ack, false));
        }
        self.received.push((event, ack));
        None
    }

    /// The listeners run, then the offset advances. An event with an acknowledgement ends with a
    /// function.
    fn deliver(&mut self, event: Event, ack: Option<u64>, is_buffered: bool) -> Outcome {
        if self.pid.is_some()
            && ack.is_none()
            && let Some(text) = trailing_string(&event)
        {
            self.offset = Some(text);
        }
        let namespace = self.name.clone();
        let ack = ack.map(|id| AckToken(Token::Official { namespace: namespace.clone(), id }));
        Outcome::Received { namespace, event, ack, is_buffered }
    }

    /// The namespace is left or the connection lost. What was sent and not answered fails. Also
    /// says whether the head of the queue is to be tried again.
    pub(super) fn disconnected(&mut self, reason: &'static str) -> (Vec<Outcome>, bool) {
        let was_connected = std::mem::replace(&mut self.is_connected, false);
        let mut outcomes = Vec::new();
        if was_connected {
            outcomes.push(Outcome::Disconnected { namespace: self.name.clone(), reason });
        }
        let buffered: Vec<u64> = self.buffer.iter().filter_map(|it| it.ack).collect();
        let (kept, lost) =
            std::mem::take(&mut self.acks).into_iter().partition(|(id, _)| buffered.contains(id));
        self.acks = kept;
        let lost: BTreeMap<u64, (u64, Timestamp)> = lost;
        for (id, (tag, _)) in lost {
            if self.queue.front().is_none_or(|head| head.sent != Some(id)) {
                outcomes.push(Outcome::Failed { tag });
            }
        }
        outcomes.extend(self.give_up_try());
        (outcomes, true)
    }

    /// What to send now, if it is not for later.
    pub(super) fn emit(
        &mut self,
        event: &Event,
        delivery: Delivery,
        tag: u64,
        now: Timestamp,
    ) -> Option<Message> {
        let ack = (delivery == Delivery::Ack).then(|| self.draw_ack(tag, now));
        let message = message(&Encoded::event(&self.name, event, ack, None));
        if self.is_connected {
            return Some(message);
        }
        self.buffer.push_back(Buffered { message, ack });
        None
    }

    pub(super) fn next_buffered(&mut self) -> Option<Message> {
        self.buffer.pop_front().map(|buffered| buffered.message)
    }

    pub(super) fn acked(&mut self, id: u64, args: Args) -> Option<Outcome> {
        let (tag, _) = self.acks.remove(&id)?;
        if self.queue.front().is_some_and(|head| head.sent == Some(id)) {
            self.queue.pop_front();
        }
        Some(Outcome::Acked { tag, args })
    }

    /// The answer to an event of the server.
    pub(super) fn ack_text(&self, id: u64, args: &Args) -> Message {
        message(&Encoded::ack(&self.name, id, args))
    }

    pub(super) fn timeout(&mut self, now: Timestamp) -> Vec<Outcome> {
        let due = self.acks.iter().filter(|(_, (_, deadline))| *deadline <= now);
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        let mut outcomes = Vec::new();
        for id in due {
            let Some((tag, _)) = self.acks.remove(&id) else {
                continue;
            };
            if let Some(index) = self.buffer.iter().position(|it| it.ack == Some(id)) {
                self.buffer.remove(index);
            }
            if self.queue.front().is_some_and(|head| head.sent == Some(id)) {
                outcomes.extend(self.give_up_try());
            } else {
                outcomes.push(Outcome::Failed { tag });
            }
        }
        outcomes
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.acks.values().map(|(_, deadline)| *deadline).min()
    }

    pub(super) fn enqueue(&mut self, event: Event, tag: u64) {
        self.queue.push_back(Queued { event, tag, tries: 0, sent: None });
    }

    /// The head of the queue, if it is to be sent now.
    pub(super) fn next_try(&mut self, now: Timestamp, force: bool) -> Option<Message> {
        if !self.is_connected {
            return None;
        }
        let head = self.queue.front()?;
        if head.sent.is_some() && !force {
            return None;
        }
        let tag = head.tag;
        let id = self.draw_ack(tag, now);
        let head = self.queue.front_mut()?;
        head.tries += 1;
        head.sent = Some(id);
        Some(message(&Encoded::event(&self.name, &head.event, Some(id), None)))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.acks.is_empty() && self.queue.is_empty()
    }

    /// A try has failed: the event has another one, or is given up.
    fn give_up_try(&mut self) -> Option<Outcome> {
        let head = self.queue.front_mut()?;
        let id = head.sent.take()?;
        self.acks.remove(&id);
        if head.tries <= RETRIES {
            return None;
        }
        let tag = head.tag;
        self.queue.pop_front();
        Some(Outcome::Failed { tag })
    }

    fn draw_ack(&mut self, tag: u64, now: Timestamp) -> u64 {
        let id = self.next_ack;
        self.next_ack += 1;
        self.acks.insert(id, (tag, now.saturating_add(self.ack_timeout)));
        id
    }
}

/// The arguments of an event whose last one is a string, and that string: what the official client
/// takes for an offset.
fn trailing_string(event: &Event) -> Option<String> {
    let open = event.json().strip_suffix("\"]")?;
    let (rest, text) = open.rsplit_once('"')?;
    // Not the name of the event itself.
    (rest.len() > 1).then(|| text.to_owned())
}

/// A packet without attachments as text.
fn text(kind: char, namespace: &NamespaceName, ack: Option<u64>, payload: &str) -> String {
    let name = namespace.as_str();
    let namespace = if name == "/" { String::new() } else { format!("{name},") };
    let ack = ack.map(|id| id.to_string()).unwrap_or_default();
    format!("{kind}{namespace}{ack}{payload}")
}

fn message(packet: &Encoded) -> Message {
    let head = packet.head();
    (head.strip_prefix('4').unwrap_or(head).to_owned(), packet.attachments().to_vec())
}
