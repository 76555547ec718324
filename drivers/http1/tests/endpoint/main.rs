//! The endpoint in virtual time.

mod exchanges;
mod limits;
mod random;
mod websockets;
mod world;
