//! Socket.IO v5: packets over an Engine.IO session.
