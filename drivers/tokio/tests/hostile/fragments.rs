//! WebSocket messages in fragments.

use tokio::task::yield_now;

use crate::{
    raw::{BINARY, CLOSE, PING, PONG, TEXT, frame},
    site::{MAX_PAYLOAD, site, site_behind_axum},
};

/// Begins a text message in fragments.
const BEGIN: u8 = TEXT & 0x0f;
const CONTINUE: u8 = 0x00;
const END: u8 = 0x80;

/// A message in fragments of so many bytes.
fn fragments(message: &[u8], length: usize) -> Vec<u8> {
    let mut frames = frame(BEGIN, b"");
    for fragment in message.chunks(length) {
        frames.extend(frame(CONTINUE, fragment));
    }
    frames.extend(frame(END, b""));
    frames
}

#[tokio::test]
async fn a_message_in_fragments_of_one_byte() {
    for mut site in [site().await, site_behind_axum().await] {
        let mut client = site.join().await;
        let event = |length: usize| format!("427[\"echo\",\"{}\"]", "ü".repeat((length - 14) / 2));
        // As long as a message may be. Characters of two bytes are in two fragments.
        client.send(fragments(event(MAX_PAYLOAD).as_bytes(), 1)).await;
        assert!(client.packet().await.starts_with("42[\"echoed\","));
        assert_eq!(client.packet().await.len(), MAX_PAYLOAD - 7);
        client.try_send(fragments(event(MAX_PAYLOAD + 2).as_bytes(), 1)).await;
        assert_eq!(client.close_code().await, 1009);
        site.serves().await;
        drop(client);
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn thousands_of_empty_fragments() {
    for mut site in [site().await, site_behind_axum().await] {
        let mut client = site.join().await;
        client.send(frame(BEGIN, b"421[\"echo\",")).await;
        client.send(frame(CONTINUE, b"").repeat(10_000)).await;
        client.send(frame(END, b"7]")).await;
        client.assert_echoed().await;
        site.serves().await;
        drop(client);
        site.assert_unharmed().await;
    }
}

/// It costs what reading its bytes costs, and everybody else has a turn. It ends as silence does: in
/// a message that never ends there is no pong.
///
/// Fragments of a message that never ends | `max_payload`, `ping_timeout` | counts as silence | -
#[tokio::test]
async fn empty_fragments_without_end() {
    let mut site = site().await;
    let mut client = site.join().await;
    client.send(frame(BEGIN, b"42[\"echo\",")).await;
    let flood = frame(CONTINUE, b"").repeat(10_000);
    let mut rest: &[u8] = &[];
    for _ in 0..5 {
        let mut sent = 0;
        while sent < 200_000 {
            if rest.is_empty() {
                rest = &flood;
            }
            let count = client.send_at_once(rest);
            rest = &rest[count..];
            sent += count;
            yield_now().await;
        }
        site.serves().await;
    }
    drop(client);
    site.assert_unharmed().await;
}

#[tokio::test]
async fn control_frames_within_a_message() {
    for mut site in [site().await, site_behind_axum().await] {
        let mut client = site.join().await;
        let mut frames = frame(BEGIN, b"421[\"echo\",");
        frames.extend(frame(PING, b"first"));
        frames.extend(frame(CONTINUE, b""));
        frames.extend(frame(PONG, b"of nothing"));
        frames.extend(frame(PING, &[b'x'; 125]));
        frames.extend(frame(END, b"7]"));
        client.send_slowly(&frames).await;
        assert_eq!(client.frame().await, (PONG, b"first".to_vec()));
        assert_eq!(client.frame().await, (PONG, vec![b'x'; 125]));
        client.assert_echoed().await;
        // It ends in the middle of a message.
        let mut frames = frame(BEGIN, b"421[\"echo\",");
        frames.extend(frame(CLOSE, &1000_u16.to_be_bytes()));
        client.send(frames).await;
        assert_eq!(client.close_code().await, 1000);
        site.serves().await;
        drop(client);
        site.assert_unharmed().await;
    }
}

#[tokio::test]
async fn fragments_in_the_wrong_place() {
    let mut site = site().await;
    let begun = frame(BEGIN, b"421[\"echo\",");
    for frames in [
        // Without a beginning.
        frame(CONTINUE, b"7]"),
        frame(END, b"7]"),
        frame(END, b""),
        // A message within a message.
        [begun.clone(), frame(TEXT, b"3")].concat(),
        [begun.clone(), frame(BEGIN, b"3")].concat(),
        [begun.clone(), frame(BINARY, b"3")].concat(),
        // After the end.
        [frame(BEGIN, b"4"), frame(END, b"0/none,"), frame(END, b"7]")].concat(),
    ] {
        let mut client = site.join().await;
        client.send(&frames).await;
        let mut last = client.frame().await;
        if last.0 == TEXT {
            assert!(last.1.starts_with(b"44/none,"), "{last:?}");
            last = client.frame().await;
        }
        assert_eq!(last.0, CLOSE);
        assert_eq!(last.1[..2], 1002_u16.to_be_bytes(), "{frames:?}");
        site.serves().await;
    }
    site.assert_unharmed().await;
}

/// A character may be split, and must be whole in the end.
#[tokio::test]
async fn characters_across_fragments() {
    let mut site = site().await;
    for (first, second) in [
        (&b"42[\"\xc3"[..], &b"\"]"[..]),
        (b"42[\"\xf0\x9f", b"\x98\"]"),
        (b"42[\"\xc3", b"\xc3\"]"),
        (b"42[\"\xe2\x82", b""),
        (b"42[\"", b"\xbc\"]"),
    ] {
        let frames = [frame(BEGIN, first), frame(END, second)].concat();
        assert_eq!(site.close_code(&frames).await, 1007, "{first:?} {second:?}");
        site.serves().await;
    }
    site.assert_unharmed().await;
}
