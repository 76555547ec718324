//! Engine.IO v4: one session over HTTP long-polling and WebSocket.
