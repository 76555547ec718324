//! WebSocket frames (RFC 6455) as a client sends and receives them. Servers are trusted to send
//! whole text messages.

/// Any key will do: the server has the same work with each.
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// In the place of a length: it is in the two bytes that follow.
const LEN_16: u8 = 0x7e;
/// Or in the eight bytes that follow.
const LEN_64: u8 = 0x7f;
/// A client masks.
const MASKED: u8 = 0x80;

/// The handshake.
pub fn upgrade_request(port: u16) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Writes a text message.
pub fn write_text(output: &mut Vec<u8>, text: &str) {
    output.push(0x81);
    match text.len() {
        len @ ..126 => output.push(MASKED | len.to_le_bytes()[0]),
        len => {
            let len = u16::try_from(len).expect("messages are small");
            output.push(MASKED | LEN_16);
            output.extend(len.to_be_bytes());
        }
    }
    output.extend(MASK);
    output.extend(text.bytes().zip(MASK.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// What was received.
pub enum Received<'a> {
    Text(&'a [u8]),
    /// A close frame or another one that nobody expects.
    Other,
}

/// Takes the next frame off `input`, if it is complete.
pub fn read<'a>(input: &mut &'a [u8]) -> Option<Received<'a>> {
    let (&[first, second], rest) = input.split_first_chunk()?;
    let (len, rest) = match second {
        LEN_16 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        LEN_64 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*len)).ok()?, rest)
        }
        len => (usize::from(len), rest),
    };
    let (payload, rest) = rest.split_at_checked(len)?;
    *input = rest;
    Some(if first == 0x81 { Received::Text(payload) } else { Received::Other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_when_they_are_whole() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let text = vec![b'x'; len];
            let mut frame = vec![0x81];
            match len {
                ..126 => frame.push(len.to_le_bytes()[0]),
                ..65_536 => {
                    frame.push(LEN_16);
                    frame.extend(u16::try_from(len).unwrap().to_be_bytes());
                }
                _ => {
                    frame.push(LEN_64);
                    frame.extend((len as u64).to_be_bytes());
                }
            }
            frame.extend_from_slice(&text);
            let (mut part, mut whole) = (&frame[..frame.len() - 1], &frame[..]);
            assert!(read(&mut part).is_none());
            assert_eq!(part.len(), frame.len() - 1, "nothing is taken");
            assert!(matches!(read(&mut whole), Some(Received::Text(read)) if read == text));
            assert!(whole.is_empty());
        }
        assert!(matches!(read(&mut &[0x88, 0][..]), Some(Received::Other)));
    }

    #[test]
    fn what_is_written_is_masked() {
        for len in [3, 200] {
            let mut output = Vec::new();
            write_text(&mut output, &"a".repeat(len));
            let payload = &output[output.len() - len..];
            assert!(
                payload.iter().zip(MASK.iter().cycle()).all(|(byte, mask)| byte ^ mask == b'a')
            );
        }
    }
}
