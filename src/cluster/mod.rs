//! Several servers that act as one.

pub mod message;
