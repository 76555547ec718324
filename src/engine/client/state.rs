//! The state of a client's connection. Every transition is a method here.
//!
//! Two rules:
//!
//! 1. A wire is held in at most one place. The code that takes it out either knows that it is
//!    finished, or closes it.
//! 2. `Ended` is final. Only one WebSocket may be left to close, after the frames queued for it.
//!
//! | life | carrier | event | becomes |
//! | --- | --- | --- | --- |
//! | Opening | any | [`State::reopen`] | Opening, with another transport |
//! | Opening | any | [`State::open`] | Open |
//! | Open | Polling | [`State::begin_probe`] | Polling with a probe |
//! | Open | Polling with a probe | [`State::upgrade`] | WebSocket |
//! | Open | any | [`State::begin_close`] | Closing |
//! | any | any | [`State::end`] | Ended |

use smallvec::SmallVec;

use crate::{Timestamp, WireId, engine::Transport};

#[derive(Debug)]
pub(super) struct State {
    life: Life,
    carrier: Carrier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Opening { deadline: Timestamp },
    Open,
    Closing { deadline: Timestamp },
    Ended { close: Option<WireId> },
}

#[derive(Debug)]
enum Carrier {
    Polling {
        get: Option<WireId>,
        post: Option<WireId>,
        /// The size of the body that was posted last, if there were several packets in it.
        posted: Option<usize>,
        probe: Option<Probe>,
    },
    /// `wire` is `None` after it is gone.
    WebSocket { wire: Option<WireId>, paused: bool },
}

/// The WebSocket of an upgrade.
#[derive(Clone, Copy, Debug)]
struct Probe {
    wire: WireId,
    deadline: Timestamp,
    phase: ProbePhase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProbePhase {
    /// The WebSocket is being opened.
    Opening,
    /// `2probe` was sent.
    Probing,
    /// `3probe` arrived: no new request is started, and running ones are waited for.
    Pausing,
}

/// The kind of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Get,
    Post,
}

/// The role of a wire that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Request,
    WebSocket,
    Probe,
    Nothing,
}

impl State {
    /// Starts with a wire of the first transport. `deadline` is that of the handshake.
    pub(super) fn new(transport: Transport, wire: WireId, deadline: Timestamp) -> Self {
        Self { life: Life::Opening { deadline }, carrier: Carrier::new(transport, wire) }
    }

    /// Tries another transport. Returns the wires of the previous one, which have to be closed.
    pub(super) fn reopen(&mut self, transport: Transport, wire: WireId) -> SmallVec<[WireId; 2]> {
        debug_assert!(self.is_opening(), "only a handshake is tried again");
        let released = self.carrier.wires();
        self.carrier = Carrier::new(transport, wire);
        released
    }

    pub(super) fn open(&mut self) {
        if self.is_opening() {
            self.life = Life::Open;
        }
    }

    /// Holds a GET or a POST that is being sent.
    pub(super) fn hold(&mut self, exchange: Exchange, wire: WireId) {
        if let Carrier::Polling { get, post, .. } = &mut self.carrier {
            let place = match exchange {
                Exchange::Get => get,
                Exchange::Post => post,
            };
            debug_assert!(place.is_none(), "one at a time");
            *place = Some(wire);
        }
    }

    /// Removes an exchange that was answered.
    pub(super) fn take_exchange(&mut self, wire: WireId) -> Option<Exchange> {
        let Carrier::Polling { get, post, .. } = &mut self.carrier else {
            return None;
        };
        if get.take_if(|held| *held == wire).is_some() {
            return Some(Exchange::Get);
        }
        post.take_if(|held| *held == wire).map(|_| Exchange::Post)
    }

    /// Remembers the size of a posted body that has several packets.
    pub(super) fn set_posted(&mut self, len: Option<usize>) {
        if let Carrier::Polling { posted, .. } = &mut self.carrier {
            *posted = len;
        }
    }

    /// The size of the body that was posted last, if there were several packets in it.
    pub(super) fn posted(&self) -> Option<usize> {
        match self.carrier {
            Carrier::Polling { posted, .. } => posted,
            Carrier::WebSocket { .. } => None,
        }
    }

    /// Whether an upgrade is in progress.
    pub(super) fn is_probing(&self) -> bool {
        self.is_open() && self.probe().is_some()
    }

    /// Removes a wire that is gone.
    pub(super) fn lose(&mut self, target: WireId) -> Lost {
        if self.take_exchange(target).is_some() {
            return Lost::Request;
        }
        match &mut self.carrier {
            Carrier::Polling { probe, .. } => {
                let lost = probe.take_if(|probe| probe.wire == target);
                if lost.is_some() { Lost::Probe } else { Lost::Nothing }
            }
            Carrier::WebSocket { wire, .. } => {
                if wire.take_if(|wire| *wire == target).is_none() {
                    return Lost::Nothing;
                }
                if let Life::Ended { close } = &mut self.life {
                    *close = None;
                    return Lost::Nothing;
                }
                Lost::WebSocket
            }
        }
    }

    pub(super) fn begin_probe(&mut self, wire: WireId, deadline: Timestamp) {
        if let (Life::Open, Carrier::Polling { probe: probe @ None, .. }) =
            (&self.life, &mut self.carrier)
        {
            *probe = Some(Probe { wire, deadline, phase: ProbePhase::Opening });
        }
    }

    /// The WebSocket of the probe was opened. Returns whether `2probe` has to be sent.
    pub(super) fn probe_opened(&mut self, wire: WireId) -> bool {
        self.step_probe(wire, ProbePhase::Opening, ProbePhase::Probing)
    }

    /// `3probe` arrived. Returns whether it was expected.
    pub(super) fn probe_answered(&mut self, wire: WireId) -> bool {
        self.step_probe(wire, ProbePhase::Probing, ProbePhase::Pausing)
    }

    /// Moves to the WebSocket as soon as no request is running. Returns it.
    pub(super) fn upgrade(&mut self) -> Option<WireId> {
        let Carrier::Polling { get: None, post: None, probe: Some(probe), .. } = &self.carrier
        else {
            return None;
        };
        if self.life != Life::Open || probe.phase != ProbePhase::Pausing {
            return None;
        }
        let wire = probe.wire;
        self.carrier = Carrier::WebSocket { wire: Some(wire), paused: false };
        Some(wire)
    }

    /// Gives up the probe. Returns its wire, which has to be closed.
    pub(super) fn drop_probe(&mut self) -> Option<WireId> {
        match &mut self.carrier {
            Carrier::Polling { probe, .. } => probe.take().map(|probe| probe.wire),
            Carrier::WebSocket { .. } => None,
        }
    }

    pub(super) fn begin_close(&mut self, deadline: Timestamp) {
        if self.is_open() {
            self.life = Life::Closing { deadline };
        }
    }

    /// Ends the connection. Returns the wires that have to be closed, except the WebSocket of the
    /// connection, which is kept until its frames were taken.
    pub(super) fn end(&mut self) -> Option<SmallVec<[WireId; 3]>> {
        if self.is_ended() {
            return None;
        }
        match &mut self.carrier {
            Carrier::Polling { get, post, probe, .. } => {
                self.life = Life::Ended { close: None };
                let probe = probe.take().map(|probe| probe.wire);
                Some([get.take(), post.take(), probe].into_iter().flatten().collect())
            }
            Carrier::WebSocket { wire, .. } => {
                self.life = Life::Ended { close: *wire };
                Some(SmallVec::new())
            }
        }
    }

    /// Takes the WebSocket that has to be closed after the end.
    pub(super) fn take_last_close(&mut self) -> Option<WireId> {
        match &mut self.life {
            Life::Ended { close } => close.take(),
            Life::Opening { .. } | Life::Open | Life::Closing { .. } => None,
        }
    }

    /// Returns whether this wire is the WebSocket of the connection and was resumed.
    pub(super) fn set_paused(&mut self, target: WireId, value: bool) -> bool {
        match &mut self.carrier {
            Carrier::WebSocket { wire, paused } if *wire == Some(target) => {
                *paused = value;
                !value
            }
            Carrier::Polling { .. } | Carrier::WebSocket { .. } => false,
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self.carrier {
            Carrier::Polling { .. } => Transport::Polling,
            Carrier::WebSocket { .. } => Transport::WebSocket,
        }
    }

    pub(super) fn is_websocket(&self, target: WireId) -> bool {
        matches!(self.carrier, Carrier::WebSocket { wire, .. } if wire == Some(target))
    }

    pub(super) fn is_probe(&self, target: WireId) -> bool {
        self.probe().is_some_and(|probe| probe.wire == target)
    }

    /// The WebSocket, if it takes frames now. After the end it still takes the frames queued
    /// before.
    pub(super) fn writable_websocket(&self) -> Option<WireId> {
        match (&self.life, &self.carrier) {
            (Life::Ended { close }, _) => *close,
            (Life::Open | Life::Closing { .. }, Carrier::WebSocket { wire, paused: false }) => {
                *wire
            }
            (Life::Opening { .. } | Life::Open | Life::Closing { .. }, _) => None,
        }
    }

    /// Whether a GET has to be sent now.
    pub(super) fn wants_get(&self) -> bool {
        self.is_open()
            && !self.is_pausing()
            && matches!(self.carrier, Carrier::Polling { get: None, .. })
    }

    /// Whether a POST can be sent now.
    pub(super) fn can_post(&self) -> bool {
        matches!(self.life, Life::Open | Life::Closing { .. })
            && !self.is_pausing()
            && matches!(self.carrier, Carrier::Polling { post: None, .. })
    }

    /// The deadline of the handshake, the probe or the closing.
    pub(super) fn deadline(&self) -> Timestamp {
        match self.life {
            Life::Opening { deadline } | Life::Closing { deadline } => deadline,
            Life::Open => self.probe_deadline(),
            Life::Ended { .. } => Timestamp::NEVER,
        }
    }

    pub(super) fn probe_deadline(&self) -> Timestamp {
        self.probe().map_or(Timestamp::NEVER, |probe| probe.deadline)
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.life, Life::Opening { .. })
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.life, Life::Closing { .. })
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.life, Life::Ended { .. })
    }

    pub(super) fn has_last_close(&self) -> bool {
        matches!(self.life, Life::Ended { close: Some(_) })
    }

    fn step_probe(&mut self, target: WireId, from: ProbePhase, to: ProbePhase) -> bool {
        let Carrier::Polling { probe: Some(probe), .. } = &mut self.carrier else {
            return false;
        };
        if probe.wire != target || probe.phase != from {
            return false;
        }
        probe.phase = to;
        true
    }

    fn probe(&self) -> Option<&Probe> {
        match &self.carrier {
            Carrier::Polling { probe, .. } => probe.as_ref(),
            Carrier::WebSocket { .. } => None,
        }
    }

    fn is_pausing(&self) -> bool {
        self.probe().is_some_and(|probe| probe.phase == ProbePhase::Pausing)
    }
}

impl Carrier {
    fn new(transport: Transport, wire: WireId) -> Self {
        match transport {
            Transport::Polling => {
                Self::Polling { get: Some(wire), post: None, posted: None, probe: None }
            }
            Transport::WebSocket => Self::WebSocket { wire: Some(wire), paused: false },
        }
    }

    fn wires(&self) -> SmallVec<[WireId; 2]> {
        match self {
            Self::Polling { get, post, .. } => [*get, *post].into_iter().flatten().collect(),
            Self::WebSocket { wire, .. } => wire.iter().copied().collect(),
        }
    }
}
