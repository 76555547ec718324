//! Reads the channel.

use std::convert::Infallible;

use futures_util::pin_mut;
use socketio_proto::{
    cluster::{
        ClusterInput,
        engines::postgres::{Postgres, PostgresEntry},
    },
    recovery::Offset,
};
use socketio_proto_tokio::cluster::EngineInputs;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use crate::{
    connection::{Connection, PING},
    error::PostgresEngineError,
    imports::Imports,
    migration::head,
};

/// Entries that are handed in at once.
const ENTRIES: usize = 500;
/// The same limit in bytes.
const BYTES: usize = 1 << 20;

/// The connection that reads the channel.
pub(crate) struct Reader<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) connection: &'a Connection,
    pub(crate) epoch: u64,
    /// Tells that there may be new entries.
    pub(crate) wake: &'a Notify,
    pub(crate) imports: &'a Imports,
}

impl Reader<'_> {
    /// Hands in the entries behind the position that is asked for.
    pub(crate) async fn run(
        self,
        inputs: &EngineInputs,
        mut reads: mpsc::UnboundedReceiver<Offset>,
    ) -> Result<Infallible, PostgresEngineError> {
        let Some(after) = reads.recv().await else { return std::future::pending().await };
        let begins = head(self.connection, self.postgres).await?;
        let mut after = begins.entry_at(after).ok_or(PostgresEngineError::Trimmed)?;
        loop {
            let read = self.read(after, inputs).await?;
            if read == after {
                self.check(after).await?;
                // If a notification is lost, it is only late.
                timeout(PING, self.wake.notified()).await.ok();
            }
            after = read;
        }
    }

    /// Hands in what is there, and returns the latest entry.
    async fn read(&self, after: u64, inputs: &EngineInputs) -> Result<u64, PostgresEngineError> {
        let rows = self.connection.rows(&self.postgres.read(after)).await?;
        pin_mut!(rows);
        let (mut after, mut page, mut bytes) = (after, Vec::new(), 0_usize);
        while let Some(row) = self.connection.next(&mut rows).await? {
            let PostgresEntry { entry, message, len, origin, .. } = self.postgres.row(&row)?;
            if after.checked_add(1) != Some(entry) {
                return Err(PostgresEngineError::Trimmed);
            }
            after = entry;
            if let Some((place, importer)) = origin {
                self.imports.note_read(&place, importer);
            }
            let position = Offset::pair(self.epoch, entry);
            page.push(ClusterInput::Entry { channel: 0, position, message: message.ok() });
            bytes = bytes.saturating_add(len);
            if page.len() >= ENTRIES || bytes >= BYTES {
                inputs.send(std::mem::take(&mut page)).await;
                bytes = 0;
            }
        }
        inputs.send(page).await;
        Ok(after)
    }

    /// There is nothing behind this entry. It was not there before, or it is there no longer.
    async fn check(&self, after: u64) -> Result<(), PostgresEngineError> {
        let head = head(self.connection, self.postgres).await?;
        if head.epoch != self.epoch || head.head < after {
            return Err(PostgresEngineError::Anew);
        }
        if head.trimmed > after { Err(PostgresEngineError::Trimmed) } else { Ok(()) }
    }
}
