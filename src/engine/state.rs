//! The state of a session. Every transition is a method here; nothing else assigns a state.
//!
//! Two rules:
//!
//! 1. A wire is held in at most one place. The code that takes it out finishes it: with one
//!    response, one close, or nothing if the wire is already gone.
//! 2. `Ended` is final. Only one WebSocket may be left to close, after the frames that it had
//!    taken.
//!
//! | life | carrier | event | becomes |
//! | --- | --- | --- | --- |
//! | Open | Polling | [`State::begin_probe`] | Polling with a probe |
//! | Open, Closing | Polling with a probe | [`State::drop_probe`] | Polling |
//! | Open, Closing | Polling with a probe | [`State::upgrade`] | WebSocket |
//! | Open | any | [`State::begin_close`] | Closing |
//! | Open, Closing | any | [`State::end`] | Ended |

mod queries;

use alloc::boxed::Box;

use super::{
    CloseReason, Transport, TransportFault,
    close_code::{INVALID_PACKET, OTHER_PARSER, TOO_BIG, TOO_FAST},
    upgrade::Probe,
};
use crate::{Timestamp, WireId};

/// Parts that only a few sessions need at a time are boxed: a session that is open on a WebSocket
/// takes 32 bytes.
#[derive(Debug)]
pub(super) struct State {
    life: Life,
    carrier: Carrier,
}

#[derive(Debug)]
enum Life {
    Open,
    Over(Box<Over>),
}

#[derive(Debug)]
enum Over {
    /// Waits for the peer to take what is queued.
    Closing(Closing),
    Ended {
        /// The WebSocket, until its `Close` was polled.
        close: Option<LastClose>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) deadline: Timestamp,
    pub(super) reason: CloseReason,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LastClose {
    pub(super) wire: WireId,
    pub(super) code: Option<u16>,
}

#[derive(Debug)]
enum Carrier {
    Polling(Box<Polling>),
    WebSocket {
        wire: WireId,
        /// Whether the wire is gone.
        lost: bool,
        paused: bool,
        /// Whether the peer has announced that it closes.
        left: bool,
        /// A POST that was still being received when the session moved.
        post: Option<Box<WireId>>,
    },
}

#[derive(Debug)]
struct Polling {
    /// The waiting GET.
    get: Option<WireId>,
    /// When the last GET was answered.
    answered_at: Timestamp,
    /// The POST that is being received.
    post: Option<WireId>,
    probe: Option<Probe>,
    /// Whether the peer has announced that it closes.
    left: bool,
}

/// The result of an attempt to hold an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Held,
    /// Another request of this kind is held already.
    Overlap,
    /// The session no longer uses polling.
    NotPolling,
}

/// The role of a wire that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The GET or the POST of a polling session.
    Request,
    WebSocket,
    /// A wire that the session does not need, or does not know.
    Nothing,
}

/// The wires of an ended session that have to be finished, except its WebSocket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Released {
    pub(super) get: Option<WireId>,
    pub(super) post: Option<WireId>,
    pub(super) probe: Option<WireId>,
    /// Whether the WebSocket had taken the packets that are still in the queue.
    pub(super) flush: bool,
}

impl State {
    pub(super) fn new(now: Timestamp, transport: Transport, wire: WireId) -> Self {
        let carrier = match transport {
            Transport::Polling => Carrier::Polling(Box::new(Polling {
                get: Some(wire),
                answered_at: now,
                post: None,
                probe: None,
                left: false,
            })),
            Transport::WebSocket => {
                Carrier::WebSocket { wire, lost: false, paused: false, left: false, post: None }
            }
        };
        Self { life: Life::Open, carrier }
    }

    pub(super) fn hold_get(&mut self, wire: WireId) -> Hold {
        match &mut self.carrier {
            Carrier::Polling(polling) => hold(&mut polling.get, wire),
            Carrier::WebSocket { .. } => Hold::NotPolling,
        }
    }

    pub(super) fn hold_post(&mut self, wire: WireId) -> Hold {
        match &mut self.carrier {
            Carrier::Polling(polling) => hold(&mut polling.post, wire),
            Carrier::WebSocket { .. } => Hold::NotPolling,
        }
    }

    /// Takes the waiting GET. The caller answers it at once.
    pub(super) fn take_get(&mut self, now: Timestamp) -> Option<WireId> {
        match &mut self.carrier {
            Carrier::Polling(polling) => {
                polling.answered_at = now;
                polling.get.take()
            }
            Carrier::WebSocket { .. } => None,
        }
    }

    /// Returns whether this was the POST being received.
    pub(super) fn take_post(&mut self, wire: WireId) -> bool {
        match &mut self.carrier {
            Carrier::Polling(polling) => polling.post.take_if(|held| *held == wire).is_some(),
            Carrier::WebSocket { post, .. } => post.take_if(|held| **held == wire).is_some(),
        }
    }

    /// Returns whether the probe was accepted: there is at most one, and none after an upgrade.
    pub(super) fn begin_probe(&mut self, new: Probe) -> bool {
        match (&self.life, &mut self.carrier) {
            (Life::Open, Carrier::Polling(polling)) if polling.probe.is_none() => {
                polling.probe = Some(new);
                true
            }
            (Life::Open | Life::Over(_), _) => false,
        }
    }

    pub(super) fn drop_probe(&mut self) -> Option<WireId> {
        match &mut self.carrier {
            Carrier::Polling(polling) => polling.probe.take().map(|probe| probe.wire()),
            Carrier::WebSocket { .. } => None,
        }
    }

    /// Moves to the WebSocket of the probe. Returns the GET that was still held, if any.
    pub(super) fn upgrade(&mut self) -> Option<WireId> {
        let Carrier::Polling(polling) = &self.carrier else {
            return None;
        };
        let Polling { get, post, probe: Some(probe), .. } = **polling else {
            return None;
        };
        let (wire, post) = (probe.wire(), post.map(Box::new));
        self.carrier = Carrier::WebSocket { wire, lost: false, paused: false, left: false, post };
        get
    }

    /// Returns whether this is the current WebSocket.
    pub(super) fn set_paused(&mut self, target: WireId, value: bool) -> bool {
        match &mut self.carrier {
            Carrier::WebSocket { wire, lost: false, paused, .. } if *wire == target => {
                *paused = value;
                true
            }
            Carrier::WebSocket { .. } | Carrier::Polling(_) => false,
        }
    }

    /// Removes a wire that is gone.
    pub(super) fn lose(&mut self, lost: WireId) -> Lost {
        match &mut self.carrier {
            Carrier::Polling(polling) => {
                let Polling { get, post, probe, .. } = &mut **polling;
                if probe.take_if(|probe| probe.wire() == lost).is_some() {
                    return Lost::Nothing;
                }
                let request = get.take_if(|get| *get == lost).is_some()
                    || post.take_if(|post| *post == lost).is_some();
                if request { Lost::Request } else { Lost::Nothing }
            }
            Carrier::WebSocket { wire, lost: is_lost, post, .. } => {
                if !*is_lost && *wire == lost {
                    *is_lost = true;
                    return Lost::WebSocket;
                }
                post.take_if(|post| **post == lost);
                Lost::Nothing
            }
        }
    }

    /// The peer has announced that it closes.
    pub(super) fn leave(&mut self) {
        match &mut self.carrier {
            Carrier::Polling(polling) => polling.left = true,
            Carrier::WebSocket { left, .. } => *left = true,
        }
    }

    pub(super) fn begin_close(&mut self, deadline: Timestamp, reason: CloseReason) {
        if matches!(self.life, Life::Open) {
            let closing = Over::Closing(Closing { deadline, reason });
            self.life = Life::Over(Box::new(closing));
        }
    }

    /// Ends the session and returns its wires. `None` if it had ended before.
    pub(super) fn end(&mut self, reason: CloseReason) -> Option<Released> {
        if self.is_ended() {
            return None;
        }
        match &mut self.carrier {
            Carrier::Polling(polling) => {
                self.life = Life::Over(Box::new(Over::Ended { close: None }));
                let Polling { get, post, probe, .. } = &mut **polling;
                let probe = probe.take().map(|probe| probe.wire());
                Some(Released { get: get.take(), post: post.take(), probe, flush: false })
            }
            Carrier::WebSocket { wire, lost, paused, post, .. } => {
                let code = match reason {
                    CloseReason::TransportError(TransportFault::PayloadTooLarge) => Some(TOO_BIG),
                    CloseReason::RateLimited => Some(TOO_FAST),
                    CloseReason::OtherParser => Some(OTHER_PARSER),
                    CloseReason::InvalidPacket => Some(INVALID_PACKET),
                    _ => None,
                };
                let close = (!*lost).then_some(LastClose { wire: *wire, code });
                let flush = close.is_some() && !*paused && reason != CloseReason::Overflow;
                self.life = Life::Over(Box::new(Over::Ended { close }));
                let post = post.take().map(|post| *post);
                Some(Released { get: None, post, probe: None, flush })
            }
        }
    }

    /// Takes the WebSocket that has to be closed after the end.
    pub(super) fn take_last_close(&mut self) -> Option<LastClose> {
        match &mut self.life {
            Life::Over(over) => match &mut **over {
                Over::Ended { close } => close.take(),
                Over::Closing(_) => None,
            },
            Life::Open => None,
        }
    }

    pub(super) fn probe_mut(&mut self, wire: WireId) -> Option<&mut Probe> {
        match &mut self.carrier {
            Carrier::Polling(polling) => {
                polling.probe.as_mut().filter(|probe| probe.wire() == wire)
            }
            Carrier::WebSocket { .. } => None,
        }
    }

    /// Whether a GET may be answered with a NOOP packet now, which then counts as answered.
    pub(super) fn take_noop(&mut self, now: Timestamp) -> bool {
        match &mut self.carrier {
            Carrier::Polling(polling) => {
                polling.probe.as_mut().is_some_and(|probe| probe.take_noop(now))
            }
            Carrier::WebSocket { .. } => false,
        }
    }
}

fn hold(place: &mut Option<WireId>, wire: WireId) -> Hold {
    if place.is_some() {
        return Hold::Overlap;
    }
    *place = Some(wire);
    Hold::Held
}
