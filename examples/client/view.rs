//! The texts that the program shows.

use socketio_proto::client::{Client, ClientEvent, ConnectError};

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
pub fn describe(event: &ClientEvent) -> Option<String> {
    match event {
        ClientEvent::ConnectionUpgraded => Some("transport websocket".to_owned()),
        ClientEvent::UpgradeFailed => Some("no upgrade, transport polling".to_owned()),
        ClientEvent::ConnectionClosed { reason, was_open: false } => {
            Some(format!("no connection: {reason}"))
        }
        ClientEvent::Reconnecting { attempt, .. } => {
            Some(format!("reconnecting, attempt {attempt}"))
        }
        ClientEvent::ReconnectionFailed => Some("no further attempt".to_owned()),
        ClientEvent::Acked { args, .. } => Some(format!("delivered: {}", args.json())),
        ClientEvent::AckFailed { cause, .. } => Some(format!("not delivered: {cause:?}")),
        ClientEvent::Undeliverable { cause, .. } => {
            Some(format!("the server does not accept it: {cause}"))
        }
        ClientEvent::SnapshotOutOfDate { .. } => {
            Some("another process has used the session".to_owned())
        }
        ClientEvent::BufferExpired { .. }
        | ClientEvent::ReplayOverflow { .. }
        | ClientEvent::ReplayUnreadable { .. } => {
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
