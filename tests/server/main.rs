//! The whole server in virtual time: namespaces, rooms, queues, limits and counters.

mod call_orders;
mod connecting;
mod connecting_again;
mod emitting;
mod equivalence;
mod grouping;
mod invalid_packets;
mod limits;
mod outgoing;
mod own_rooms;
mod pauses;
mod pools;
#[path = "../support/random.rs"]
mod random;
mod rooms;
mod rooms_at_the_end;
mod secrets;
mod send_queue;
mod stats;
#[path = "../support/mod.rs"]
mod support;
