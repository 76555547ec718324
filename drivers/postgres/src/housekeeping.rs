//! Deletes what is kept no longer.

use std::{convert::Infallible, time::Duration};

use socketio_proto::cluster::engines::postgres::Postgres;
use socketio_proto_tokio::entropy;
use tokio::time::sleep;

use crate::{connection::Connection, error::PostgresEngineError};

/// How often, with a random part, so that not all nodes do it at the same moment.
const EACH: Duration = Duration::from_secs(5);

/// Works until the connection is lost.
pub(crate) async fn run(
    postgres: &Postgres,
    connection: &Connection,
) -> Result<Infallible, PostgresEngineError> {
    loop {
        let mut random = [0; 1];
        entropy(&mut random);
        sleep(EACH + EACH * u32::from(random[0]) / 256).await;
        connection.call(&postgres.trim()).await?;
        connection.call(&postgres.sweep_sessions()).await?;
        connection.call(&postgres.sweep_attachments()).await?;
    }
}
