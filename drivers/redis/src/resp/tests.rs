use redis::Value;
use socketio_proto::cluster::{
    ClusterInput,
    engines::redis_streams::{RedisStreams, RedisStreamsOptions, StreamEntry},
    message::{Body, MessageNames},
};

use super::*;
use crate::reply::reply;

const MESSAGE: &[u8] = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n\r\n>3\r\n";
const PATTERN: &[u8] = b">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\ncd\r\n$0\r\n\r\n";
const SUBSCRIBED: &[u8] = b">3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:1\r\n";

fn decoded(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    decode(bytes, Bounds::default()).unwrap()
}

#[test]
fn what_is_published_is_told_from_replies() {
    let head = MESSAGE.len() - b"$4\r\n\r\n>3\r\n".len();
    let message = Frame::Message { channel: b"c", payload: b"\r\n>3", is_pattern: false, head };
    assert_eq!(decoded(MESSAGE), Some((message, MESSAGE.len())));
    let head = PATTERN.len() - b"$0\r\n\r\n".len();
    let pattern = Frame::Message { channel: b"cd", payload: b"", is_pattern: true, head };
    assert_eq!(decoded(PATTERN), Some((pattern, PATTERN.len())));
    assert_eq!(decoded(SUBSCRIBED), Some((Frame::Confirmed, SUBSCRIBED.len())));
    let other: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    assert_eq!(decoded(other), Some((Frame::Other, other.len())));
}

#[test]
fn a_message_is_read_again_by_its_head() {
    for (bytes, payload) in [(MESSAGE, &b"\r\n>3"[..]), (PATTERN, b"")] {
        let Some((Frame::Message { head, .. }, len)) = decoded(bytes) else { unreachable!() };
        let head = &bytes[..head];
        let more = [bytes, b">3\r\n"].concat();
        assert_eq!(decode_same(&more, head), Some((payload, len)));
        for end in 0..len {
            assert_eq!(decode_same(&bytes[..end], head), None, "{end}");
        }
        for other in [MESSAGE, PATTERN, SUBSCRIBED, b"+OK\r\n"] {
            assert_eq!(decode_same(other, head).is_some(), other == bytes);
        }
    }
    assert_eq!(decode_same(b"$1\r\na\r\n", b""), None, "a reply");
}

const REPLIES: [&[u8]; 13] = [
    b"+PONG\r\n",
    b":-7\r\n",
    b"_\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"#t\r\n",
    b"$2\r\n\r\n\r\n",
    b"=8\r\ntxt:a\r\nb\r\n",
    b"-NOPERM this user may not\r\n",
    b"!10\r\nERR a\r\nb c\r\n",
    b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
    b"~1\r\n:1\r\n",
    b"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*0\r\n",
];

#[test]
fn replies_are_those_that_the_redis_crate_reads() {
    for bytes in REPLIES {
        let expected = reply(redis::parse_redis_value(bytes).unwrap());
        let more = [bytes, b"+more\r\n"].concat();
        let (frame, len) = decoded(&more).unwrap();
        assert_eq!((frame, len), (Frame::Reply(expected), bytes.len()), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_comes_in_pieces_is_waited_for() {
    let map: &[u8] = b"%1\r\n=5\r\ntxt:x\r\n~1\r\n!5\r\nERR x\r\n";
    for whole in [MESSAGE, PATTERN, SUBSCRIBED, map] {
        for end in 0..whole.len() {
            assert_eq!(decoded(&whole[..end]), None, "{end} of {}", whole.escape_ascii());
        }
        assert!(decoded(whole).is_some());
    }
}

#[test]
fn what_is_neither_is_an_error() {
    let long = [&b"+"[..], &b"x".repeat(LINE)].concat();
    let deep = b"*1\r\n".repeat(1 << 20);
    let lies: [&[u8]; 15] = [
        b"$\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\r\n",
        b"\r\n",
        b"+OK\rx",
        b":x\r\n",
        b"$-7\r\n",
        b"$1\r\nab\r\n",
        b"=2\r\nab\r\n",
        b">0\r\n$7\r\nmessage\r\n",
        b">3\r\n:1\r\n:2\r\n:3\r\n",
        b">3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n",
        b">-1\r\n",
        &long,
        &deep,
    ];
    for bytes in lies {
        let text = bytes[..bytes.len().min(50)].escape_ascii().to_string();
        assert!(decode(bytes, Bounds::default()).is_err(), "{text}");
    }
}

/// Nothing takes memory because of a number that somebody says.
#[test]
fn a_length_is_not_believed() {
    let lies: [&[u8]; 4] = [
        b"*1000000000\r\n",
        b"%9223372036854775807\r\n",
        b"$536870912\r\nx",
        b">9223372036854775807\r\n",
    ];
    for bytes in lies {
        assert_eq!(decoded(bytes), None, "{}", bytes.escape_ascii());
    }
}

const PAGE: &[u8] = b"*1\r\n*2\r\n$6\r\nstream\r\n*2\r\n\
    *2\r\n$3\r\n5-1\r\n*4\r\n$3\r\nuid\r\n$1\r\na\r\n$4\r\ndata\r\n$4\r\n\r\n*1\r\n\
    *2\r\n$3\r\n5-2\r\n*2\r\n$4\r\ndata\r\n$0\r\n\r\n";

/// As the `redis` crate reads it.
fn expected(bytes: &[u8]) -> RedisReply {
    reply(redis::parse_redis_value(bytes).unwrap())
}

fn alone(bytes: &[u8]) -> Option<RedisReply> {
    decode_all(bytes, 1, Bounds::default()).unwrap().map(|replies| {
        let [reply] = <[RedisReply; 1]>::try_from(replies).unwrap();
        reply
    })
}

#[test]
fn replies_without_pushes_are_those_that_the_redis_crate_reads() {
    let replies: [&[u8]; 11] = [
        PAGE,
        b"*-1\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"+OK\r\n",
        b"+a status\r\n",
        b":-7\r\n",
        b"$2\r\n\r\n\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-ERR\r\n",
        // Of `XINFO STREAM`, and what no command is answered with.
        b"*4\r\n$6\r\nlength\r\n:2\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n5-1\r\n*1\r\n*1\r\n*1\r\n*0\r\n",
    ];
    for bytes in replies {
        assert_eq!(alone(bytes), Some(expected(bytes)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_reply_in_pieces_is_waited_for() {
    for end in 0..PAGE.len() {
        assert_eq!(alone(&PAGE[..end]), None, "{end}");
    }
    let many = [&b"*600\r\n"[..], &b"*1\r\n:1\r\n".repeat(600)].concat();
    for end in (0..many.len()).step_by(97) {
        assert_eq!(alone(&many[..end]), None, "{end}");
    }
    assert_eq!(alone(&many), Some(expected(&many)));
}

#[test]
fn replies_to_several_commands_come_one_after_the_other() {
    let many = b"*1\r\n:1\r\n".repeat(500);
    for first in [&b"+OK\r\n"[..], &[&b"*500\r\n"[..], &many].concat()] {
        let bytes = [first, PAGE, b":3\r\n"].concat();
        let all = vec![expected(first), expected(PAGE), RedisReply::Int(3)];
        assert_eq!(decode_all(&bytes, 3, Bounds::default()).unwrap(), Some(all));
        assert_eq!(
            decode_all(&bytes, 4, Bounds::default()).unwrap(),
            None,
            "the fourth is to come"
        );
    }
}

fn streams() -> RedisStreams {
    RedisStreams::new(RedisStreamsOptions::new()).unwrap()
}

fn decode_entries(
    bytes: &[u8],
    bounds: Bounds,
) -> Result<Option<Vec<ClusterInput>>, RedisEngineError> {
    let redis = streams();
    let mut entries = Entries { redis: &redis, channel: 7, names: MessageNames::default() };
    let read = entries.decode(bytes, 0, bounds)?;
    Ok(read.map(|(entries, others)| {
        assert_eq!(others, []);
        entries
    }))
}

fn entries(bytes: &[u8]) -> Option<Vec<ClusterInput>> {
    decode_entries(bytes, Bounds::default()).unwrap()
}

/// An entry, with its fields.
fn entry(id: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let all: String = fields.iter().map(|(name, value)| bulk(name) + &bulk(value)).collect();
    format!("*2\r\n{}*{}\r\n{all}", bulk(id), 2 * fields.len()).into_bytes()
}

fn page(entries: &[Vec<u8>]) -> Vec<u8> {
    let head = format!("*1\r\n*2\r\n$6\r\nstream\r\n*{}\r\n", entries.len());
    [head.into_bytes(), entries.concat()].concat()
}

#[test]
fn entries_are_those_that_are_read_through_the_redis_crate() {
    let data =
        r#"{"packet":{"type":2,"data":["m"]},"opts":{"rooms":["r"],"except":[],"flags":{}}}"#;
    let own =
        [("uid", "a"), ("nsp", "/"), ("type", "3"), ("data", data), ("seq", "7"), ("nonce", "9")];
    let all = [
        entry("5-1", &own),
        entry("5-2", &own[..4]),
        entry("5-3", &[("data", "\r\n*1\r\n"), ("other", "")]),
        entry("5-4", &[]),
        entry("5-5", &[("type", "3"), ("type", "2"), ("uid", "a"), ("nsp", "/")]),
        entry("6-0", &[("type", "+3"), ("uid", "\u{e9}"), ("nsp", "x")]),
    ];
    for count in 0..=all.len() {
        let bytes = page(&all[..count]);
        let expected = streams().entries(&expected(&bytes)).unwrap().into_iter();
        let expected = expected.map(|StreamEntry { position, message, .. }| ClusterInput::Entry {
            channel: 7,
            position,
            message: message.ok(),
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(entries(&bytes), Some(expected), "{count}");
        for end in 0..bytes.len() {
            assert_eq!(entries(&bytes[..end]), None, "{end} of {count}");
        }
        assert!(decode_entries(&[&bytes[..], b":"].concat(), Bounds::default()).is_err());
    }
    for nothing in [&b"*-1\r\n"[..], b"*0\r\n", b"$-1\r\n"] {
        assert_eq!(entries(nothing), Some(vec![]), "{}", nothing.escape_ascii());
    }
}

#[test]
fn entries_come_with_the_reply_to_another_command() {
    let info = b"*4\r\n$6\r\nlength\r\n:2\r\n$11\r\nfirst-entry\r\n*-1\r\n";
    let redis = streams();
    let both = |bytes: &[u8]| {
        let mut entries = Entries { redis: &redis, channel: 7, names: MessageNames::default() };
        entries.decode(bytes, 1, Bounds::default())
    };
    let first = page(&[entry("5-1", &[("data", "\r\n*1\r\n")]), entry("5-2", &[])]);
    for read in [&first[..], b"*-1\r\n", b"$-1\r\n"] {
        let bytes = [read, info].concat();
        let expected = Some((entries(read).unwrap(), vec![expected(info)]));
        assert_eq!(both(&bytes).unwrap(), expected, "{}", read.escape_ascii());
        for end in 0..bytes.len() {
            assert_eq!(both(&bytes[..end]).unwrap(), None, "{end} of {}", read.escape_ascii());
        }
        assert!(both(&[&bytes[..], b":3\r\n"].concat()).is_err());
        assert!(decode_entries(&bytes, Bounds::default()).is_err());
    }
    assert!(both(b"-NOPERM\r\n:3\r\n").is_err());
}

#[test]
fn what_is_no_page_of_entries_is_an_error() {
    let lies = [
        page(&[entry("x", &[])]),
        page(&[b"*1\r\n$3\r\n5-1\r\n".to_vec()]),
        page(&[b"*2\r\n:5\r\n*0\r\n".to_vec()]),
        page(&[b"*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\na\r\n:1\r\n".to_vec()]),
        b"*1\r\n*2\r\n$1\r\ns\r\n:1\r\n".to_vec(),
        b"-LOADING Redis is loading the dataset in memory\r\n".to_vec(),
        b"+OK\r\n".to_vec(),
    ];
    for bytes in lies {
        let read = decode_entries(&bytes, Bounds::default());
        assert!(read.is_err(), "{}", bytes.escape_ascii());
    }
}

/// The texts of the events and requests in a page are next to each other there.
#[test]
fn what_is_kept_of_an_entry_keeps_nothing_else() {
    let broadcast =
        r#"{"packet":{"type":2,"data":["m"]},"opts":{"rooms":["r"],"except":[],"flags":{}}}"#;
    let join = r#"{"opts":{"rooms":["r"],"except":[],"flags":{}},"rooms":["room"]}"#;
    for (kind, data, shares) in [("3", broadcast, true), ("4", join, false)] {
        let fields = [("uid", "a"), ("nsp", "/"), ("type", kind), ("data", data)];
        let read = entries(&page(&[entry("5-1", &fields), entry("5-2", &fields)])).unwrap();
        let texts = read.iter().map(|input| match input {
            ClusterInput::Entry { message: Some(message), .. } => match &message.body {
                Body::Broadcast(broadcast) => broadcast.options.rooms()[0].as_ptr() as usize,
                Body::SocketsJoin { rooms, .. } => rooms[0].as_ptr() as usize,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        let [first, second] = texts.collect::<Vec<_>>()[..] else { panic!() };
        let are_in_one = second.wrapping_sub(first) == entry("5-1", &fields).len();
        assert_eq!(are_in_one, shares, "{kind}");
    }
}

#[test]
fn entries_that_take_more_than_their_bytes_may_are_too_large() {
    let bounds = Bounds { reply: 20 * size_of::<ClusterInput>(), ..Bounds::default() };
    let some = |count| page(&vec![entry("5-1", &[]); count]);
    assert!(decode_entries(&some(18), bounds).unwrap().is_some());
    let error = decode_entries(&some(21), bounds).unwrap_err();
    assert!(matches!(error, RedisEngineError::ReplyTooLarge { .. }), "{error:?}");
}

#[test]
fn what_is_no_reply_is_an_error() {
    let lies: [&[u8]; 5] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n", b"$-7\r\n", b":x\r\n", b"\0\r\n"];
    for bytes in lies {
        assert!(decode_all(bytes, 1, Bounds::default()).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_reply_with_more_values_than_its_bytes_may_take_is_too_large() {
    let bounds = Bounds { reply: 100 * size_of::<RedisReply>(), ..Bounds::default() };
    let all = |count: usize| format!("*{count}\r\n{}", ":1\r\n".repeat(count)).into_bytes();
    assert!(decode_all(&all(99), 1, bounds).unwrap().is_some(), "the array is one as well");
    for bytes in [all(100), b":1\r\n".repeat(101)] {
        let error = decode_all(&bytes, 101, bounds).unwrap_err();
        assert!(matches!(error, RedisEngineError::ReplyTooLarge { .. }), "{error:?}");
    }
}

#[test]
fn an_array_in_an_array_in_an_array_is_an_error() {
    let most = usize::from(DEPTH);
    let nested = [b"*1\r\n".repeat(most), b":7\r\n".to_vec()].concat();
    let value = (0..most).fold(Value::Int(7), |value, _| Value::Array(vec![value]));
    assert_eq!(alone(&nested), Some(reply(value)));
    // Before any of them has come to its end, and before the stack has.
    for depth in [most + 1, 1 << 20] {
        assert!(decode_all(&b"*1\r\n".repeat(depth), 1, Bounds::default()).is_err(), "{depth}");
    }
}
