//! Random operations.

use proptest::prelude::*;

use super::op::{CLIENTS, Op, ROOMS};

/// Mostly broadcasts that except one or two of a crowd, and nearly all of them one more room.
pub fn with_crowd(crowd: usize) -> impl Strategy<Value = Vec<Op>> {
    let common = 0..ROOMS.len() + CLIENTS;
    common.prop_flat_map(move |common| prop::collection::vec(step(crowd, common), 100..400))
}

fn step(crowd: usize, common: usize) -> impl Strategy<Value = Op> {
    let room = ROOMS.len() + CLIENTS;
    let one = (room..room + crowd).prop_map(|one| vec![one]);
    let others = prop::collection::vec(room..room + crowd, 1..3);
    let common = prop_oneof![1 => Just(None), 30 => Just(Some(common))];
    let rooms = prop::collection::vec(0..ROOMS.len(), 0..2);
    let broadcast =
        (rooms, prop_oneof![one, others], common).prop_map(|(rooms, except, common)| {
            let except = common.into_iter().chain(except).collect();
            Op::Broadcast { rooms, except, but: None }
        });
    // The crowd does not come back after a restart. A client that many sets except, because of
    // several rooms in turn, may be refused. So there is only one such room.
    let other = op().prop_filter("no restart, no other exceptions", |op| match op {
        Op::Restart { .. } | Op::Wait { .. } => false,
        Op::Broadcast { except, but, .. } => except.is_empty() && but.is_none(),
        _ => true,
    });
    prop_oneof![12 => broadcast, 1 => other]
}

pub fn op() -> impl Strategy<Value = Op> {
    let who = 0..CLIENTS;
    let room = 0..ROOMS.len() + CLIENTS;
    let rooms = prop::collection::vec(0..ROOMS.len(), 0..3);
    let except = prop::collection::vec(room.clone(), 0..3);
    let but = prop::option::weighted(0.3, who.clone());
    let rewind = prop_oneof![4 => Just(0), 1 => 0_usize..8];
    prop_oneof![
        8 => (rooms.clone(), except, but)
            .prop_map(|(rooms, except, but)| Op::Broadcast { rooms, except, but }),
        1 => rooms.prop_map(|rooms| Op::Volatile { rooms }),
        2 => who.clone().prop_map(|to| Op::Direct { to }),
        2 => (who.clone(), 1_u64..100).prop_map(|(to, timeout)| Op::Ask { to, timeout }),
        1 => who.clone().prop_map(|who| Op::Answer { who }),
        4 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Join { who, room }),
        3 => (who.clone(), room).prop_map(|(who, room)| Op::Leave { who, room }),
        2 => who.clone().prop_map(|who| Op::Deafen { who }),
        3 => who.clone().prop_map(|who| Op::Cut { who }),
        4 => (who.clone(), rewind).prop_map(|(who, rewind)| Op::Return { who, rewind }),
        1 => who.prop_map(|who| Op::Kick { who }),
        1 => (1_u64..100).prop_map(|secs| Op::Wait { secs }),
        1 => (any::<bool>(), prop::option::weighted(0.3, 1_usize..16), 0_u64..50)
            .prop_map(|(is_graceful, capacity, downtime)| {
                Op::Restart { is_graceful, capacity, downtime }
            }),
    ]
}
