//! What Redis does with the commands, and nodes that read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use socketio_proto::{
    cluster::{
        engines::redis_sharded::{
            Received, RedisCommand, RedisSharded, RedisShardedOptions, ShardedReader,
        },
        message::{Body, BroadcastOptions, ClusterBroadcast, Message, NodeId, OwnKind, Stamp},
    },
    recovery::Offset,
    socket::{Event, NamespaceName},
};

use crate::monitor::text;

pub(crate) fn sharded() -> RedisSharded {
    RedisSharded::new(RedisShardedOptions::new()).unwrap()
}

pub(crate) fn chat() -> NamespaceName {
    NamespaceName::new("/chat").unwrap()
}

/// An event for all, of a node of this crate, or of an official one.
pub(crate) fn event(sender: &str, number: u64, is_official: bool) -> Message {
    let event = Event::new("a", &(number, "é")).unwrap();
    let body = Body::Broadcast(ClusterBroadcast::new(BroadcastOptions::all(), event));
    let message = Message::new(NodeId::new(sender).unwrap(), chat(), body);
    if is_official { message } else { message.stamped(Stamp::new(number, 7)) }
}

/// A Redis. Nodes receive what it publishes when they read.
#[derive(Default)]
pub(crate) struct Redis {
    pub(crate) number: u64,
    heard: BTreeMap<Bytes, u64>,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) reader: ShardedReader,
    subscribed: BTreeSet<String>,
    received: VecDeque<(String, Bytes)>,
    /// What it has to say and did not say yet.
    pub(crate) adopt: VecDeque<RedisCommand>,
    pub(crate) entries: Vec<(Offset, Option<Message>)>,
    pub(crate) messages: Vec<Message>,
    pub(crate) is_subscribed: bool,
    pub(crate) gaps: usize,
}

impl Redis {
    /// Adds a node that reads the log from here on.
    pub(crate) fn join(&mut self, name: &str) -> usize {
        let id = self.nodes.len();
        let marker = id as u64 + 1_000;
        let reader = ShardedReader::new(sharded(), NodeId::new(name).unwrap(), marker);
        self.nodes.push(Node {
            reader,
            subscribed: BTreeSet::new(),
            received: VecDeque::new(),
            adopt: VecDeque::new(),
            entries: Vec::new(),
            messages: Vec::new(),
            is_subscribed: false,
            gaps: 0,
        });
        self.call(id, &sharded().subscribe_to_log());
        self.call(id, &sharded().mark(marker));
        id
    }

    pub(crate) fn subscribe(&mut self, node: usize, marker: u64) {
        for command in self.nodes[node].reader.subscribe(&chat(), marker) {
            self.call(node, &command);
        }
        self.nodes[node].reader.subscribed(&chat());
        self.nodes[node].take();
    }

    pub(crate) fn unsubscribe(&mut self, node: usize) {
        for command in self.nodes[node].reader.unsubscribe(&chat()) {
            self.call(node, &command);
        }
        self.nodes[node].take();
    }

    /// Carries out a command of a node.
    pub(crate) fn call(&mut self, node: usize, command: &RedisCommand) {
        let args = command.to_args();
        let name = text(&args[0]);
        let is = |arg: usize, value: &str| args.get(arg).is_some_and(|arg| arg == value.as_bytes());
        match (name, args.len()) {
            ("SSUBSCRIBE", 2) => drop(self.nodes[node].subscribed.insert(text(&args[1]).into())),
            ("SUNSUBSCRIBE", 2) => drop(self.nodes[node].subscribed.remove(text(&args[1]))),
            ("SPUBLISH", 3) => self.publish(&args[1], &args[2]),
            ("EVAL", 6) if is(2, "0") => {
                self.publish(&args[3], &args[5]);
                self.publish(&args[4], &args[5]);
            }
            ("EVAL", 6) => {
                let before = format!("M{:020}", self.number);
                self.number = (self.number + 1).max(1_000);
                self.line(&args[4], &[before.as_bytes(), &args[5]]);
            }
            ("EVAL", 7) => {
                self.number += 1;
                self.line(&args[4], &[b"E", &args[6]]);
                if !args[5].is_empty() {
                    self.publish(&args[5], &args[6]);
                }
            }
            ("EVAL", 9) if is(2, "1") => {
                self.publish(&args[5], &args[6]);
                let own = text(&args[7]);
                if !self.nodes.iter().any(|node| node.subscribed.contains(own)) {
                    self.number += 1;
                    self.line(&args[4], &[b"S", &args[8]]);
                }
            }
            ("EVAL", 9) => {
                let count = text(&args[6]).parse().unwrap();
                let heard = self.heard.entry(args[4].clone()).or_default();
                if *heard < count {
                    *heard = count;
                    self.number += 1;
                    self.line(&args[5], &[&args[8]]);
                }
            }
            _ => panic!("{command}"),
        }
    }

    fn line(&mut self, log: &Bytes, parts: &[&[u8]]) {
        let number = format!("{:020}", self.number);
        let line = [number.as_bytes(), &parts.concat()].concat();
        self.publish(log, &line.into());
    }

    /// Publishes something, for example as an official node does.
    pub(crate) fn publish(&mut self, channel: &Bytes, payload: &Bytes) {
        let channel = text(channel);
        for node in self.nodes.iter_mut().filter(|node| node.subscribed.contains(channel)) {
            node.received.push_back((channel.into(), payload.clone()));
        }
    }

    /// An official node emits to all.
    pub(crate) fn official(&mut self, message: &Message) {
        // Without a stamp, an entry is what an official node publishes.
        let payload = sharded().append(message).unwrap().to_args()[6].clone();
        self.publish(&Bytes::from_static(b"socket.io#/chat#"), &payload);
    }

    /// A node says the next thing that it has to say.
    pub(crate) fn adopt_one(&mut self, node: usize) {
        if let Some(command) = self.nodes[node].adopt.pop_front() {
            self.call(node, &command);
        }
    }

    /// Everybody reads and says everything.
    pub(crate) fn settle(&mut self) {
        while self.nodes.iter().any(|node| !node.received.is_empty() || !node.adopt.is_empty()) {
            for node in 0..self.nodes.len() {
                while self.nodes[node].read_one() {}
                while !self.nodes[node].adopt.is_empty() {
                    self.adopt_one(node);
                }
            }
        }
    }
}

impl Node {
    /// Returns whether there was something to read.
    pub(crate) fn read_one(&mut self) -> bool {
        let Some((channel, payload)) = self.received.pop_front() else { return false };
        self.reader.read(&channel, &payload);
        self.take();
        true
    }

    fn take(&mut self) {
        while let Some(received) = self.reader.poll() {
            match received {
                Received::Entry { position, message } => {
                    self.entries.push((position, message.ok()));
                }
                Received::Message(message) => self.messages.push(message),
                Received::Adopt(command) => self.adopt.push_back(command),
                Received::Subscribed(namespace) => {
                    assert_eq!(namespace, chat());
                    self.is_subscribed = true;
                }
                Received::Gap => self.gaps += 1,
                Received::Marker { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The entries, each with who has emitted it and what.
    pub(crate) fn shown(&self) -> Vec<(Offset, String)> {
        let shown = |message: &Option<Message>| match message {
            Some(message) => match &message.body {
                Body::Broadcast(broadcast) => {
                    format!("{} {}", message.sender, broadcast.packet().unwrap().event.json())
                }
                Body::Own { kind: OwnKind::Unheard, .. } => {
                    format!("unheard {}", message.namespace)
                }
                other => panic!("{other:?}"),
            },
            None => "unreadable".into(),
        };
        self.entries.iter().map(|(at, message)| (*at, shown(message))).collect()
    }
}
