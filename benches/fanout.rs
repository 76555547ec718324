//! A broadcast to a room, up to frames queued for each wire, and what it takes to drain them.

mod support;

use std::{collections::VecDeque, iter};

use bytes::Bytes;
use socketio_proto::{ServerConfig, hub::Audience, socket::Event};
use support::{
    Bench, Cost, cost_of,
    fleet::{self, Fleet},
    workers::Workers,
};

fn main() {
    let bench = Bench::from_args("fan-out, per recipient");
    let rooms: &[usize] = if bench.is_smoke() { &[1, 100] } else { &[1, 100, 10_000, 100_000] };
    for &recipients in rooms {
        for is_shuffled in [false, true] {
            floor(&bench, recipients, is_shuffled);
            room(&bench, recipients, is_shuffled, "recovery off", fleet::config());
            room(&bench, recipients, is_shuffled, "recovery on", fleet::recovery());
            hub(&bench, recipients, is_shuffled, "hub, recovery on", fleet::recovery());
        }
    }
}

/// Broadcasts between two drains.
fn batch(recipients: usize) -> usize {
    (4_096 / recipients).max(BATCH_MIN)
}

const BATCH_MIN: usize = 4;

/// What a floor knows of a connection: its queue, in a cache line of its own as the state of a
/// connection is in any server.
#[repr(align(64))]
struct Queue {
    frames: VecDeque<Bytes>,
    _rest: Box<[u8; 512]>,
}

/// The least that it can take: a count of references and a place in a queue per connection. As in a
/// server, a queue has memory of its own from the time when the connection was made, and the rest of
/// the connection lies between this memory and that of the next.
fn floor(bench: &Bench, recipients: usize, is_shuffled: bool) {
    let frame = Bytes::from(vec![b'x'; 123]);
    let connect =
        |_| Queue { frames: VecDeque::with_capacity(BATCH_MIN), _rest: Box::new([0; 512]) };
    let mut queues: Vec<Queue> = (0..recipients).map(connect).collect();
    let order = order(recipients, is_shuffled);
    let push = |queues: &mut Vec<Queue>| {
        for index in &order {
            queues[*index].frames.push_back(frame.clone());
        }
    };
    let drain = |queues: &mut Vec<Queue>| {
        let frames = |index: &usize| {
            let queue = &mut queues[*index].frames;
            iter::from_fn(|| queue.pop_front()).count()
        };
        order.iter().map(frames).sum()
    };
    let name = format!("{recipients}/floor{}", suffix(is_shuffled));
    measure(bench, &name, recipients, &mut queues, push, drain);
}

fn room(bench: &Bench, recipients: usize, is_shuffled: bool, name: &str, config: ServerConfig) {
    let mut fleet = Fleet::new(config);
    let clients: Vec<_> = (0..recipients).map(|_| fleet.connect()).collect();
    for index in order(recipients, is_shuffled) {
        assert_eq!(fleet.server.at(fleet.now).join(clients[index].socket, "lobby"), Ok(true));
    }
    let lobby = Audience::room("lobby");
    let event = Event::new("msg", &("x".repeat(100),)).expect("legal");
    let broadcast = |fleet: &mut Fleet| {
        let sent = fleet.server.at(fleet.now).broadcast("/", &lobby, &event);
        assert_eq!(sent.map(|reach| reach.sockets), Ok(recipients));
    };
    let name = format!("{recipients}/{name}{}", suffix(is_shuffled));
    measure(bench, &name, recipients, &mut fleet, broadcast, Fleet::count_frames);
}

/// The same where the links are not in a server: what each of several threads does, on one.
fn hub(bench: &Bench, recipients: usize, is_shuffled: bool, name: &str, config: ServerConfig) {
    let mut workers = Workers::new(config);
    let sockets: Vec<_> = (0..recipients).map(|_| workers.connect()).collect();
    for index in order(recipients, is_shuffled) {
        workers.join(sockets[index], "lobby");
    }
    let lobby = Audience::room("lobby");
    let event = Event::new("msg", &("x".repeat(100),)).expect("legal");
    let broadcast =
        |workers: &mut Workers| assert_eq!(workers.broadcast(&lobby, &event), recipients);
    let name = format!("{recipients}/{name}{}", suffix(is_shuffled));
    measure(bench, &name, recipients, &mut workers, broadcast, Workers::count_frames);
}

/// In which order the connections are in the room: that in which they lie in memory, or any.
fn order(recipients: usize, is_shuffled: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..recipients).collect();
    if is_shuffled {
        let mut random = 1_u64;
        for place in (1..recipients).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(place, (random >> 33) as usize % (place + 1));
        }
    }
    order
}

fn suffix(is_shuffled: bool) -> &'static str {
    if is_shuffled { ", shuffled" } else { "" }
}

/// Measures batches of broadcasts and the drains between them apart.
fn measure<T>(
    bench: &Bench,
    name: &str,
    recipients: usize,
    world: &mut T,
    broadcast: impl Fn(&mut T),
    drain: impl Fn(&mut T) -> usize,
) {
    let batch = batch(recipients);
    let batches = if bench.is_smoke() { 1 } else { (400_000 / (recipients * batch)).max(1) };
    let (mut queued, mut drained) = (Vec::new(), Vec::new());
    for _ in 0..if bench.is_smoke() { 1 } else { 11 } {
        let (mut push, mut pop) = (Cost::default(), Cost::default());
        for _ in 0..batches {
            push += cost_of(|| (0..batch).for_each(|_| broadcast(world)));
            let mut frames = 0;
            pop += cost_of(|| frames = drain(world));
            assert_eq!(frames, recipients * batch, "a frame each");
        }
        queued.push(push);
        drained.push(pop);
    }
    let items = recipients * batch * batches;
    // The first rounds are for warming up.
    bench.report(&format!("{name}, queued"), items, queued.get(2..).unwrap_or(&queued));
    bench.report(&format!("{name}, drained"), items, drained.get(2..).unwrap_or(&drained));
}
