//! The operations of a run. Each can be removed from the list without a change to the others.

use socketio_proto_sim::{Shrink, net::Notice};

pub const ROOMS: [&str; 3] = ["red", "green", "blue"];
pub const SPACES: [&str; 2] = ["/", "/b"];

/// One operation and the time before it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Names the operation's own stream of random numbers.
    pub id: u64,
    pub after_ms: u64,
    pub op: Op,
}

impl Shrink for Step {
    /// Takes out the time where it does not matter.
    fn simpler(&self) -> Vec<Self> {
        let simpler = (self.after_ms > 0).then(|| Self { after_ms: 0, ..self.clone() });
        simpler.into_iter().collect()
    }
}

/// Who an event is for: rooms and the rooms named after clients' ids, both as bits (none of either:
/// everybody), and who not.
#[derive(Clone, Copy, Debug)]
pub struct To {
    pub space: usize,
    pub rooms: u8,
    pub own: u8,
    pub except: u8,
    pub but: u8,
}

/// What an event ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    Number,
    Word,
    /// A string of the application that looks like an offset.
    FakeOffset,
    Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    Plain,
    Volatile,
    Ack,
    /// Until it is acknowledged.
    Retry,
}

/// What a stranger presents on its own connection.
#[derive(Clone, Copy, Debug)]
pub enum Forgery {
    /// A private id that was made up.
    Guess,
    /// The private id of a client's session, stolen, in its namespace or another one.
    Stolen,
    /// The same with an offset that is none.
    WrongOffset,
    /// The same in a namespace of another name.
    Elsewhere,
    /// The stolen one again and again, each time on another connection.
    Repeated,
    /// Nothing; it does not read, and says that it is alive.
    NonReader,
}

/// What an application has the official client send that the server does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An event with more attachments than the server takes.
    TooManyAttachments,
    /// An event over `maxPayload`.
    TooLarge,
    /// The name of a namespace that is too long.
    LongName,
    /// `auth` that is no object.
    NoObject,
}

/// How a server's process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Its connections are closed, then a snapshot is taken.
    Planned,
    /// A snapshot is taken while clients are connected.
    Abrupt,
    /// Nothing is left of it.
    Crash,
}

#[derive(Clone, Debug)]
pub enum Op {
    Broadcast {
        to: To,
        tail: Tail,
        is_volatile: bool,
    },
    BroadcastWithAck {
        to: To,
        timeout_ms: u64,
    },
    Emit {
        client: usize,
        space: usize,
        tail: Tail,
        is_volatile: bool,
    },
    EmitWithAck {
        client: usize,
        space: usize,
        tail: Tail,
        timeout_ms: u64,
    },
    Join {
        client: usize,
        space: usize,
        room: usize,
    },
    Leave {
        client: usize,
        space: usize,
        room: usize,
    },
    /// Joins or leaves the room that is named after the id of another client's socket.
    JoinOwn {
        client: usize,
        space: usize,
        other: usize,
    },
    LeaveOwn {
        client: usize,
        space: usize,
        other: usize,
    },
    JoinMany {
        to: To,
        room: usize,
    },
    LeaveMany {
        to: To,
        room: usize,
    },
    Fetch {
        to: To,
    },
    SetData {
        client: usize,
        space: usize,
    },
    Kick {
        client: usize,
        space: usize,
        closes: bool,
    },
    KickMany {
        to: To,
        closes: bool,
    },
    CloseConnection {
        client: usize,
    },
    Shutdown,
    /// The server's process ends, and another one begins after a while.
    ServerRestart {
        how: Restart,
        after_ms: u64,
    },
    ClientEmit {
        client: usize,
        space: usize,
        sending: Sending,
    },
    ClientLeave {
        client: usize,
        space: usize,
    },
    ClientConnect {
        client: usize,
        space: usize,
    },
    ClientReconnect {
        client: usize,
    },
    ClientClose {
        client: usize,
    },
    /// Leaves a namespace and forgets it.
    ClientForget {
        client: usize,
        space: usize,
    },
    /// Takes back what was not sent.
    ClientTakeBack {
        client: usize,
        space: usize,
    },
    /// Writes its state down.
    ClientSave {
        client: usize,
    },
    /// Goes on from the state that was written down last, or from the present one.
    ClientRestart {
        client: usize,
        from_saved: bool,
    },
    /// Somebody else presents what a client might: see [`Forgery`].
    Forge {
        client: usize,
        space: usize,
        what: Forgery,
        for_ms: u64,
    },
    /// A client sends what is not taken.
    Mistake {
        client: usize,
        space: usize,
        what: Mistake,
    },
    /// Pings or pongs of a WebSocket, which carry nothing.
    ControlFrames {
        client: usize,
        count: u32,
    },
    /// Events in one handler, for everybody or for one.
    Burst {
        client: Option<usize>,
        space: usize,
        count: u32,
    },
    Cut {
        client: usize,
        notice: Notice,
    },
    CutAll {
        notice: Notice,
    },
    HalfOpen {
        client: usize,
    },
    AbortRequest {
        client: usize,
        notice: Notice,
    },
    DuplicateNext {
        client: usize,
    },
    BreakUpgrade {
        client: usize,
        notice: Notice,
    },
    Pause {
        client: usize,
        for_ms: u64,
    },
    PauseClient {
        client: usize,
        for_ms: u64,
    },
    Slow {
        client: usize,
        for_ms: u64,
        by_ms: u64,
    },
    Down {
        client: usize,
        for_ms: u64,
        is_silent: bool,
    },
    Jump {
        ms: u64,
    },
    Skew {
        for_ms: u64,
        back_ms: u64,
    },
    Wait {
        ms: u64,
    },
}
