//! Draws the operations of a run.

use socketio_proto_sim::{Rng, net::Notice};

use crate::{
    op::{Forgery, Mistake, Op, ROOMS, Restart, Sending, Step, Tail, To},
    plan::Plan,
};

/// Draws the operations of a run.
pub fn tape(plan: &Plan) -> Vec<Step> {
    let mut dice = Rng::keyed(plan.seed, &[0x7a9e]);
    let clients = plan.clients.len();
    // Not so long that there is little but heartbeats.
    let longest = plan.ping_interval * 20;
    let mut draw = Draw { dice: &mut dice, clients, spaces: plan.spaces, longest };
    let steps = (0..plan.operations).map(|id| {
        let after_ms = if draw.dice.chance(400) { 0 } else { draw.dice.below(plan.pace + 1) };
        Step { id: id as u64, after_ms, op: draw.op(plan) }
    });
    let steps: Vec<Step> = steps.collect();
    // From a stream of their own, so that the others stay what they are.
    let mut dice = Rng::keyed(plan.seed, &[0xe7a5]);
    let mut draw = Draw { dice: &mut dice, clients, spaces: plan.spaces, longest };
    let mut all = Vec::new();
    for step in steps {
        let is_followed = draw.dice.chance(plan.extras);
        let id = EXTRAS + step.id;
        all.push(step);
        if is_followed {
            all.push(Step { id, after_ms: 0, op: draw.extra() });
        }
    }
    all
}

/// The ids of operations that are drawn beside the others begin here.
const EXTRAS: u64 = 1 << 20;

/// Draws one operation of a kind.
type Kind<'a> = fn(&mut Draw<'a>) -> Op;

struct Draw<'a> {
    dice: &'a mut Rng,
    clients: usize,
    spaces: usize,
    longest: u64,
}

impl<'a> Draw<'a> {
    fn op(&mut self, plan: &Plan) -> Op {
        let w = &plan.weights;
        let kinds: [(u64, Kind<'a>); 23] = [
            (w.emit, Self::emit),
            (w.ack, Self::ack),
            (w.rooms, Self::rooms),
            (w.admin, Self::admin),
            (w.kick, Self::kick),
            (w.client_emit, Self::client_emit),
            (w.client_leave, Self::client_leave),
            (w.take_back, |d| Op::ClientTakeBack { client: d.client(), space: d.space() }),
            (w.restart, Self::restart),
            (w.forge, Self::forge),
            (w.cut, |d| Op::Cut { client: d.client(), notice: d.notice() }),
            (w.half_open, |d| Op::HalfOpen { client: d.client() }),
            (w.abort, |d| Op::AbortRequest { client: d.client(), notice: d.notice() }),
            (w.duplicate, |d| Op::DuplicateNext { client: d.client() }),
            (w.break_upgrade, |d| Op::BreakUpgrade { client: d.client(), notice: d.notice() }),
            (w.storm, |d| Op::CutAll { notice: d.notice() }),
            (w.pause, Self::pause),
            (w.slow, Self::slow),
            (w.down, Self::down),
            (w.server_close, Self::server_close),
            (w.jump, |d| Op::Jump { ms: d.time() }),
            (w.skew, |d| Op::Skew { for_ms: d.time(), back_ms: d.time() }),
            (w.wait, |d| Op::Wait { ms: d.time() }),
        ];
        let mut pick = self.dice.below(kinds.iter().map(|(weight, _)| weight).sum());
        for (weight, draw) in kinds {
            if pick < weight {
                return draw(self);
            }
            pick -= weight;
        }
        unreachable!("one of them is picked")
    }

    fn extra(&mut self) -> Op {
        let (client, space) = (self.client(), self.space());
        match self.dice.below(4) {
            0 => Op::ControlFrames { client, count: self.dice.pick(&[1, 10, 100]) },
            1 => {
                let client = self.dice.chance(500).then_some(client);
                Op::Burst { client, space, count: self.dice.pick(&[3, 10, 40]) }
            }
            _ => {
                let all = [
                    Mistake::TooManyAttachments,
                    Mistake::TooLarge,
                    Mistake::LongName,
                    Mistake::NoObject,
                ];
                Op::Mistake { client, space, what: self.dice.pick(&all) }
            }
        }
    }

    fn client(&mut self) -> usize {
        self.dice.index(self.clients)
    }

    fn space(&mut self) -> usize {
        self.dice.index(self.spaces)
    }

    fn room(&mut self) -> usize {
        self.dice.index(ROOMS.len())
    }

    /// Short ones are usual, and some are longer than a session is kept.
    fn time(&mut self) -> u64 {
        let most = self.dice.pick(&[20, 200, 1_500, 1_500, 10_000, 70_000, 200_000]);
        self.dice.below(most.min(self.longest))
    }

    fn notice(&mut self) -> Notice {
        let client = Some(self.dice.pick(&[0, 0, 5, 100]));
        let server = Some(self.dice.pick(&[0, 0, 5, 100, 1_000]));
        match self.dice.below(6) {
            0 => Notice { client: None, server },
            1 | 2 => Notice { client, server: None },
            _ => Notice { client, server },
        }
    }

    fn to(&mut self) -> To {
        To {
            space: self.space(),
            rooms: self.bits(600, ROOMS.len()),
            own: self.bits(150, self.clients),
            except: self.bits(300, ROOMS.len()),
            but: self.bits(150, self.clients),
        }
    }

    /// Some of `count` bits, most often one.
    fn bits(&mut self, per_mille: u64, count: usize) -> u8 {
        if !self.dice.chance(per_mille) {
            return 0;
        }
        let one = 1 << self.dice.index(count);
        if self.dice.chance(600) {
            return one;
        }
        u8::try_from(self.dice.below(1 << count)).unwrap() | one
    }

    fn tail(&mut self) -> Tail {
        self.dice.pick(&[Tail::Number, Tail::Number, Tail::Word, Tail::FakeOffset, Tail::Binary])
    }

    fn emit(&mut self) -> Op {
        let is_volatile = self.dice.chance(150);
        if self.dice.chance(650) {
            Op::Broadcast { to: self.to(), tail: self.tail(), is_volatile }
        } else {
            let (client, space) = (self.client(), self.space());
            Op::Emit { client, space, tail: self.tail(), is_volatile }
        }
    }

    fn ack(&mut self) -> Op {
        let timeout_ms = self.dice.pick(&[10, 1_000, 20_000]);
        if self.dice.chance(300) {
            return Op::BroadcastWithAck { to: self.to(), timeout_ms };
        }
        let (client, space) = (self.client(), self.space());
        Op::EmitWithAck { client, space, tail: self.tail(), timeout_ms }
    }

    fn rooms(&mut self) -> Op {
        let (client, space, room) = (self.client(), self.space(), self.room());
        let is_join = self.dice.chance(550);
        if self.dice.chance(200) {
            let other = self.client();
            return if is_join {
                Op::JoinOwn { client, space, other }
            } else {
                Op::LeaveOwn { client, space, other }
            };
        }
        if is_join { Op::Join { client, space, room } } else { Op::Leave { client, space, room } }
    }

    fn admin(&mut self) -> Op {
        let (client, space, room) = (self.client(), self.space(), self.room());
        match self.dice.below(4) {
            0 => Op::JoinMany { to: self.to(), room },
            1 => Op::LeaveMany { to: self.to(), room },
            2 => Op::Fetch { to: self.to() },
            _ => Op::SetData { client, space },
        }
    }

    fn kick(&mut self) -> Op {
        let closes = self.dice.chance(300);
        if self.dice.chance(200) {
            return Op::KickMany { to: self.to(), closes };
        }
        Op::Kick { client: self.client(), space: self.space(), closes }
    }

    fn client_emit(&mut self) -> Op {
        let sendings = [Sending::Plain, Sending::Plain, Sending::Volatile, Sending::Ack];
        let is_retry = self.dice.chance(200);
        let sending = if is_retry { Sending::Retry } else { self.dice.pick(&sendings) };
        Op::ClientEmit { client: self.client(), space: self.space(), sending }
    }

    fn client_leave(&mut self) -> Op {
        let (client, space) = (self.client(), self.space());
        match self.dice.below(5) {
            0 => Op::ClientLeave { client, space },
            1 => Op::ClientConnect { client, space },
            2 => Op::ClientReconnect { client },
            3 => Op::ClientForget { client, space },
            _ => Op::ClientClose { client },
        }
    }

    fn restart(&mut self) -> Op {
        let client = self.client();
        match self.dice.below(4) {
            0 | 1 => Op::ClientRestart { client, from_saved: false },
            2 => Op::ClientSave { client },
            _ => Op::ClientRestart { client, from_saved: true },
        }
    }

    fn forge(&mut self) -> Op {
        let kinds = [
            Forgery::Guess,
            Forgery::Stolen,
            Forgery::WrongOffset,
            Forgery::Elsewhere,
            Forgery::Repeated,
            Forgery::NonReader,
        ];
        let (client, space, what) = (self.client(), self.space(), self.dice.pick(&kinds));
        Op::Forge { client, space, what, for_ms: self.time() }
    }

    fn pause(&mut self) -> Op {
        let (client, for_ms) = (self.client(), self.time());
        if self.dice.chance(700) {
            Op::Pause { client, for_ms }
        } else {
            Op::PauseClient { client, for_ms }
        }
    }

    fn slow(&mut self) -> Op {
        let by_ms = self.dice.pick(&[5, 100, 2_000]);
        Op::Slow { client: self.client(), for_ms: self.time(), by_ms }
    }

    fn down(&mut self) -> Op {
        let is_silent = self.dice.chance(300);
        Op::Down { client: self.client(), for_ms: self.time(), is_silent }
    }

    fn server_close(&mut self) -> Op {
        if self.dice.chance(250) {
            let how = self.dice.pick(&[Restart::Planned, Restart::Abrupt, Restart::Crash]);
            let after_ms = self.dice.pick(&[0, 100, 5_000]);
            return Op::ServerRestart { how, after_ms };
        }
        if self.dice.chance(150) {
            Op::Shutdown
        } else {
            Op::CloseConnection { client: self.client() }
        }
    }
}
