//! Where an offset stands in a log.

/// Where an offset stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Behind the packet with this sequence, and before the next one. 0 is before the first packet.
    After(u64),
    /// An earlier process assigned it after it had taken the snapshot that this log was restored
    /// from. So the packet with this position is not known.
    Lost,
    /// The log has not assigned it yet.
    Future,
    /// No log from which this one was restored has ever assigned it.
    Foreign,
}
