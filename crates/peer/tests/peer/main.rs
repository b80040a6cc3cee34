//! Tests of connections between nodes over real sockets.

mod bursts;
mod connections;
mod exchanges;
mod harness;
mod identities;
mod upgrades;
