//! Several servers as one cluster, over an engine in memory whose every step the tests decide.

mod ahead;
mod ahead_races;
mod ahead_waits;
mod channels;
mod closing;
mod data;
mod dice;
mod fleet;
mod follow;
mod holes;
mod kept;
mod mixed;
mod moves;
mod order;
mod random;
mod refusals;
mod requests;
mod store;
mod store_changes;
mod store_given_up;
mod store_official;
mod store_races;
mod store_rewrites;
mod store_shutdown;
mod trouble;
mod vacant;
