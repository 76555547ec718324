//! A reader, and a Redis that answers as it is told to.

use socketio_proto::cluster::{engines::redis_streams::RedisStreamsOptions, message::MessageNames};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::bounds::Bounds;

/// What a stream says of itself that has had entries 1 to `added`, of which those up to `trimmed` are gone.
fn info(trimmed: u64, added: u64) -> String {
    let first = trimmed + 1;
    format!(
        "*8\r\n$6\r\nlength\r\n:{}\r\n$17\r\nlast-generated-id\r\n$3\r\n5-{added}\r\n$13\r\nentries-added\r\n:{added}\r\n\
         $11\r\nfirst-entry\r\n*2\r\n$3\r\n5-{first}\r\n*0\r\n",
        added - trimmed,
    )
}

fn page(numbers: &[u64]) -> String {
    let entry = |number: &u64| format!("*2\r\n$3\r\n5-{number}\r\n*0\r\n");
    let entries: String = numbers.iter().map(entry).collect();
    format!("*1\r\n*2\r\n$1\r\ns\r\n*{}\r\n{entries}", numbers.len())
}

/// Expects these commands at once, and answers them.
async fn answer(server: &mut TcpStream, commands: &[&str], answers: &str) {
    let mut buffer = [0; 4096];
    let len = server.read(&mut buffer).await.unwrap();
    let sent = String::from_utf8_lossy(&buffer[..len]);
    let names: Vec<_> = sent.lines().filter(|line| ["XREAD", "XINFO"].contains(line)).collect();
    assert_eq!(names, commands);
    server.write_all(answers.as_bytes()).await.unwrap();
}

/// Reads pages of two behind entry 1. Returns the number of the last entry that was read, and the error.
async fn read(steps: &[(&[&str], String)]) -> (u64, RedisEngineError) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let redis = RedisStreams::new(RedisStreamsOptions::new().read_count(2)).unwrap();
    let client = redis::Client::open(url).unwrap();
    let connection = Connection::open(&client, Bounds::default());
    let (connection, accepted) = tokio::join!(connection, listener.accept());
    let mut server = accepted.unwrap().0;
    let mut position = Position { at: Offset::pair(5, 1), index: Some(1) };
    let mut reader = Reader {
        entries: Entries { redis: &redis, channel: 0, names: MessageNames::default() },
        stream: "s",
        connection: connection.unwrap(),
        oldest: position,
        position: &mut None,
        large: &mut 0,
        is_behind: false,
    };
    let read = async {
        loop {
            match reader.page(position).await {
                Ok((_, end)) => position = end,
                Err(error) => break error,
            }
        }
    };
    let serve = async {
        for (commands, answers) in steps {
            answer(&mut server, commands, answers).await;
        }
        drop(server);
    };
    let (error, ()) = tokio::join!(read, serve);
    (position.at.numbers().unwrap().1, error)
}

#[tokio::test]
async fn a_reader_that_is_behind_asks_for_two_things_at_once() {
    let (last, error) = read(&[
        (&["XREAD"], page(&[2, 3])),
        (&["XINFO"], info(0, 6)),
        (&["XREAD", "XINFO"], page(&[4, 5]) + &info(3, 6)),
        // It is no more behind than this one: nothing more is there, so nothing is missing.
        (&["XREAD", "XINFO"], page(&[6]) + &info(6, 7)),
        (&["XREAD"], page(&[7])),
        (&["XREAD"], "*-1\r\n".into()),
        (&["XREAD"], page(&[8, 9])),
        (&["XINFO"], info(0, 9)),
        (&["XREAD", "XINFO"], "*-1\r\n".to_owned() + &info(8, 9)),
    ])
    .await;
    assert_eq!(last, 9);
    assert!(matches!(error, RedisEngineError::Closed), "{error}");
}

#[tokio::test]
async fn a_gap_is_found_while_the_reader_is_behind() {
    let gaps = [
        [(&["XREAD"][..], page(&[3, 4])), (&["XINFO"], info(2, 9))],
        [(&["XREAD"][..], page(&[2, 3])), (&["XINFO"], info(0, 9))],
    ];
    let later = [(&["XREAD", "XINFO"][..], page(&[5, 6]) + &info(4, 9))];
    for (steps, read_before) in [(&gaps[0][..], 1), (&[&gaps[1][..], &later].concat(), 3)] {
        let (last, error) = read(steps).await;
        assert_eq!(last, read_before);
        assert!(matches!(error, RedisEngineError::Trimmed), "{error}");
    }
}
