//! The rules about entries.

use std::collections::BTreeMap;

use bytes::Bytes;
use socketio_proto::{
    cluster::message::{Body, BroadcastOptions, Message, OwnKind, Value},
    recovery::Offset,
    socket::Event,
};
use tokio::task::yield_now;

use super::{
    BrokenRule, Checked, EngineUnderTest, ensure,
    node::{Entry, Node, broadcast},
    rule,
};

/// Entries of each node.
const ENTRIES: usize = 100;
/// How often connections are broken.
const BREAKS: usize = 5;

pub(super) async fn check(engine: &impl EngineUnderTest) -> Result<(), BrokenRule> {
    let order = "all nodes read all entries, their own included, in one order";
    rule(order, one_order(engine).await)?;
    let later = "a node that comes later reads everything behind the position that it is told";
    rule(later, later_node(engine).await)?;
    rule("entries come back as they were", contents(engine).await)?;
    let damage = "what nobody can read has a position at most, and stops nothing";
    rule(damage, damaged(engine).await)?;
    let breaks = "after a break, a node reads on without a gap, or is told that there is one";
    rule(breaks, broken(engine).await)
}

async fn one_order(engine: &impl EngineUnderTest) -> Checked {
    let mut nodes = [Node::start(engine).await?, Node::start(engine).await?];
    let third = Node::start(engine).await?;
    for number in 0..ENTRIES {
        for node in &mut nodes {
            node.append_number(number)?;
        }
        // So that those of both are between each other.
        yield_now().await;
    }
    let [first, second] = nodes;
    let mut read = Vec::new();
    for mut node in [first, second, third] {
        // Each has come at another position, but before the first entry of these.
        node.until("reads all entries", |node| node.has_read(2 * ENTRIES)).await?;
        read.push(node);
    }
    let of = |node: &Node| -> Vec<Entry> {
        let all: Vec<Entry> = node.stamped().cloned().collect();
        all.iter().rev().take(2 * ENTRIES).rev().cloned().collect()
    };
    let orders: Vec<_> = read.iter().map(of).collect();
    let [first, others @ ..] = &orders[..] else { return Ok(()) };
    for other in others {
        ensure(first == other, || "two nodes have read different orders".into())?;
    }
    for node in &read {
        let own = first.iter().filter_map(|(_, message)| message.as_ref());
        let own = own.filter(|message| message.sender == node.id);
        let sequences: Vec<_> = own.filter_map(|message| message.stamp).collect();
        ensure(sequences.is_sorted(), || "entries of one node have changed their order".into())?;
    }
    Ok(())
}

async fn later_node(engine: &impl EngineUnderTest) -> Checked {
    let mut first = Node::start(engine).await?;
    for number in 0..ENTRIES {
        first.append_number(number)?;
    }
    first.flush().await?;
    let mut later = Node::start(engine).await?;
    let oldest = later.oldest.ok_or("not connected")?;
    let last = first.entries().last().map(|(position, _)| *position);
    let has_log = engine.has_log();
    ensure(!has_log || Some(oldest) < last, || format!("it keeps nothing before {oldest}"))?;
    later.flush().await?;
    first
        .until("reads the entry of the other", |node| {
            node.entries().last().map(|(at, _)| *at) >= later.entries().last().map(|(at, _)| *at)
        })
        .await?;
    let behind = |node: &Node| -> Vec<Entry> {
        let from = oldest.max(first.oldest.unwrap_or(oldest));
        node.entries().filter(|(position, _)| *position > from).cloned().collect()
    };
    ensure(behind(&later) == behind(&first), || {
        format!("behind {oldest}, it has read other entries than a node that was there")
    })
}

async fn contents(engine: &impl EngineUnderTest) -> Checked {
    let (mut writer, mut reader) = (Node::start(engine).await?, Node::start(engine).await?);
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    let text = "\0\u{1}\"\\/'`$;--\u{2028}é😀\u{10ffff}".repeat(20);
    let events = [
        Event::new("plain", &(1, -1.5, u64::MAX, &text, None::<u8>)).map_err(|it| said(&it))?,
        Event::new("bytes", &(&bytes, [&bytes, &Bytes::new()], &text)).map_err(|it| said(&it))?,
        Event::new("large", &("x".repeat(300_000), Bytes::from(vec![7; 300_000])))
            .map_err(|it| said(&it))?,
    ];
    let rooms = vec![text.as_str().into(), "".into()];
    let options = BroadcastOptions::all().to("a").to(&*text).except("b");
    let mut bodies: Vec<Body> = events.into_iter().map(broadcast).collect();
    bodies.extend([
        Body::SocketsJoin { options: options.clone(), rooms: rooms.clone() },
        Body::SocketsLeave { options: options.clone(), rooms },
        Body::DisconnectSockets { options, close: true },
        Body::Own {
            kind: OwnKind::Claim,
            data: Value::new(&(&text, &bytes)).map_err(|it| said(&it))?,
        },
    ]);
    for body in &bodies {
        writer.append(body.clone());
    }
    writer.flush().await?;
    let (id, count) = (writer.id.clone(), bodies.len());
    let of_writer = |node: &Node| -> Vec<Body> {
        let read = node.stamped().filter_map(|(_, message)| message.as_ref());
        read.filter(|message| message.sender == id).map(|message| message.body.clone()).collect()
    };
    reader
        .until("reads entries with all kinds of contents", |node| of_writer(node).len() > count)
        .await?;
    for node in [&writer, &reader] {
        for (wanted, read) in bodies.iter().zip(of_writer(node)) {
            let (wanted, read) = (shown(wanted)?, shown(&read)?);
            ensure(wanted == read, || format!("it was {wanted:.300}, and is {read:.300}"))?;
        }
    }
    Ok(())
}

/// What a body says. A broadcast that was received does not equal the one that was made.
fn shown(body: &Body) -> Checked<String> {
    let Body::Broadcast(broadcast) = body else { return Ok(format!("{body:?}")) };
    let packet = broadcast.packet().map_err(|error| error.to_string())?;
    Ok(format!("{:?} {:?} {:?}", broadcast.options, packet, packet.event.attachments()))
}

async fn damaged(engine: &impl EngineUnderTest) -> Checked {
    let (mut writer, mut reader) = (Node::start(engine).await?, Node::start(engine).await?);
    writer.append_number(0)?;
    engine.damage().await;
    writer.flush().await?;
    let id = writer.id.clone();
    let is_there = |node: &Node| {
        let of_writer = node.stamped().filter_map(|(_, message)| message.as_ref());
        of_writer.filter(|message| message.sender == id).count() == 2
    };
    reader.until("reads what was appended behind it", is_there).await?;
    ensure(reader.connections == 1 && writer.connections == 1, || "a connection was lost".into())
}

async fn broken(engine: &impl EngineUnderTest) -> Checked {
    let mut nodes = [Node::start(engine).await?, Node::start(engine).await?];
    for number in 0..BREAKS {
        for node in &mut nodes {
            for _ in 0..ENTRIES {
                node.append_number(number)?;
            }
        }
        engine.break_connections().await;
        for node in &mut nodes {
            // It may not have noticed yet, or have come back already.
            node.flush().await?;
            node.until("is connected", Node::is_open).await?;
        }
    }
    for node in &mut nodes {
        node.flush().await?;
    }
    if engine.has_log() {
        let appended = nodes.iter().map(Node::appended).sum();
        for node in &mut nodes {
            let has_all = |node: &Node| node.has_read(appended);
            node.until("reads all entries of both, over all breaks", has_all).await?;
        }
    }
    let mut all: BTreeMap<Offset, Option<Message>> = BTreeMap::new();
    for node in &nodes {
        for (position, message) in node.entries() {
            let other = all.insert(*position, message.clone());
            ensure(other.is_none_or(|other| other == *message), || {
                format!("two nodes have read different entries at {position}")
            })?;
        }
    }
    for node in &nodes {
        ensure(!engine.has_log() || node.segments.len() == 1, || {
            "a gap, although it has a log".into()
        })?;
        for segment in &node.segments {
            no_hole(&all, segment)?;
        }
        no_double(node)?;
        ensure(node.has_read(1), || "it has read nothing".into())?;
    }
    Ok(())
}

/// Whether a node has read everything between its first and its last entry that another has read.
fn no_hole(all: &BTreeMap<Offset, Option<Message>>, segment: &[Entry]) -> Checked {
    let (Some((first, _)), Some((last, _))) = (segment.first(), segment.last()) else {
        return Ok(());
    };
    let missing = all.range(first..=last).count().saturating_sub(segment.len());
    ensure(missing == 0, || format!("{missing} entries are missing, and no gap was told"))
}

fn no_double(node: &Node) -> Checked {
    let mut seen = BTreeMap::new();
    for (position, message) in node.stamped() {
        let Some(message) = message else { continue };
        let stamp = message.stamp.map(|stamp| (stamp.nonce, stamp.sequence));
        if let Some(first) = seen.insert((message.sender.clone(), stamp), position) {
            return Err(format!("an entry is there twice: at {first} and {position}"));
        }
    }
    Ok(())
}
