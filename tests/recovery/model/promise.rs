//! The promise, as in the documentation: which sessions are recovered, with which packets, and
//! which are refused.

use socketio_proto::recovery::RecoveryRefusal;

/// The settings that the promise depends on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets that one recovery may replay. The setting is in bytes; all packets of the model have
    /// about the same size.
    pub replay: usize,
    /// Changes of its rooms that are remembered of a session.
    pub memberships: usize,
}

/// What became of everything that was emitted in one log.
#[derive(Default)]
pub struct Log {
    /// By position, which begins at 1.
    pub packets: Vec<Packet>,
    /// Positions up to here are gone.
    pub evicted: u64,
}

/// A packet that took a position.
pub struct Packet {
    /// Whether it asks for an acknowledgement that has not been settled.
    pub question: Option<IsAwaited>,
}

pub type IsAwaited = bool;

/// What was emitted to a session, and what it did.
#[derive(Default)]
pub struct Life {
    /// The position when it was born.
    pub floor: u64,
    /// Positions of what was addressed to it.
    pub addressed: Vec<u64>,
    /// Positions after which its rooms changed.
    pub moves: Vec<u64>,
}

/// What the promise says of a claim.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The session continues, and these positions are replayed.
    Recovered(Vec<u64>),
    /// A new session begins, for one of these reasons: all of them are true.
    Refused(Vec<RecoveryRefusal>),
    /// Either of them: more is needed than the settings let the server remember.
    MayBeRefused(Vec<u64>, RecoveryRefusal),
}

impl Verdict {
    pub fn allows(&self, refusal: RecoveryRefusal) -> bool {
        match self {
            Self::Recovered(_) => false,
            Self::Refused(reasons) => reasons.contains(&refusal),
            Self::MayBeRefused(_, reason) => *reason == refusal,
        }
    }
}

impl Log {
    pub fn head(&self) -> u64 {
        self.packets.len() as u64
    }

    pub fn packet(&self, position: u64) -> &Packet {
        &self.packets[index(position)]
    }

    /// The acknowledgement that a packet asks for is not awaited any more.
    pub fn settle(&mut self, position: u64) {
        self.packets[index(position)].question = Some(false);
    }

    /// What a session has yet to get when its client has processed everything up to `position`.
    fn owed(&self, life: &Life, position: u64) -> Vec<u64> {
        let is_settled = |at: u64| self.packet(at).question == Some(false);
        let addressed = life.addressed.iter().copied();
        addressed.filter(|at| *at > position && !is_settled(*at)).collect()
    }

    /// Refused only if a packet that was addressed to the session, and that would be replayed, is
    /// really gone, or if a limit says so.
    ///
    /// `position` is the last one that the client has processed in this log. If that was in an
    /// earlier session, it has processed nothing of this one.
    pub fn verdict(&self, life: &Life, position: u64, limits: Limits) -> Verdict {
        let owed = self.owed(life, position.max(life.floor));
        let forgotten = life.moves.iter().rev().nth(limits.memberships).copied().unwrap_or(0);
        let is_any_up_to = |end: u64| owed.iter().any(|at| *at <= end);
        let mut reasons = Vec::new();
        if is_any_up_to(self.evicted) {
            reasons.push(RecoveryRefusal::Gap);
        }
        if owed.len() > limits.replay {
            reasons.push(RecoveryRefusal::Limit);
        }
        match (is_any_up_to(forgotten), reasons.is_empty()) {
            (true, true) => Verdict::MayBeRefused(owed, RecoveryRefusal::Limit),
            (false, true) => Verdict::Recovered(owed),
            (is_forgotten, false) => {
                reasons.extend(is_forgotten.then_some(RecoveryRefusal::Limit));
                Verdict::Refused(reasons)
            }
        }
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap() - 1
}
