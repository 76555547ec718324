//! How the cost of each step that a client or an application causes grows with what the server holds.
//!
//!     cargo bench --bench growth -- --guard                # counts by valgrind, judged
//!     cargo bench --bench growth -- --guard --only queued  # of some groups
//!
//! A step may cost O(log n + what it gets). It is counted beside n, 4 n and 16 n of what others, or the
//! session itself, make the server hold. A scan costs sixteen times as much in the end, and fails. Where
//! a step gets n of something, the share of each is counted. Memory that is moved once in a while, when
//! a table has grown, is left out by looking at the median of several steps.
//!
//! What a session gets when it is parked, comes back or ends is its rooms: one is looked at for each.
//! Not here is what is in proportion to the namespaces of a connection, of which there are few (64).

#[path = "growth/application.rs"]
mod application;
#[path = "growth/clients.rs"]
mod clients;
#[path = "growth/cluster.rs"]
mod cluster;
#[path = "growth/count.rs"]
mod count;
#[path = "growth/links.rs"]
mod links;
#[path = "growth/recoveries.rs"]
mod recoveries;
#[path = "growth/sessions.rs"]
mod sessions;
#[path = "growth/shares.rs"]
mod shares;
mod support;
#[path = "growth/world.rs"]
mod world;

use count::Group;

fn main() {
    const MANY: [usize; 3] = [256, 1_024, 4_096];
    const FEW: [usize; 3] = [64, 256, 1_024];
    let group = |what, run| Group { what, sizes: MANY, run };
    count::run(&[
        group("a client beside a crowd", clients::run),
        group("the application beside a crowd", application::run),
        group("a session in many rooms", sessions::rooms),
        group("packets withheld from a session", sessions::withheld),
        group("answers kept for a session", sessions::answers),
        group("acknowledgements awaited from a session", sessions::questions),
        group("answers to one broadcast", sessions::answers_of_many),
        group("packets queued for a connection", sessions::queued),
        group("rooms that excepted another, evicted", sessions::evicted),
        group("links around a hub", links::gone_unheard),
        group("recoveries that queue", recoveries::queue),
        group("parked sessions", recoveries::parked),
        group("heartbeats", recoveries::heartbeats),
        Group { what: "nodes of a cluster", sizes: FEW, run: cluster::run },
        Group { what: "rooms of a session", sizes: FEW, run: shares::of_rooms },
        Group { what: "packets that a session missed", sizes: FEW, run: shares::of_packets },
        Group { what: "sockets at once", sizes: FEW, run: shares::of_sockets },
        Group { what: "timeouts at once", sizes: FEW, run: shares::of_timeouts },
    ]);
}
