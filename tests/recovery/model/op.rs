//! The operations of the model, one step each.

/// Clients of the model.
pub const CLIENTS: usize = 4;
/// Rooms with a name of the application's. Those after them are named after sessions.
pub const ROOMS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
pub enum Op {
    /// Emit to rooms (none: everyone), except rooms and except one client's own room.
    Broadcast {
        rooms: Vec<usize>,
        except: Vec<usize>,
        but: Option<usize>,
    },
    Volatile {
        rooms: Vec<usize>,
    },
    Direct {
        to: usize,
    },
    /// Emit an event that asks for an acknowledgement within the given number of seconds.
    Ask {
        to: usize,
        timeout: u64,
    },
    /// Acknowledge the oldest event that asked for it.
    Answer {
        who: usize,
    },
    /// Join a room; from the third on it is the one named after a client's session.
    Join {
        who: usize,
        room: usize,
    },
    Leave {
        who: usize,
        room: usize,
    },
    /// From now on packets to this client vanish, though its link looks healthy.
    Deafen {
        who: usize,
    },
    Cut {
        who: usize,
    },
    /// Come back with an offset from the given number of events ago, like a client that was
    /// restored from an older state. Takes over a link that was not cut.
    Return {
        who: usize,
        rewind: usize,
    },
    Kick {
        who: usize,
    },
    Wait {
        secs: u64,
    },
    /// Another process takes over from a snapshot, with a log of another size if that is given.
    Restart {
        is_graceful: bool,
        capacity: Option<usize>,
        downtime: u64,
    },
}
