//! The wire of `@socket.io/redis-streams-adapter`.

mod damage;
mod shapes;
mod traces;
