//! Figures of the driver, beside those of the server.

use serde::Serialize;

/// What the driver holds, and what it has counted since the start. Counters wrap around.
///
/// Those of the server are [`Handle::stats`](crate::Handle::stats), and those of connections
/// [`Peers::stats`](crate::Peers::stats). A route for Prometheus, which needs no more than text:
///
/// ```
/// use std::fmt::Write as _;
///
/// use axum::{Router, extract::State, http::StatusCode, routing::get};
/// use socketio_proto_tokio::{App, Handle};
///
/// async fn metrics<A: App>(State(handle): State<Handle<A>>) -> Result<String, StatusCode> {
///     let ended = StatusCode::SERVICE_UNAVAILABLE;
///     let server = handle.stats().await.map_err(|_| ended)?;
///     let driver = handle.driver_stats().await.map_err(|_| ended)?;
///     let mut text = String::new();
///     for (name, figures) in [
///         ("server", serde_json::to_value(server)),
///         ("driver", serde_json::to_value(driver)),
///     ] {
///         let figures = figures.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
///         write_figures(&mut text, &format!("socketio_{name}"), &figures);
///     }
///     Ok(text)
/// }
///
/// /// One line a figure: `socketio_server_total_requests_refused_unknown_session 0`.
/// fn write_figures(text: &mut String, name: &str, figures: &serde_json::Value) {
///     match figures {
///         serde_json::Value::Object(fields) => {
///             for (field, figures) in fields {
///                 write_figures(text, &format!("{name}_{field}"), figures);
///             }
///         }
///         figure => drop(writeln!(text, "{name} {figure}")),
///     }
/// }
///
/// fn routes<A: App>(handle: Handle<A>) -> Router {
///     Router::new().route("/metrics", get(metrics::<A>)).with_state(handle)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DriverStats {
    /// HTTP requests that wait for their responses: one for each client that polls, most of the time.
    pub exchanges: usize,
    /// Open WebSockets.
    pub websockets: usize,
    /// WebSockets that do not take what is written to them, so that nothing more is sent.
    pub websockets_paused: usize,
    /// Requests and messages of peers that wait for the server. At 64, peers wait.
    pub commands_waiting: usize,
    /// Calls of handles that wait for the server. At 64, tasks wait.
    pub calls_waiting: usize,
    /// Bytes of request bodies and WebSocket messages that were received.
    pub bytes_received: u64,
    /// Bytes of response bodies and WebSocket frames that were sent, or are on their way.
    pub bytes_sent: u64,
    /// WebSockets and unanswered requests whose streams ended or failed before the server closed
    /// them.
    pub wires_lost: u64,
    /// How often timers were more than 5 ms late, because the process or its thread was busy.
    pub late_timers: u64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &mut u64, more: usize) {
    *counter = counter.wrapping_add(more as u64);
}
