//! Pools around a hub, each with one connection, and a mailbox to each.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use socketio_proto::{
    ConnectionId, ServerConfig, SocketKey, Timestamp, WireId,
    hub::{At, Delivery, Hub, HubOutput, Reply, Request},
    pool::{Pool, PoolOutput},
    server::{ServerEvent, ServerInput},
};

use super::{Composition, Story, close, handle, tell};
use crate::support::counting_entropy;

/// Pools around a hub, with a mailbox to each.
pub(super) struct Pools {
    hub: Hub<u32>,
    config: Arc<ServerConfig>,
    entropy: Shared,
    mailed: Vec<(Pool<u32>, VecDeque<Mail>)>,
    /// The pool that has each wire.
    places: BTreeMap<WireId, usize>,
    to_hub: BTreeMap<usize, VecDeque<(ConnectionId, Request)>>,
    /// Decides who is next.
    dice: u32,
    connected: Vec<SocketKey>,
}

enum Mail {
    Reply(ConnectionId, Reply),
    Delivery(Delivery),
}

#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Box<Source>>>);

type Source = dyn FnMut(&mut [u8]) + Send;

impl Shared {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::new(counting_entropy()))))
    }

    pub(super) fn source(&self) -> impl FnMut(&mut [u8]) + Send + use<> {
        let shared = self.clone();
        move |dest: &mut [u8]| (shared.0.lock().unwrap())(dest)
    }
}

impl Pools {
    pub(super) fn new(config: ServerConfig, dice: u32) -> Self {
        let (config, entropy) = (Arc::new(config), Shared::new());
        let mut hub = Hub::new(config.clone(), entropy.source()).unwrap();
        hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
        hub.at(Timestamp::ZERO).add_namespace("/b").unwrap();
        Self {
            hub,
            config,
            entropy,
            mailed: Vec::new(),
            places: BTreeMap::new(),
            to_hub: BTreeMap::new(),
            dice,
            connected: Vec::new(),
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.dice >> 16) as usize % sides
    }

    /// Carries one message, of any that wait. False if none does.
    fn carry(&mut self, now: Timestamp) -> bool {
        let mailboxes = self.mailed.iter().map(|(_, mail)| mail);
        let waiting: Vec<usize> =
            mailboxes.enumerate().filter(|(_, mail)| !mail.is_empty()).map(|it| it.0).collect();
        let asking: Vec<usize> =
            self.to_hub.iter().filter(|(_, mail)| !mail.is_empty()).map(|(at, _)| *at).collect();
        if waiting.is_empty() && asking.is_empty() {
            return false;
        }
        let pick = self.roll(waiting.len() + asking.len());
        if let Some(place) = waiting.get(pick) {
            let (pool, mail) = &mut self.mailed[*place];
            match mail.pop_front().unwrap() {
                Mail::Reply(to, reply) => pool.handle_reply(now, to, reply),
                Mail::Delivery(delivery) => {
                    pool.deliver(now, &delivery);
                }
            }
        } else {
            let place = asking[pick - waiting.len()];
            let (from, request) = self.to_hub.get_mut(&place).unwrap().pop_front().unwrap();
            self.hub.handle_request(now, from, request);
        }
        true
    }

    fn collect(&mut self, now: Timestamp, story: &mut Story) {
        for (place, (pool, _)) in self.mailed.iter_mut().enumerate() {
            while let Some(output) = pool.poll_output() {
                match output {
                    PoolOutput::Request { from, request } => {
                        self.to_hub.entry(place).or_default().push_back((from, request));
                    }
                    PoolOutput::Send { wire, frame } => tell(story, wire, &frame),
                    PoolOutput::Close { wire, code } => {
                        story.entry(wire).or_default().push(close(code));
                    }
                    PoolOutput::Event(ServerEvent::Received { socket, event, ack, .. }) => {
                        handle(&mut self.hub.at(now), socket, &event, ack);
                    }
                    _ => {}
                }
            }
        }
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Reply { to, reply } => {
                    let place = usize::from(Pool::<u32>::number_of(to));
                    self.mailed[place].1.push_back(Mail::Reply(to, reply));
                }
                HubOutput::Deliver(delivery) => {
                    assert!(!delivery.recipients().is_empty(), "for nobody");
                    for to in delivery.recipients() {
                        let place = usize::from(Pool::<u32>::number_of(*to));
                        self.mailed[place].1.push_back(Mail::Delivery(delivery.clone()));
                    }
                }
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.hub.at(now).accept(request);
                }
                HubOutput::Event(ServerEvent::Connected { socket, .. }) => {
                    self.connected.push(socket);
                }
                HubOutput::Event(ServerEvent::Received { socket, event, ack, .. }) => {
                    handle(&mut self.hub.at(now), socket, &event, ack);
                }
                _ => {}
            }
        }
    }
}

impl Composition for Pools {
    fn input(&mut self, now: Timestamp, wire: WireId, input: ServerInput<'_>) {
        if matches!(input, ServerInput::WebSocketOpened { .. }) {
            let place = self.mailed.len();
            // From a source of its own: a server draws nothing for its pool.
            let seed = &mut counting_entropy();
            let number = u8::try_from(place).expect("fewer than there are numbers");
            let pool = Pool::new(self.config.clone(), number, seed).unwrap();
            self.mailed.push((pool, VecDeque::new()));
            self.places.insert(wire, place);
        }
        if let Some(place) = self.places.get(&wire) {
            self.mailed[*place].0.handle_input(now, input, &mut self.entropy.source());
        }
    }

    fn pause(&mut self, _: Timestamp, wire: WireId, is_paused: bool) {
        if let Some(place) = self.places.get(&wire) {
            let (pool, _) = &mut self.mailed[*place];
            if is_paused { pool.pause(wire) } else { pool.resume(wire) }
        }
    }

    fn timeout(&mut self, now: Timestamp) {
        for (pool, _) in &mut self.mailed {
            pool.handle_input(now, ServerInput::Timeout, &mut self.entropy.source());
        }
        self.hub.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Timestamp> {
        let pools = self.mailed.iter().filter_map(|(pool, _)| pool.deadline());
        pools.chain(self.hub.deadline()).min()
    }

    fn at(&mut self, now: Timestamp) -> At<'_, u32> {
        self.hub.at(now)
    }

    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey> {
        self.collect(now, story);
        while self.carry(now) {
            self.collect(now, story);
        }
        std::mem::take(&mut self.connected)
    }
}
