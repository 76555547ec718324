//! Draws steps, from any source of choices.

use socketio_proto::socket::Event;

use super::{Action, Fault, Moment, Restart, Step};
use crate::{Rng, client::Delivery, net::Notice};

/// A source of choices: random numbers, or the bytes of a fuzzer.
pub trait Choices {
    /// Chooses a number below `count`. Returns 0 if `count` is 0.
    fn below(&mut self, count: u64) -> u64;
}

impl Choices for Rng {
    fn below(&mut self, count: u64) -> u64 {
        Self::below(self, count)
    }
}

/// With the feature `arbitrary`. When the bytes are used up, every further choice is the first.
#[cfg(feature = "arbitrary")]
impl Choices for arbitrary::Unstructured<'_> {
    fn below(&mut self, count: u64) -> u64 {
        self.int_in_range(0..=count.saturating_sub(1)).unwrap_or_default()
    }
}

/// What steps are drawn for.
pub(crate) struct Draw<'a> {
    pub(crate) choices: &'a mut dyn Choices,
    pub(crate) clients: usize,
    /// How many nodes a cluster has; `None` if it is none.
    pub(crate) nodes: Option<usize>,
    pub(crate) namespaces: &'a [String],
    pub(crate) event: &'a dyn Fn(&mut dyn Choices) -> Event,
}

/// Longer than a session is kept by default.
const VERY_LONG: u64 = 150_000;

impl Draw<'_> {
    pub(crate) fn step(&mut self, id: u64) -> Step {
        let after_ms = match self.choices.below(5) {
            0 | 1 => 0,
            2 | 3 => self.choices.below(200),
            _ => self.choices.below(3_000),
        };
        Step { id, after_ms, action: self.action() }
    }

    fn action(&mut self) -> Action {
        match self.choices.below(20) {
            0..=7 => {
                let (client, namespace) = (self.client(), self.namespace());
                let delivery = match self.choices.below(8) {
                    0 => Delivery::Ack,
                    1 => Delivery::Volatile,
                    _ => Delivery::Plain,
                };
                let event = (self.event)(self.choices);
                Action::Emit { client, namespace, event, delivery }
            }
            8 => Action::Leave { client: self.client(), namespace: self.namespace() },
            9 | 10 => Action::Join { client: self.client(), namespace: self.namespace() },
            11 => Action::Wait { ms: self.time() },
            _ => Action::Fail(self.fault()),
        }
    }

    fn fault(&mut self) -> Fault {
        let (node, kinds) = match self.nodes {
            Some(nodes) => (self.choices.below(nodes as u64), 20),
            None => (0, 14),
        };
        let node = usize::try_from(node).unwrap_or_default();
        match self.choices.below(kinds) {
            0..=4 => Fault::Cut { client: self.client(), notice: self.notice() },
            5 => Fault::CutAll { notice: self.notice() },
            6 => Fault::AbortRequests { client: self.client(), notice: self.notice() },
            7 => Fault::FreezeClient { client: self.client(), for_ms: self.time() },
            8 => Fault::FreezeServer { node, for_ms: self.choices.below(5_000) },
            9 => {
                let (client, for_ms) = (self.client(), self.time());
                Fault::Slow { client, for_ms, by_ms: self.choices.below(3_000) }
            }
            10 | 11 => {
                let (client, for_ms) = (self.client(), self.time());
                Fault::Unreachable { client, for_ms, is_silent: self.choices.below(2) == 1 }
            }
            14..=16 => Fault::CutEngine { node, for_ms: self.time() },
            17 => Fault::RestartEngine { down_ms: self.choices.below(5_000) },
            18 => Fault::Trim { kept: usize::try_from(self.choices.below(40)).unwrap_or_default() },
            _ => {
                let (how, down_ms) = (self.choices.below(4), self.choices.below(2_000));
                match how {
                    0 => Fault::Restart { node, how: Restart::Crash, down_ms },
                    1 if self.nodes.is_some() => self.crash_at(node, down_ms),
                    1 => Fault::Restart { node, how: Restart::Abrupt, down_ms },
                    _ => Fault::Restart { node, how: Restart::Graceful, down_ms },
                }
            }
        }
    }

    fn crash_at(&mut self, node: usize, down_ms: u64) -> Fault {
        // Soon, or while something else is under way.
        let most = [1, 4, 40][usize::try_from(self.choices.below(3)).unwrap_or_default()];
        let commands = self.choices.below(most);
        let moments = [Moment::Sent, Moment::CarriedOut];
        let moment = moments[usize::try_from(self.choices.below(2)).unwrap_or_default()];
        Fault::CrashAt { node, commands, moment, down_ms }
    }

    fn client(&mut self) -> usize {
        usize::try_from(self.choices.below(self.clients as u64)).unwrap_or_default()
    }

    fn namespace(&mut self) -> String {
        let index = self.choices.below(self.namespaces.len() as u64);
        let index = usize::try_from(index).unwrap_or_default();
        self.namespaces.get(index).cloned().unwrap_or_else(|| "/".to_owned())
    }

    /// Short times are usual.
    fn time(&mut self) -> u64 {
        let most = [200, 2_000, 2_000, 20_000, VERY_LONG];
        let most = most[usize::try_from(self.choices.below(5)).unwrap_or_default()];
        self.choices.below(most)
    }

    fn notice(&mut self) -> Notice {
        let times = [0, 0, 5, 100, 1_000];
        let time = |it: u64| Some(times[usize::try_from(it).unwrap_or_default()]);
        let (client, server) = (time(self.choices.below(5)), time(self.choices.below(5)));
        match self.choices.below(6) {
            0 => Notice { client: None, server },
            1 | 2 => Notice { client, server: None },
            3 => Notice { client: None, server: None },
            _ => Notice { client, server },
        }
    }
}
