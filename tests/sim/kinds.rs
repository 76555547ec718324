//! Where each kind of fault is drawn. The runs of every `cargo test` must contain each kind: a kind
//! that is never drawn tests nothing.
//!
//! | kind | drawn by | held against the model in |
//! | --- | --- | --- |
//! | snapshots of the server, restarts planned and abrupt, crashes | `Op::ServerRestart` | `restart`, `model::restart` |
//! | forged and stolen claims, wrong offsets, claims repeated on other connections | `Op::Forge` | `stranger`, `Model::expect` |
//! | peers that do not read, and say that they are alive | `Forgery::NonReader` | `World::go_on_not_reading` |
//! | rates of packets and claims | `plan::limits`, `plan::recovery`, `Op::ControlFrames` | `World::closed`, `Model::expect` |
//! | `withdraw` of what was accepted | `Plan::withdraw` | `World::server_received` |
//! | `forget` | `Op::ClientForget` | `apply` |
//! | events taken back, those that wait for a connection and those that are tried again | `Op::ClientTakeBack` | `uplink` |
//! | output that is taken late, and of several inputs at once | `Plan::lazy` | everywhere |
//! | namespaces that come and go | `Plan::dynamic` | `dynamic` |
//! | rooms named after ids, joined, left, addressed and excepted; several exceptions | `Op::JoinOwn`, `Op::LeaveOwn`, `To` | `Model::is_addressed` |
//! | clients restarted, with their last state or an older one | `Op::ClientRestart`, `Op::ClientSave` | `World::restore_view` |
//! | the official client's calls in any order: `connect`, `disconnect`, `emit`, `io.engine.close` when it is connected and when it waits for an answer | `Op::ClientConnect`, `ClientLeave`, `ClientEmit`, `ClientReconnect`, `ClientClose` | `official`; each order of a few calls alone in `tests/server` (`call_orders`) |
//! | what its application should not have sent: attachments, sizes, names, `auth` | `Op::Mistake` | `World::closed`, `World::disconnected` |
//! | control frames of a WebSocket, some and too many | `Op::ControlFrames` | `World::closed` |
//! | more than a connection has room for, and events larger than clients take | `Op::Burst`, `plan::bound_emissions` | `verbs` |
//! | a network that fails | `Op::Cut` to `Op::Skew` | everywhere |

use crate::tally::Tally;

/// By the names under which they are counted.
const KINDS: [&str; 50] = [
    "asked twice",
    "auth that is no object",
    "burst",
    "claim repeated",
    "client restarted",
    "client restarted from before",
    "clock goes back",
    "clock jumps",
    "closed by the client",
    "closed by the server",
    "connected twice",
    "control frames",
    "cut",
    "drained late",
    "emitted",
    "emitted before the answer",
    "forged claim",
    "forgotten",
    "half-open",
    "kick",
    "kick of many",
    "left",
    "left before the answer",
    "long name",
    "namespace gone",
    "namespace made",
    "non-reader",
    "queue full",
    "reconnected by hand",
    "request aborted",
    "request duplicated",
    "retry taken back",
    "room of an id",
    "room of an id addressed",
    "server crashed",
    "server restarted",
    "server restarted abruptly",
    "several exceptions",
    "shutdown",
    "slow network",
    "slow reader",
    "slow writer",
    "storm",
    "taken back",
    "too large",
    "too large to emit",
    "too many attachments",
    "unreachable",
    "upgrade interrupted",
    "withdrawn",
];

/// Why connections must have been closed.
const CLOSED: [&str; 10] = [
    "connect timeout",
    "forced close",
    "invalid packet",
    "overflow",
    "ping timeout",
    "rate limited",
    "shutdown",
    "taken over",
    "transport close",
    "transport error",
];

/// Why recoveries must have been refused. Not `expired`, which takes a claim that comes in the moment
/// between the end of a session's time and its timer.
const REFUSED: [&str; 5] = ["gap", "invalid offset", "limit", "other namespace", "unknown"];

/// What was not seen.
pub fn never_seen(tally: &Tally) -> Vec<&'static str> {
    let lists: [(&[&'static str], _); 3] =
        [(&KINDS, &tally.faults), (&CLOSED, &tally.closed), (&REFUSED, &tally.refused)];
    let unseen = lists.iter().flat_map(|(names, counts)| {
        let is_unseen = |name: &&&'static str| counts.get(**name).is_none_or(|count| *count == 0);
        names.iter().filter(is_unseen).copied()
    });
    unseen.chain((tally.paced == 0).then_some("claim queued")).collect()
}
