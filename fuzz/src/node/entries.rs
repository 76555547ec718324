//! What other nodes say, and what looks as if they had said it.

use bytes::Bytes;
use serde::Serialize;
use socketio_proto::{
    ByteString,
    cluster::message::{
        Body, BroadcastFlags, BroadcastOptions, ClusterBroadcast, Message, NodeId, OwnKind,
        RequestId, Stamp, Value,
    },
    socket::{Args, Event, NamespaceName},
};

use super::{
    history::LOGGED,
    world::{NODE, World},
};
use crate::draw;

pub(super) const ROOMS: [&str; 4] = ["red", "green", "blue", "white"];

/// As a node writes it: the contents of a claim.
#[derive(Serialize)]
struct Claim<'a> {
    number: u64,
    pid: &'a str,
    offset: Option<&'a str>,
    covered: &'a str,
}

/// As a node writes it: the contents of a handover.
#[derive(Serialize)]
struct Handover<'a> {
    to: &'a str,
    number: u64,
    session: Result<String, u8>,
}

impl World<'_> {
    pub(super) fn draw_message(&mut self) -> Option<Message> {
        let choice = self.source.below(16);
        match choice {
            0 => return None,
            1 => {
                let payload = Bytes::copy_from_slice(self.source.bytes());
                return Message::from_msgpack(&payload).ok();
            }
            _ => {}
        }
        let senders = ["f0aebfa2cd17e8df", "emitter", NODE];
        let sender = self.source.pick(&senders).copied().unwrap_or_default();
        let sender = NodeId::new(sender)?;
        let namespaces = ["/", "/", "/", "/d1", "/d2", "/none"];
        let namespace = self.source.pick(&namespaces).copied().unwrap_or_default();
        let namespace = NamespaceName::new(namespace).ok()?;
        let message = Message::new(sender, namespace, self.draw_body(choice));
        let own = self.appended.last().and_then(|message| message.stamp);
        Some(match self.source.below(8) {
            0..=3 => message,
            4 | 5 => message.stamped(Stamp::new(self.source.byte().into(), 3)),
            6 => message.stamped(Stamp::new(self.source.any(), 3)),
            _ => {
                self.is_forged = true;
                message.stamped(Stamp::new(self.source.byte().into(), own.map_or(1, |it| it.nonce)))
            }
        })
    }

    fn draw_body(&mut self, choice: u8) -> Body {
        match choice {
            2..=5 => self.draw_broadcast(),
            6 => Body::SocketsJoin { options: self.draw_options(), rooms: self.draw_rooms() },
            7 => Body::SocketsLeave { options: self.draw_options(), rooms: self.draw_rooms() },
            8 => {
                Body::DisconnectSockets { options: self.draw_options(), close: self.source.flag() }
            }
            9..=11 => self.draw_claim(),
            12 | 13 => self.draw_handover(),
            14 => self.draw_own(),
            _ => self.draw_request(),
        }
    }

    fn draw_broadcast(&mut self) -> Body {
        self.emitted += 1;
        let event = match self.source.below(8) {
            0 => draw::event(&mut self.source),
            1 => {
                let files = vec![Bytes::from_static(b"file"); usize::from(self.source.below(4))];
                Event::new("files", &(files,)).unwrap_or_else(|_| draw::event(&mut self.source))
            }
            _ => numbered(self.emitted),
        };
        let mut options = self.draw_options();
        if event.name() != LOGGED && self.source.flag() {
            let mut flags = BroadcastFlags::default();
            flags.volatile = Some(self.source.flag());
            options = options.flags(flags);
        }
        let broadcast = ClusterBroadcast::new(options, event);
        Body::Broadcast(match self.source.below(8) {
            0 => match RequestId::new("r1") {
                Some(request) => broadcast.with_request(request),
                None => broadcast,
            },
            _ => broadcast,
        })
    }

    fn draw_options(&mut self) -> BroadcastOptions {
        let choice = self.source.byte();
        let mut options = BroadcastOptions::all();
        for _ in 0..choice & 3 {
            options = options.to(self.draw_room());
        }
        if choice & 4 != 0 {
            options = options.except(self.draw_room());
        }
        if choice & 0xf8 == 8 { options.or_nobody() } else { options }
    }

    fn draw_rooms(&mut self) -> Vec<ByteString> {
        (0..self.source.below(4)).map(|_| self.draw_room()).collect()
    }

    /// A room, also one that is named after a socket.
    fn draw_room(&mut self) -> ByteString {
        match self.source.below(6) {
            0 => self.source.text().into(),
            1 => {
                let met = self.source.pick(&self.met).copied();
                let id = met.and_then(|socket| self.server.socket_id(socket));
                id.map_or_else(ByteString::new, |id| id.as_str().into())
            }
            _ => (*self.source.pick(&ROOMS).unwrap_or(&"red")).into(),
        }
    }

    fn draw_claim(&mut self) -> Body {
        let pid = self.source.pick(&self.known.pids).cloned().unwrap_or_default();
        let offset = self.source.pick(&self.known.offsets).cloned();
        let offset = offset.filter(|_| self.source.flag());
        let covered = match self.source.below(4) {
            0 => self.source.text(),
            1 => self.head.to_string(),
            _ => "0-0".into(),
        };
        let claims = [self.claims.last().copied().unwrap_or_default(), self.source.byte().into()];
        let number = self.source.pick(&claims).copied().unwrap_or_default();
        own(
            OwnKind::Claim,
            &Claim { number, pid: &pid, offset: offset.as_deref(), covered: &covered },
        )
    }

    fn draw_handover(&mut self) -> Body {
        let number = self.source.pick(&self.claims).copied().unwrap_or_default();
        let mut text = self.source.pick(&self.departed).cloned().unwrap_or_default();
        let session = match self.source.below(8) {
            0 => Err(self.source.byte()),
            1 => Ok(self.source.text()),
            // Like a session, but not quite.
            2..=4 => {
                let place = usize::from(self.source.any::<u16>()).checked_rem(text.len());
                let place = place.filter(|place| text.is_char_boundary(*place));
                let with = self.source.text();
                let len = usize::from(self.source.below(8));
                let range = place.map(|place| place..(place + len).min(text.len()));
                if let Some(range) = range.filter(|range| text.is_char_boundary(range.end)) {
                    text.replace_range(range, &with);
                }
                Ok(text)
            }
            _ => Ok(text),
        };
        let to = if self.source.below(8) == 1 { "another" } else { NODE };
        own(OwnKind::RecordResponse, &Handover { to, number, session })
    }

    fn draw_own(&mut self) -> Body {
        let kinds =
            [OwnKind::Claim, OwnKind::Marker, OwnKind::RecordRequest, OwnKind::RecordResponse];
        let kind = self.source.pick(&kinds).copied().unwrap_or(OwnKind::Marker);
        own(kind, &self.source.text())
    }

    fn draw_request(&mut self) -> Body {
        let request = RequestId::new("r1");
        let answer = Value::new(&self.source.byte()).unwrap_or(Value::null());
        match (self.source.below(12), request) {
            (0, _) => Body::InitialHeartbeat,
            (1, _) => Body::Heartbeat,
            (2, _) => Body::AdapterClose,
            (3, Some(request)) => Body::FetchSockets { options: self.draw_options(), request },
            (4, Some(request)) => Body::FetchSocketsResponse { request, sockets: Vec::new() },
            (5, request) => Body::ServerSideEmit { packet: Args::empty(), request },
            (6, Some(request)) => Body::ServerSideEmitResponse { request, answer },
            (7, Some(request)) => {
                Body::BroadcastClientCount { request, client_count: self.source.any() }
            }
            (8, Some(request)) => Body::BroadcastAck { request, answer },
            _ => Body::Unknown { kind: self.source.any() },
        }
    }
}

/// An event whose place is checked.
pub(super) fn numbered(number: u32) -> Event {
    let Ok(event) = Event::new(LOGGED, &(number,)) else {
        unreachable!("a number is JSON");
    };
    event
}

fn own<T: Serialize>(kind: OwnKind, data: &T) -> Body {
    Body::Own { kind, data: Value::new(data).unwrap_or(Value::null()) }
}
