//! A broadcast to a room, up to frames queued for each wire, and what it takes to drain them.

mod support;

use std::collections::VecDeque;

use bytes::Bytes;
use socketio_proto::{ServerConfig, hub::Audience, socket::Event};
use support::{
    Bench, Cost, cost_of,
    fleet::{self, Fleet},
};

fn main() {
    let bench = Bench::from_args("fan-out, per recipient");
    let rooms: &[usize] = if bench.is_smoke() { &[1, 100] } else { &[1, 100, 10_000, 100_000] };
    for &recipients in rooms {
        floor(&bench, recipients);
        room(&bench, recipients, "recovery off", fleet::config());
        room(&bench, recipients, "recovery on", fleet::recovery());
    }
}

/// Broadcasts between two drains.
fn batch(recipients: usize) -> usize {
    (4_096 / recipients).max(4)
}

/// The least that it can take: a count of references and a place in a queue per connection.
fn floor(bench: &Bench, recipients: usize) {
    let frame = Bytes::from(vec![b'x'; 123]);
    let mut queues: Vec<VecDeque<Bytes>> = (0..recipients).map(|_| VecDeque::new()).collect();
    let name = format!("{recipients}/floor");
    measure(
        bench,
        &name,
        recipients,
        &mut queues,
        |queues| {
            for queue in queues.iter_mut() {
                queue.push_back(frame.clone());
            }
        },
        |queues| {
            queues.iter_mut().map(|queue| std::iter::from_fn(|| queue.pop_front()).count()).sum()
        },
    );
}

fn room(bench: &Bench, recipients: usize, name: &str, config: ServerConfig) {
    let mut fleet = Fleet::new(config);
    fleet.room("lobby", recipients);
    let lobby = Audience::room("lobby");
    let event = Event::new("msg", &("x".repeat(100),)).expect("legal");
    let name = format!("{recipients}/{name}");
    measure(
        bench,
        &name,
        recipients,
        &mut fleet,
        |fleet| {
            let sent = fleet.server.broadcast(fleet.now, "/", &lobby, &event);
            assert_eq!(sent, Ok(recipients));
        },
        Fleet::count_frames,
    );
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
