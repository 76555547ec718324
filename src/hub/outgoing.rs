//! Limits on what the server sends. A packet that clients are known to refuse is refused here.
//!
//! A client that refuses a packet closes its connection. If the packet were replayed, the client
//! would refuse it again each time it comes back.

use super::error::EmitError;
use crate::{
    config::ServerConfig,
    socket::{Args, Event},
};

impl ServerConfig {
    /// Checks that clients can accept an event and, if it must be logged, that the log can store
    /// it.
    pub(super) fn check_event(&self, event: &Event, is_logged: bool) -> Result<(), EmitError> {
        let limit = self.limits.outgoing_bytes;
        let limit =
            self.recovery.as_ref().filter(|_| is_logged).map_or(limit, |recovery| {
                limit.min(recovery.buffer_bytes).min(recovery.replay_bytes)
            });
        self.check_packet(event.attachments().len(), event.wire_len(), limit)
    }

    /// Checks that clients can accept an answer.
    pub(super) fn check_answer(&self, args: &Args) -> Result<(), EmitError> {
        let limit = self.limits.outgoing_bytes;
        self.check_packet(args.attachments().len(), args.wire_len(), limit)
    }

    fn check_packet(
        &self,
        attachments: usize,
        bytes: usize,
        bytes_max: usize,
    ) -> Result<(), EmitError> {
        let limit = self.limits.outgoing_attachments;
        if attachments > limit {
            return Err(EmitError::TooManyAttachments { limit });
        }
        if bytes > bytes_max {
            return Err(EmitError::TooLarge { limit: bytes_max });
        }
        Ok(())
    }
}
