//! The wire of `@socket.io/redis-streams-adapter`.

mod damage;
mod monitor;
mod shapes;
mod traces;
