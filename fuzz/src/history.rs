//! Sessions that come and go, held against the model.

use socketio_proto::ReplayOrder;

use crate::{
    model::{
        op::{CLIENTS, Op, ROOMS},
        promise::Limits,
        steps::{Model, Setup},
    },
    source::Source,
};

const STEPS_MAX: usize = 200;

/// A session is recovered if and only if the log still has every event that was addressed to it, and
/// no limit is exceeded. Then its client has received exactly these events, each once and in order.
pub(super) fn history(mut source: Source<'_>) {
    let mut model = Model::new(setup(&mut source));
    for _ in 0..STEPS_MAX {
        if source.is_empty() {
            break;
        }
        model.apply(&op(&mut source));
    }
    for who in 0..CLIENTS {
        model.apply(&Op::Return { who, rewind: 0 });
    }
}

fn setup(source: &mut Source<'_>) -> Setup {
    let choices = source.byte();
    let order = match choices & 16 {
        0 => ReplayOrder::AfterConnect,
        _ => ReplayOrder::BeforeConnect,
    };
    let limits = match choices & 32 {
        0 => Limits { replay: 12, memberships: 1_000 },
        _ => Limits { replay: 5, memberships: 3 },
    };
    Setup { capacity: 1 + usize::from(choices & 15), order, asks: true, limits, crowd: 0 }
}

fn op(source: &mut Source<'_>) -> Op {
    let choice = source.byte();
    let who = usize::from(choice >> 4) % CLIENTS;
    match choice & 15 {
        0..=3 => broadcast(source),
        4 if source.flag() => Op::Ask { to: who, timeout: 1 + u64::from(source.below(99)) },
        4 => Op::Answer { who },
        5 => Op::Direct { to: who },
        6..=8 => {
            let room = usize::from(source.byte()) % (ROOMS.len() + CLIENTS);
            if source.flag() { Op::Join { who, room } } else { Op::Leave { who, room } }
        }
        9 => Op::Deafen { who },
        10 | 11 => Op::Cut { who },
        12 => Op::Return { who, rewind: 0 },
        13 => Op::Return { who, rewind: usize::from(source.below(8)) },
        14 if who == 0 => Op::Restart {
            is_graceful: source.flag(),
            capacity: source.flag().then(|| 1 + usize::from(source.below(15))),
            downtime: source.below(50).into(),
        },
        14 => Op::Wait { secs: source.below(100).into() },
        _ => Op::Kick { who },
    }
}

fn broadcast(source: &mut Source<'_>) -> Op {
    let choices = source.byte();
    let is_chosen = |bit: usize| choices >> bit & 1 != 0;
    let rooms = (0..ROOMS.len()).filter(|room| is_chosen(*room)).collect();
    if is_chosen(7) {
        return Op::Volatile { rooms };
    }
    let mut except: Vec<usize> =
        (0..ROOMS.len()).filter(|room| is_chosen(room + 3) && source.flag()).collect();
    if source.below(8) == 1 {
        except.push(ROOMS.len() + usize::from(source.byte()) % CLIENTS);
    }
    let but = is_chosen(6).then(|| usize::from(source.byte()) % CLIENTS);
    Op::Broadcast { rooms, except, but }
}
