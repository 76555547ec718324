//! Where each kind of event is drawn. The runs of every `cargo test` must contain each kind: a kind
//! that is never drawn tests nothing.
//!
//! | kind | drawn by | held against the model in |
//! | --- | --- | --- |
//! | events for all, for rooms, with exceptions, for one socket, in three namespaces | `application` | `Session::check` |
//! | joins, leaves and kicks, at once and behind an own event, of one socket and of all | `application` | `Session::expected` |
//! | clients that leave, lose their link, come back elsewhere, on both transports | `users` | `Session::check` |
//! | claims that are forged, or abandoned for another one | `users` | `Run::connected` |
//! | events that are accepted once, given back, and tried again | `users`, `run` | `Run::receive`, `Run::finish` |
//! | floods, and claims that queue | `users`, `plan` | `Run::connected` |
//! | nodes that crash, pause, lose the engine, and hand out late what they have to say | `faults` | everywhere; of stored sessions in `Run::connected` |
//! | entries that are there twice, refused or trimmed | `faults` | everywhere |

use std::{collections::BTreeMap, fmt};

/// What must be drawn.
const KINDS: [&str; 37] = [
    "accepted once",
    "accepted again",
    "answered late",
    "asked again",
    "claim abandoned",
    "crashed",
    "cut",
    "dynamic namespace",
    "emitted",
    "emitted to one",
    "entry rejected",
    "entry repeated",
    "flood",
    "forged id",
    "forged offset",
    "gap",
    "given back",
    "joined",
    "joined behind an event",
    "kicked",
    "kicked behind an event",
    "kicked by all",
    "lazy",
    "left",
    "local",
    "logged out",
    "lost half-open",
    "must be recovered",
    "offset kept",
    "paced",
    "paused",
    "polling",
    "recovered after a crash",
    "rooms of all",
    "trimmed",
    "volatile",
    "was kicked",
];

/// Why recoveries must have been refused.
const REFUSED: [&str; 3] = ["refused: Gap", "refused: OwnerUnreachable", "refused: InvalidOffset"];

/// How often each kind was seen.
#[derive(Default)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub fn note(&mut self, kind: &str) {
        self.note_many(kind, 1);
    }

    pub fn note_many(&mut self, kind: &str, count: u64) {
        *self.0.entry(kind.to_owned()).or_default() += count;
    }

    pub fn count(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }

    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            self.note_many(kind, *count);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(kind, count)| writeln!(f, "{count:10} {kind}"))
    }
}

/// What was not seen.
pub fn never_seen(tally: &Tally) -> Vec<&'static str> {
    KINDS.into_iter().chain(REFUSED).filter(|kind| tally.count(kind) == 0).collect()
}
