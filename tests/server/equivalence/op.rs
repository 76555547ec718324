//! What happens on a tape.

use proptest::prelude::*;

pub(super) const CLIENTS: u64 = 4;

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Open a WebSocket, and claim what this client had before.
    Open {
        who: u64,
        with_claim: bool,
    },
    Send {
        who: u64,
        packet: usize,
    },
    Cut {
        who: u64,
    },
    Pause {
        who: u64,
        is_paused: bool,
    },
    Join {
        who: u64,
        room: usize,
    },
    Leave {
        who: u64,
        room: usize,
    },
    Broadcast {
        room: usize,
        except: usize,
        is_volatile: bool,
    },
    Ask {
        who: u64,
    },
    Emit {
        who: u64,
        is_volatile: bool,
    },
    AskAll {
        room: usize,
    },
    /// All sockets of a room join or leave another one.
    MoveAll {
        from: usize,
        room: usize,
        is_join: bool,
    },
    KickAll {
        room: usize,
        closes: bool,
    },
    Kick {
        who: u64,
        closes: bool,
    },
    Wait {
        millis: u64,
    },
}

pub(super) const PACKETS: [&str; 14] = [
    "40",
    "40/b,",
    "42[\"echo\",1]",
    "421[\"echo\",2]",
    // Twice the same event, for a client that repeats it until it is answered.
    "422[\"once\"]",
    "423[\"once\"]",
    "430[1]",
    "41",
    "41/b,",
    "3",
    "4bad",
    // A client that counts its events asks what has arrived, and for an answer.
    "43[]",
    "43[1]",
    "43/b,[]",
];

pub(super) fn op() -> impl Strategy<Value = Op> {
    let (who, room) = (0..CLIENTS, 0..3_usize);
    prop_oneof![
        4 => (who.clone(), any::<bool>()).prop_map(|(who, with_claim)| Op::Open { who, with_claim }),
        5 => (who.clone(), 0..PACKETS.len()).prop_map(|(who, packet)| Op::Send { who, packet }),
        2 => who.clone().prop_map(|who| Op::Cut { who }),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, is_paused)| Op::Pause { who, is_paused }),
        3 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Join { who, room }),
        2 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Leave { who, room }),
        6 => (0..5_usize, room.clone(), any::<bool>())
            .prop_map(|(room, except, is_volatile)| Op::Broadcast { room, except, is_volatile }),
        2 => who.clone().prop_map(|who| Op::Ask { who }),
        3 => (who.clone(), any::<bool>())
            .prop_map(|(who, is_volatile)| Op::Emit { who, is_volatile }),
        1 => (0..4_usize).prop_map(|room| Op::AskAll { room }),
        2 => (0..4_usize, room.clone(), any::<bool>())
            .prop_map(|(from, room, is_join)| Op::MoveAll { from, room, is_join }),
        1 => (room, any::<bool>()).prop_map(|(room, closes)| Op::KickAll { room, closes }),
        1 => (who, any::<bool>()).prop_map(|(who, closes)| Op::Kick { who, closes }),
        2 => (1_u64..60_000).prop_map(|millis| Op::Wait { millis }),
    ]
}
