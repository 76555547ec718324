//! The client against the official Node.js server, over real sockets; the server is
//! `tests/official_server/server.mjs`.

#[path = "../examples/client/driver/mod.rs"]
#[cfg(test)]
mod driver;
#[path = "official_server/official.rs"]
#[cfg(test)]
mod host;
#[path = "interop/npm.rs"]
#[cfg(test)]
mod npm;
#[path = "interop/output.rs"]
#[cfg(test)]
mod output;
#[path = "official_server/peer.rs"]
#[cfg(test)]
mod peer;
#[path = "official_server/random.rs"]
#[cfg(test)]
mod random;
#[path = "official_server/scenarios.rs"]
#[cfg(test)]
mod scenarios;
