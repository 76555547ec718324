//! One namespace of the model of the official client.

use std::collections::{BTreeMap, VecDeque};

use socketio_proto::{
    Timestamp,
    socket::{Args, Event},
};

use crate::{
    official::trailing_string,
    op::{SPACES, Sending},
    peer::{ACK_TIMEOUT, Outcome, Token, event_name},
};

#[derive(Default)]
pub struct Socket {
    pub is_active: bool,
    pub is_connected: bool,
    pid: Option<String>,
    /// Any trailing string of an event. Neither this nor the private id is ever forgotten.
    offset: Option<String>,
    /// Events before CONNECT, of whatever session. They stay when the connection is lost.
    received: Vec<(Event, Option<u64>)>,
    buffer: VecDeque<Buffered>,
    /// Answers that are awaited, until when.
    acks: BTreeMap<u64, (usize, Timestamp)>,
    next_ack: u64,
    queue: VecDeque<Queued>,
}

struct Buffered {
    text: String,
    ack: Option<u64>,
}

/// An event that is sent until it is answered.
struct Queued {
    number: usize,
    tries: u32,
    /// The id it is out under.
    sent: Option<u64>,
}

/// How often an event is sent again.
const RETRIES: u32 = 3;

impl Socket {
    pub fn connect_text(&self, space: usize, serial: u64) -> String {
        let offset = self.offset.as_ref().map(|offset| format!("\"offset\":\"{offset}\","));
        let offset = offset.unwrap_or_default();
        let auth = match &self.pid {
            Some(pid) => format!("{{\"pid\":\"{pid}\",{offset}\"serial\":{serial}}}"),
            None => format!("{{\"serial\":{serial}}}"),
        };
        event_text('0', space, None, &auth)
    }

    /// Upon CONNECT what was received before it is delivered, whatever it belongs to.
    pub fn connected(&mut self, space: usize, sid: &str, pid: Option<&str>) -> Vec<Outcome> {
        let recovered = pid.is_some() && self.pid.as_deref() == pid;
        self.pid = pid.map(str::to_owned);
        self.is_connected = true;
        let mut outcomes = vec![Outcome::Connected { space, sid: sid.to_owned(), recovered }];
        for (event, ack) in std::mem::take(&mut self.received) {
            outcomes.push(self.deliver(space, event, ack, true));
        }
        outcomes
    }

    pub fn event(&mut self, space: usize, event: Event, ack: Option<u64>) -> Option<Outcome> {
        if self.is_connected {
            return Some(self.deliver(space, event, ack, false));
        }
        self.received.push((event, ack));
        None
    }

    /// The listeners run, then the offset advances. An event with an acknowledgement ends with a
    /// function.
    fn deliver(
        &mut self,
        space: usize,
        event: Event,
        ack: Option<u64>,
        is_buffered: bool,
    ) -> Outcome {
        if self.pid.is_some()
            && ack.is_none()
            && let Some(text) = trailing_string(&event)
        {
            self.offset = Some(text);
        }
        let ack = ack.map(|id| Token::Official { space, id });
        Outcome::Received { space, event, ack, is_buffered }
    }

    /// The namespace is left or the connection lost. What was sent and not answered fails. Also
    /// says whether the head of the queue is to be tried again.
    pub fn disconnected(&mut self, space: usize, reason: &'static str) -> (Vec<Outcome>, bool) {
        let was_connected = std::mem::replace(&mut self.is_connected, false);
        let mut outcomes = Vec::new();
        if was_connected {
            outcomes.push(Outcome::Left { space, reason });
        }
        let buffered: Vec<u64> = self.buffer.iter().filter_map(|it| it.ack).collect();
        let (kept, lost) =
            std::mem::take(&mut self.acks).into_iter().partition(|(id, _)| buffered.contains(id));
        self.acks = kept;
        let lost: BTreeMap<u64, (usize, Timestamp)> = lost;
        for (id, (number, _)) in lost {
            if self.queue.front().is_none_or(|head| head.sent != Some(id)) {
                outcomes.push(Outcome::Failed { number });
            }
        }
        outcomes.extend(self.give_up_try());
        (outcomes, true)
    }

    pub fn emit(
        &mut self,
        space: usize,
        number: usize,
        sending: Sending,
        now: Timestamp,
    ) -> Option<String> {
        let ack = (sending == Sending::Ack).then(|| self.draw_ack(number, now));
        let list = format!("[\"{}\",{number}]", event_name(sending));
        let text = event_text('2', space, ack, &list);
        if self.is_connected {
            return Some(text);
        }
        self.buffer.push_back(Buffered { text, ack });
        None
    }

    pub fn next_buffered(&mut self) -> Option<String> {
        self.buffer.pop_front().map(|buffered| buffered.text)
    }

    pub fn acked(&mut self, id: u64, args: Args) -> Option<Outcome> {
        let (number, _) = self.acks.remove(&id)?;
        if self.queue.front().is_some_and(|head| head.sent == Some(id)) {
            self.queue.pop_front();
        }
        Some(Outcome::Acked { number, args })
    }

    pub fn timeout(&mut self, now: Timestamp) -> Vec<Outcome> {
        let due = self.acks.iter().filter(|(_, (_, deadline))| *deadline <= now);
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        let mut outcomes = Vec::new();
        for id in due {
            let Some((number, _)) = self.acks.remove(&id) else {
                continue;
            };
            if let Some(index) = self.buffer.iter().position(|it| it.ack == Some(id)) {
                self.buffer.remove(index);
            }
            if self.queue.front().is_some_and(|head| head.sent == Some(id)) {
                outcomes.extend(self.give_up_try());
            } else {
                outcomes.push(Outcome::Failed { number });
            }
        }
        outcomes
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        self.acks.values().map(|(_, deadline)| *deadline).min()
    }

    pub fn enqueue(&mut self, number: usize) {
        self.queue.push_back(Queued { number, tries: 0, sent: None });
    }

    /// The head of the queue, if it is to be sent now. The application gives each event an offset
    /// of its own.
    pub fn next_try(&mut self, space: usize, now: Timestamp, force: bool) -> Option<String> {
        if !self.is_connected {
            return None;
        }
        let head = self.queue.front()?;
        if head.sent.is_some() && !force {
            return None;
        }
        let number = head.number;
        let id = self.draw_ack(number, now);
        let head = self.queue.front_mut()?;
        head.tries += 1;
        head.sent = Some(id);
        let list = format!("[\"retry\",{number},\"c-{number}\"]");
        Some(event_text('2', space, Some(id), &list))
    }

    pub fn is_idle(&self) -> bool {
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
        let number = head.number;
        self.queue.pop_front();
        Some(Outcome::Failed { number })
    }

    fn draw_ack(&mut self, number: usize, now: Timestamp) -> u64 {
        let id = self.next_ack;
        self.next_ack += 1;
        self.acks.insert(id, (number, now.saturating_add(ACK_TIMEOUT)));
        id
    }
}

/// A packet as text, without attachments.
pub fn event_text(kind: char, space: usize, ack: Option<u64>, payload: &str) -> String {
    let namespace = if space == 0 { String::new() } else { format!("{},", SPACES[space]) };
    let ack = ack.map(|id| id.to_string()).unwrap_or_default();
    format!("{kind}{namespace}{ack}{payload}")
}
