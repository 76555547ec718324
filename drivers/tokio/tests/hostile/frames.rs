//! Frames that break the WebSocket protocol (RFC 6455), and messages that break Engine.IO.

use crate::{
    raw::{BINARY, CLOSE, PING, PONG, TEXT, frame},
    site::{MAX_PAYLOAD, site, site_behind_axum},
};

#[tokio::test]
async fn frames_that_are_none() {
    let unmasked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, u8::try_from(payload.len()).unwrap()];
        frame.extend(payload);
        frame
    };
    for mut site in [site().await, site_behind_axum().await] {
        let mut cases = vec![
            unmasked(TEXT, b"3"),
            unmasked(PING, b""),
            unmasked(CLOSE, &1000_u16.to_be_bytes()),
            unmasked(TEXT, b""),
            // What no client would send by mistake.
            b"GET /socket.io/ HTTP/1.1\r\n\r\n".to_vec(),
            vec![0; 100],
            vec![0xff; 100],
        ];
        // Reserved bits: one of them stands for a compressed message, which nobody has agreed on.
        for bits in [0x40, 0x20, 0x10, 0x70] {
            cases.extend([frame(TEXT | bits, b"3"), frame(PING | bits, b"")]);
        }
        // Reserved opcodes.
        cases.extend((0x83..=0x87).chain(0x8b..=0x8f).map(|opcode| frame(opcode, b"3")));
        for control in [PING, PONG, CLOSE] {
            // Control frames in fragments, and of more than 125 bytes.
            cases.push(frame(control & 0x0f, b""));
            cases.push(frame(control, &[b'x'; 126]));
            cases.push(frame(control, &[b'x'; 1000]));
        }
        for bytes in &cases {
            assert_eq!(site.close_code(bytes).await, 1002, "{:?}", &bytes[..2]);
        }
        site.serves().await;
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn lengths_that_lie() {
    for mut site in [site().await, site_behind_axum().await] {
        for length in [MAX_PAYLOAD as u64 + 2, 1 << 31, 1 << 32, 1 << 62, 1 << 63, u64::MAX] {
            for first in [TEXT, BINARY, BINARY & 0x0f] {
                let mut bytes = vec![first, 0xff];
                bytes.extend(length.to_be_bytes());
                bytes.extend([0; 100]);
                let code = site.close_code(&bytes).await;
                assert!([1002, 1009].contains(&code), "{length}: {code}");
            }
        }
        // More than follows: it is waited for, and nothing else happens.
        let mut client = site.join().await;
        client.send(&frame(TEXT, &vec![b'x'; MAX_PAYLOAD])[..100]).await;
        site.serves().await;
        drop(client);
        // To the byte.
        let mut client = site.join().await;
        let event = |length: usize| format!("427[\"echo\",\"{}\"]", "x".repeat(length - 14));
        client.send_packet(&event(MAX_PAYLOAD)).await;
        client.packet().await;
        assert_eq!(client.packet().await.len(), MAX_PAYLOAD - 7);
        client.try_send(frame(TEXT, event(MAX_PAYLOAD + 1).as_bytes())).await;
        assert_eq!(client.close_code().await, 1009);
        drop(client);
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn text_that_is_none() {
    let mut site = site().await;
    let texts: [&[u8]; 8] = [
        b"42[\"\xff\"]",
        b"\x80",
        // Too long, half a pair of surrogates, beyond Unicode.
        b"42[\"\xc0\xaf\"]",
        b"42[\"\xe0\x80\xaf\"]",
        b"42[\"\xed\xa0\x80\"]",
        b"42[\"\xf4\x90\x80\x80\"]",
        // Not complete at the end.
        b"42[\"\xc3",
        b"42[\"\xf0\x9f\x98",
    ];
    for text in texts {
        assert_eq!(site.close_code(&frame(TEXT, text)).await, 1007, "{text:?}");
        site.serves().await;
    }
    site.assert_unharmed().await;
}

#[tokio::test]
async fn close_frames_of_all_kinds() {
    let mut site = site().await;
    let with = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, u16::MAX] {
        let answer = site.close_code(&frame(CLOSE, &with(code, b""))).await;
        assert_eq!(answer, 1002, "{code}");
    }
    assert_eq!(site.close_code(&frame(CLOSE, b"\x03")).await, 1002);
    let no_text = frame(CLOSE, &with(1000, b"\xff"));
    assert!([1002, 1007].contains(&site.close_code(&no_text).await));
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1013, 3000, 4999] {
        let close = frame(CLOSE, &with(code, b"bye"));
        assert_eq!(site.close_code(&close).await, code, "{code}");
    }
    let mut client = site.join().await;
    client.send(frame(CLOSE, b"")).await;
    assert_eq!(client.frame().await, (CLOSE, Vec::new()));
    assert!(client.is_dropped().await);
    drop(client);
    site.serves().await;
    site.assert_unharmed().await;
}

/// Well-formed frames with what is no packet of Engine.IO or Socket.IO.
#[tokio::test]
async fn messages_that_are_no_packets() {
    let mut site = site().await;
    for text in ["", "x", "7", "99", "4", "4x", "49", "42[", "42[\0]", "42{}"] {
        let code = site.close_code(&frame(TEXT, text.as_bytes())).await;
        assert_eq!(code, 1005, "{text:?}");
        site.serves().await;
    }
    for bytes in [&b""[..], b"40", &[0xff; 10]] {
        let code = site.close_code(&frame(BINARY, bytes)).await;
        assert!([1003, 1005].contains(&code), "{bytes:?}: {code}");
        site.serves().await;
    }
    site.assert_unharmed().await;
}

/// Frames one byte at a time, and many at once.
#[tokio::test]
async fn frames_in_pieces() {
    for mut site in [site().await, site_behind_axum().await] {
        let mut client = site.join().await;
        let message = frame(TEXT, b"421[\"echo\",7]");
        client.send_slowly(&message).await;
        client.assert_echoed().await;
        client.send(message.repeat(1000)).await;
        for _ in 0..1000 {
            client.assert_echoed().await;
        }
        site.serves().await;
        drop(client);
        site.assert_unharmed().await;
    }
}
