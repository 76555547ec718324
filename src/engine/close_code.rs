//! Status codes of close frames, and their texts.

/// "Unsupported data": the client does not speak the default parser.
pub(super) const OTHER_PARSER: u16 = 1003;
/// "Invalid payload data": the client sent a packet that the server does not accept.
pub(super) const INVALID_PACKET: u16 = 1007;
/// "Policy violation": the client sends too fast. The reference has no such limit.
pub(super) const TOO_FAST: u16 = 1008;
/// "Message too big", the one status code that the reference closes a WebSocket with.
pub(super) const TOO_BIG: u16 = 1009;
/// "Try again later": there are too many connections or handshakes.
pub(crate) const TRY_AGAIN_LATER: u16 = 1013;

/// Returns the text that a close frame should carry beside its status code, so that the reason can
/// be read on the client's side. It has at most 123 bytes, as much as fits into a close frame. It
/// is empty for codes that this crate does not use.
///
/// ```
/// use socketio_proto::engine::close_text;
///
/// assert_eq!(close_text(1008), "packets came too fast");
/// assert_eq!(close_text(1000), "");
/// ```
pub const fn close_text(code: u16) -> &'static str {
    match code {
        OTHER_PARSER => "the first packet is not one of the default parser (socket.io-parser)",
        INVALID_PACKET => "the server does not accept the packet: see its limits",
        TOO_FAST => "packets came too fast",
        TOO_BIG => "the message is larger than maxPayload",
        TRY_AGAIN_LATER => "there are too many connections or handshakes: try again later",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_fits_into_a_close_frame() {
        let mut count = 0;
        for code in 0..=u16::MAX {
            assert!(close_text(code).len() <= 123, "{code}");
            count += usize::from(!close_text(code).is_empty());
        }
        assert_eq!(count, 5);
    }
}
