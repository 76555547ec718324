//! What happens in a run: events that clients emit, and failures.

mod draw;

pub use self::draw::Choices;
pub(crate) use self::draw::Draw;

use std::fmt;

use socketio_proto::socket::Event;

use crate::{Shrink, client::Delivery, net::Notice};

/// One step of a script. A step does the same wherever it stands, so it can be removed from a script
/// without a change to the others.
#[derive(Clone, PartialEq)]
pub struct Step {
    /// Names the random numbers of the step.
    pub id: u64,
    /// The time before the step, in milliseconds.
    pub after_ms: u64,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// A client emits an event.
    Emit {
        /// The number of the client.
        client: usize,
        /// The namespace.
        namespace: String,
        /// The event.
        event: Event,
        /// How it is sent.
        delivery: Delivery,
    },
    /// A client leaves a namespace.
    Leave {
        /// The number of the client.
        client: usize,
        /// The namespace.
        namespace: String,
    },
    /// A client joins a namespace, if it is not in it.
    Join {
        /// The number of the client.
        client: usize,
        /// The namespace.
        namespace: String,
    },
    /// Something fails.
    Fail(Fault),
    /// Time passes.
    Wait {
        /// How long, in milliseconds.
        ms: u64,
    },
}

/// Something that fails. All times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// All wires of a client are cut.
    Cut {
        /// The number of the client.
        client: usize,
        /// Who notices it when.
        notice: Notice,
    },
    /// All wires of all clients are cut.
    CutAll {
        /// Who notices it when.
        notice: Notice,
    },
    /// The HTTP requests of a client are cut, but not its WebSocket.
    AbortRequests {
        /// The number of the client.
        client: usize,
        /// Who notices it when.
        notice: Notice,
    },
    /// The process of a client does nothing for a while.
    FreezeClient {
        /// The number of the client.
        client: usize,
        /// How long.
        for_ms: u64,
    },
    /// The process of the server does nothing for a while.
    FreezeServer {
        /// The number of the node; 0 unless it is a cluster.
        node: usize,
        /// How long.
        for_ms: u64,
    },
    /// A client has a slow network for a while.
    Slow {
        /// The number of the client.
        client: usize,
        /// How long.
        for_ms: u64,
        /// The most additional time of a transmission.
        by_ms: u64,
    },
    /// A client cannot open new wires for a while.
    Unreachable {
        /// The number of the client.
        client: usize,
        /// How long.
        for_ms: u64,
        /// Whether its attempts hang, instead of failing at once.
        is_silent: bool,
    },
    /// The process of the server ends, and another one starts.
    Restart {
        /// The number of the node; 0 unless it is a cluster.
        node: usize,
        /// How it ends.
        how: Restart,
        /// The time until the next process starts.
        down_ms: u64,
    },
    /// A node of a cluster crashes at one of its next commands to the engine. The next process goes on with
    /// the same engine, and so with the same file.
    CrashAt {
        /// The number of the node.
        node: usize,
        /// How many commands come before it.
        commands: u64,
        /// When in the life of the command it crashes.
        moment: Moment,
        /// The time until the next process starts.
        down_ms: u64,
    },
    /// A node of a cluster loses its connection with the engine. Some of what is on its way to the
    /// engine arrives, and the answers are lost.
    CutEngine {
        /// The number of the node.
        node: usize,
        /// How long it has none.
        for_ms: u64,
    },
    /// All nodes of a cluster lose their connections with the engine. The engine keeps what it has.
    RestartEngine {
        /// How long they have none.
        down_ms: u64,
    },
    /// The engine of a cluster forgets the beginning of its channels.
    Trim {
        /// How many of the latest entries of each it keeps.
        kept: usize,
    },
}

/// How the process of a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It closes its connections, then takes a snapshot, which the next process restores. A node of a
    /// cluster hands its sessions over instead.
    Graceful,
    /// It takes a snapshot while clients are connected, which the next process restores. A node of a
    /// cluster crashes.
    Abrupt,
    /// It crashes: nothing is left for the next process.
    Crash,
}

/// A moment in the life of a command to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The node has sent it, and the engine never gets it. Some of what the node has sent before
    /// arrives.
    Sent,
    /// The engine has carried it out, and nothing that the node has sent after it. The node does not get
    /// the answer.
    CarriedOut,
}

impl Shrink for Step {
    /// With a failure that both sides notice at once, sent in the plain way, without the time
    /// before, with less time.
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        if let Some(action) = self.action.noticed_at_once().filter(|it| *it != self.action) {
            simpler.push(Self { action: action.clone(), after_ms: 0, ..self.clone() });
            simpler.push(Self { action, ..self.clone() });
        }
        if let Action::Emit { client, namespace, event, delivery } = &self.action
            && *delivery != Delivery::Plain
        {
            let (namespace, event) = (namespace.clone(), event.clone());
            let delivery = Delivery::Plain;
            let action = Action::Emit { client: *client, namespace, event, delivery };
            simpler.push(Self { action, ..self.clone() });
        }
        if self.after_ms > 0 {
            simpler.push(Self { after_ms: 0, ..self.clone() });
            simpler.push(Self { after_ms: self.after_ms / 2, ..self.clone() });
        }
        simpler
    }
}

impl Action {
    fn noticed_at_once(&self) -> Option<Self> {
        let at_once = Notice { client: Some(0), server: Some(0) };
        let mut action = self.clone();
        match &mut action {
            Self::Fail(
                Fault::Cut { notice, .. }
                | Fault::CutAll { notice }
                | Fault::AbortRequests { notice, .. },
            ) => *notice = at_once,
            _ => return None,
        }
        Some(action)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.after_ms > 0 {
            write!(f, "after {} ms: ", self.after_ms)?;
        }
        match &self.action {
            Action::Emit { client, namespace, event, delivery } => {
                write!(f, "client {client} emits in {namespace} ({delivery:?}): {}", event.json())
            }
            Action::Fail(fault) => fault.fmt(f),
            other => other.fmt(f),
        }
    }
}
