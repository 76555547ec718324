//! Nodes over a server that speaks the protocol of MongoDB, which is killed, cut off and restarted.

mod contract;
mod documents;
mod outages;
mod proxy;
mod refusals;
mod secantus;
mod sessions;
mod support;
