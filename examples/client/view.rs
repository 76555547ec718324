//! The texts that the program shows.

use socketio_proto::client::{Client, ConnectError, Event};

/// Describes the connection.
pub fn state(client: &Client, namespace: &str) -> String {
    let transport = client.transport().map_or("none", |transport| transport.as_str());
    match client.socket_id(namespace) {
        Some(id) => format!(
            "connected: recovered {}, id {id}, transport {transport}",
            client.is_recovered(namespace)
        ),
        None => format!(
            "not connected: {} messages wait, transport {transport}",
            client.retrying(namespace).count()
        ),
    }
}

/// Describes an event of the connection. Returns `None` if it is not shown.
pub fn describe(event: &Event) -> Option<String> {
    match event {
        Event::ConnectionUpgraded => Some("transport websocket".to_owned()),
        Event::UpgradeFailed => Some("no upgrade, transport polling".to_owned()),
        Event::ConnectionClosed { reason, was_open: false } => {
            Some(format!("no connection: {reason}"))
        }
        Event::Reconnecting { attempt, .. } => Some(format!("reconnecting, attempt {attempt}")),
        Event::ReconnectionFailed => Some("no further attempt".to_owned()),
        Event::Acked { args, .. } => Some(format!("delivered: {}", args.json())),
        Event::AckFailed { cause, .. } => Some(format!("not delivered: {cause:?}")),
        Event::Undeliverable { cause, .. } => {
            Some(format!("the server does not accept it: {cause}"))
        }
        Event::SnapshotOutOfDate { .. } => Some("another process has used the session".to_owned()),
        Event::BufferExpired { .. }
        | Event::ReplayOverflow { .. }
        | Event::ReplayUnreadable { .. } => {
            Some("events were lost: too many, or too old".to_owned())
        }
        _ => None,
    }
}

pub fn connect_error(error: &ConnectError) -> String {
    match error {
        ConnectError::Refused { message, data: None } => format!("refused: {message}"),
        ConnectError::Refused { message, data: Some(data) } => {
            format!("refused: {message} {}", data.as_str())
        }
        ConnectError::Timeout => "no answer to CONNECT".to_owned(),
        other => format!("not connected: {other:?}"),
    }
}
