//! Plays a tape to a composition.

use std::{collections::BTreeMap, time::Duration};

use socketio_proto::{
    ByteString, SocketKey, Timestamp, WireId, engine::Frame, hub::Audience, server::ServerInput,
    socket,
};

use super::{
    Composition, Story,
    op::{Op, PACKETS},
};
use crate::support::get;

/// Plays the tape to a composition.
pub(super) fn play(composition: &mut dyn Composition, ops: &[Op]) -> Story {
    let mut player = Player {
        composition,
        now: Timestamp::from_millis(1_000),
        story: Story::new(),
        wires: BTreeMap::new(),
        sockets: BTreeMap::new(),
    };
    for (index, op) in ops.iter().enumerate() {
        player.play(WireId(1 + index as u64), op);
    }
    player.story
}

struct Player<'a> {
    composition: &'a mut dyn Composition,
    now: Timestamp,
    story: Story,
    wires: BTreeMap<u64, WireId>,
    sockets: BTreeMap<u64, SocketKey>,
}

impl Player<'_> {
    fn play(&mut self, wire: WireId, op: &Op) {
        let mut actor = None;
        match op {
            Op::Open { who, with_claim } => {
                self.open(*who, wire, *with_claim);
                actor = Some(*who);
            }
            Op::Send { who, packet } => {
                self.send(*who, PACKETS[*packet]);
                actor = Some(*who);
            }
            Op::Cut { who } => {
                if let Some(wire) = self.wires.get(who).copied() {
                    self.composition.input(self.now, wire, ServerInput::WireClosed { wire });
                }
            }
            Op::Pause { who, is_paused } => {
                if let Some(wire) = self.wires.get(who) {
                    self.composition.pause(self.now, *wire, *is_paused);
                }
            }
            Op::Wait { millis } => {
                // Links that are late do not know how late the others are.
                let end = self.now.saturating_add(Duration::from_millis(*millis));
                while let Some(due) = self.composition.deadline().filter(|due| *due <= end) {
                    self.now = self.now.max(due);
                    self.composition.timeout(self.now);
                    self.composition.drain(self.now, &mut self.story);
                }
                self.now = end;
            }
            Op::Broadcast { room, except, is_volatile } => {
                self.broadcast(*room, *except, *is_volatile);
            }
            Op::AskAll { room } => {
                let (audience, wait) = (audience(*room), Duration::from_secs(3));
                let question = socket::Event::new("q", &()).unwrap();
                let mut at = self.composition.at(self.now);
                at.broadcast_with_ack("/", &audience, &question, wait).unwrap();
            }
            Op::MoveAll { from, room, is_join } => {
                let (audience, room) = (audience(*from), format!("room {room}"));
                let mut at = self.composition.at(self.now);
                if *is_join {
                    at.sockets_join("/", &audience, &room).unwrap();
                } else {
                    at.sockets_leave("/", &audience, &room).unwrap();
                }
            }
            Op::KickAll { room, closes } => {
                let mut at = self.composition.at(self.now);
                at.disconnect_sockets("/", &audience(*room), *closes).unwrap();
            }
            Op::Join { who, .. }
            | Op::Leave { who, .. }
            | Op::Emit { who, .. }
            | Op::Ask { who }
            | Op::Kick { who, .. } => {
                if let Some(socket) = self.sockets.get(who).copied() {
                    self.verb(socket, op);
                }
            }
        }
        for connected in self.composition.drain(self.now, &mut self.story) {
            self.sockets.extend(actor.map(|who| (who, connected)));
        }
    }

    fn open(&mut self, who: u64, wire: WireId, with_claim: bool) {
        let earlier = self.wires.get(&who).and_then(|wire| self.story.get(wire)?.get(1));
        let answer = earlier.filter(|answer| with_claim && answer.starts_with("40{"));
        let pid = answer.and_then(|answer| answer.split('"').nth(7));
        let offset = self.wires.get(&who).and_then(|wire| last_offset(self.story.get(wire)?));
        let packet = pid.map_or_else(
            || "40".into(),
            |pid| match offset.filter(|_| !wire.0.is_multiple_of(4)) {
                Some(offset) => format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#),
                None => format!(r#"40{{"pid":"{pid}"}}"#),
            },
        );
        self.wires.insert(who, wire);
        let head = get("EIO=4&transport=websocket");
        self.composition.input(self.now, wire, ServerInput::WebSocketOpened { wire, head });
        self.send(who, &packet);
    }

    fn send(&mut self, who: u64, packet: &str) {
        if let Some(wire) = self.wires.get(&who).copied() {
            let frame = Frame::Text(ByteString::from(packet));
            self.composition.input(self.now, wire, ServerInput::Frame { wire, frame });
        }
    }

    fn broadcast(&mut self, room: usize, except: usize, is_volatile: bool) {
        let mut audience = audience(room).except(format!("room {except}"));
        if is_volatile {
            audience = audience.volatile();
        }
        let name = if is_volatile { "v" } else { "m" };
        let event = socket::Event::new(name, &("text",)).unwrap();
        self.composition.at(self.now).broadcast("/", &audience, &event).unwrap();
    }

    fn verb(&mut self, socket: SocketKey, op: &Op) {
        let mut at = self.composition.at(self.now);
        match op {
            Op::Join { room, .. } => {
                at.join(socket, &format!("room {room}")).ok();
            }
            Op::Leave { room, .. } => {
                at.leave(socket, &format!("room {room}"));
            }
            Op::Ask { .. } => {
                at.socket(socket).emit_with_ack("q", &(), Duration::from_secs(3)).ok();
            }
            Op::Emit { is_volatile: true, .. } => {
                at.socket(socket).volatile().emit("v", &("text",)).ok();
            }
            Op::Emit { .. } => {
                at.socket(socket).emit("m", &()).ok();
            }
            Op::Kick { closes, .. } => {
                at.disconnect(socket, *closes);
            }
            _ => {}
        }
    }
}

fn audience(room: usize) -> Audience {
    if room < 3 { Audience::room(format!("room {room}")) } else { Audience::all() }
}

/// The last offset that a client has processed in the main namespace.
fn last_offset(frames: &[String]) -> Option<&str> {
    let all = frames.iter().rev().filter_map(|frame| offset(frame));
    all.filter(|(namespace, ..)| namespace.is_empty()).map(|(.., offset)| offset).next()
}

/// The namespace, the name, and the offset of an event.
pub(super) fn offset(frame: &str) -> Option<(&str, &str, &str)> {
    let (head, args) = frame.split_once('[')?;
    let namespace = head.strip_prefix("42")?;
    let (name, _) = args.strip_prefix('"')?.split_once('"')?;
    let (_, last) = args.strip_suffix("\"]")?.rsplit_once('"')?;
    let is_offset = last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (is_offset && last.contains('-')).then_some((namespace, name, last))
}
