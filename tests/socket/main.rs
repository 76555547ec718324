//! Socket.IO packets: the codec in both directions.

extern crate alloc;

mod binary;
mod limits;
mod packets;
mod properties;
