//! The rules about stored sessions.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    RecoveryKey, SocketId,
    cluster::{
        ClusterOutput, FetchedSession, StoreOutcome,
        message::{StoredSession, Value},
    },
};
use tokio::time::{Instant, sleep};

use super::{
    BrokenRule, Checked, EngineUnderTest, PATIENCE, ensure,
    node::{Answer, Node},
    rule,
};
use crate::entropy;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) async fn check(engine: &impl EngineUnderTest) -> Result<(), BrokenRule> {
    rule("a session is kept as it was stored", kept(engine).await)?;
    rule("of several nodes that take a session, one gets it", raced(engine).await)?;
    let taken_rule = "a session is taken if it has the version that is asked for, and only then";
    rule(taken_rule, taken(engine).await)?;
    let replaced_rule = "a session that replaces a version replaces this one only";
    rule(replaced_rule, replaced(engine).await)?;
    let order = "commands take effect in their order, appends included";
    rule(order, in_order(engine).await)?;
    rule("a session is gone when its time is over", expired(engine).await)
}

fn session(version: u64) -> Checked<StoredSession> {
    let sid = SocketId::from_entropy(&mut entropy);
    let pid = RecoveryKey::from_entropy(&mut entropy);
    let fails = |error: &dyn std::fmt::Display| error.to_string();
    let bytes = Bytes::from_static(b"\0\xff");
    let data = Value::new(&("é\0'\"", bytes, version)).map_err(|error| fails(&error))?;
    let rooms = vec![sid.as_str().into(), "a room\0é".into()];
    let mut session = StoredSession::new(sid, pid, rooms, data);
    session.extension = Some(Value::new(&[version]).map_err(|error| fails(&error))?);
    Ok(session)
}

async fn store(node: &mut Node, session: &StoredSession, expires_in: Duration) -> Checked {
    let session = session.clone();
    let command = |number| ClusterOutput::Store { session, expires_in, replaces: None, number };
    match node.ask(command).await? {
        Answer::Stored(StoreOutcome::Stored) => Ok(()),
        other => Err(format!("it is not stored: {other:?}")),
    }
}

/// Stores it if it replaces this version. Answers whether it has done so.
async fn replace(node: &mut Node, session: &StoredSession, version: u64) -> Checked<bool> {
    let number = begin_to_replace(node, session, version);
    is_replaced(&node.answer(number).await?)
}

fn begin_to_replace(node: &mut Node, session: &StoredSession, version: u64) -> u64 {
    let (session, replaces) = (session.clone(), Some(version));
    node.send_numbered(|number| ClusterOutput::Store {
        session,
        expires_in: HOUR,
        replaces,
        number,
    })
}

fn is_replaced(answer: &Answer) -> Checked<bool> {
    match answer {
        Answer::Stored(StoreOutcome::Stored) => Ok(true),
        Answer::Stored(StoreOutcome::Superseded) => Ok(false),
        other => Err(format!("another answer: {other:?}")),
    }
}

async fn fetch(node: &mut Node, key: &RecoveryKey) -> Checked<Option<FetchedSession>> {
    let key = *key;
    fetched(node.ask(|number| ClusterOutput::Fetch { key, number }).await?)
}

/// Takes it if it has the version of this one. Answers what was there.
async fn take(node: &mut Node, session: &StoredSession) -> Checked<Option<FetchedSession>> {
    let (key, version) = (session.pid, session.version);
    fetched(node.ask(|number| ClusterOutput::Take { key, version, number }).await?)
}

fn fetched(answer: Answer) -> Checked<Option<FetchedSession>> {
    match answer {
        Answer::Fetched(session) => Ok(session),
        other => Err(format!("another answer: {other:?}")),
    }
}

async fn kept(engine: &impl EngineUnderTest) -> Checked {
    let (mut owner, mut other) = (Node::start(engine).await?, Node::start(engine).await?);
    let (mut session, absent) = (session(1)?, session(1)?);
    store(&mut owner, &session, HOUR).await?;
    ensure(fetch(&mut other, &absent.pid).await?.is_none(), || "another one was found".into())?;
    for _ in 0..2 {
        let found = fetch(&mut other, &session.pid).await?.ok_or("it is not there")?;
        ensure(found.session == session, || format!("it was {session:?}, and is {found:?}"))?;
        let is_kept = found.expires_in <= HOUR && found.expires_in > HOUR / 2;
        ensure(is_kept, || format!("of an hour, {:?} are left", found.expires_in))?;
    }
    // It is replaced.
    session.rooms.push("another room".into());
    store(&mut owner, &session, HOUR * 2).await?;
    let taken = take(&mut other, &session).await?.ok_or("it is not there")?;
    ensure(taken.session == session && taken.expires_in > HOUR, || "it was not replaced".into())?;
    for gone in [take(&mut owner, &session).await?, fetch(&mut other, &session.pid).await?] {
        ensure(gone.is_none(), || "it was taken, and is still there".into())?;
    }
    Ok(())
}

async fn taken(engine: &impl EngineUnderTest) -> Checked {
    let (mut owner, mut other) = (Node::start(engine).await?, Node::start(engine).await?);
    let unversioned = session(1)?;
    let with = |version| {
        let mut session = unversioned.clone();
        session.version = version;
        session
    };
    let versions = [None, Some(1), Some(u64::MAX)];
    for version in versions {
        let stored = with(version);
        store(&mut owner, &stored, HOUR).await?;
        for wrong in versions.into_iter().filter(|wrong| *wrong != version) {
            let found = take(&mut other, &with(wrong)).await?;
            let found =
                found.ok_or_else(|| format!("{wrong:?} was asked for, {version:?} is gone"))?;
            ensure(found.session == stored, || format!("it was {version:?}, and is {found:?}"))?;
        }
        let taken = take(&mut other, &stored).await?.ok_or("it is not there")?;
        ensure(taken.session == stored, || format!("it was {version:?}, and is {taken:?}"))?;
        let left = fetch(&mut owner, &stored.pid).await?;
        ensure(left.is_none(), || format!("{version:?} was taken, and is still there"))?;
    }
    Ok(())
}

async fn raced(engine: &impl EngineUnderTest) -> Checked {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(Node::start(engine).await?);
    }
    for _ in 0..20 {
        let session = session(1)?;
        let first = nodes.first_mut().ok_or("a node")?;
        store(first, &session, HOUR).await?;
        let (key, version) = (session.pid, session.version);
        let take = |number| ClusterOutput::Take { key, version, number };
        let asked: Vec<u64> = nodes.iter_mut().map(|node| node.send_numbered(take)).collect();
        let mut got = 0;
        for (node, number) in nodes.iter_mut().zip(asked) {
            got += usize::from(fetched(node.answer(number).await?)?.is_some());
        }
        ensure(got == 1, || format!("{got} nodes have got it"))?;
    }
    Ok(())
}

async fn replaced(engine: &impl EngineUnderTest) -> Checked {
    let (mut owner, mut other) = (Node::start(engine).await?, Node::start(engine).await?);
    let mut session = session(1)?;
    let version = |session: &StoredSession, version| {
        let mut session = session.clone();
        session.version = Some(version);
        session
    };
    let latest = u64::MAX;
    ensure(!replace(&mut owner, &session, 1).await?, || "there was none to replace".into())?;
    // One of an official node has no version.
    store(&mut owner, &session, HOUR).await?;
    ensure(!replace(&mut owner, &session, 1).await?, || "it had no version".into())?;
    session = version(&session, 1);
    store(&mut owner, &session, HOUR).await?;
    ensure(replace(&mut other, &version(&session, latest), 1).await?, || {
        "it was version 1".into()
    })?;
    let old = version(&session, 2);
    ensure(!replace(&mut owner, &old, 1).await?, || "the version was another one".into())?;
    let found = fetch(&mut owner, &session.pid).await?.ok_or("it is gone")?;
    ensure(found.session == version(&session, latest), || format!("it is {found:?}"))?;
    // Of two that replace the same version, one does.
    let new = version(&session, 3);
    let asked = [&mut owner, &mut other].map(|node| begin_to_replace(node, &new, latest));
    let mut done = 0;
    for (node, number) in [&mut owner, &mut other].into_iter().zip(asked) {
        done += usize::from(is_replaced(&node.answer(number).await?)?);
    }
    ensure(done == 1, || format!("{done} nodes have replaced the same version"))?;
    ensure(take(&mut owner, &new).await?.is_some(), || "it is gone".into())?;
    ensure(!replace(&mut other, &session, 3).await?, || "it was taken before".into())?;
    ensure(fetch(&mut other, &session.pid).await?.is_none(), || "it is there again".into())
}

async fn in_order(engine: &impl EngineUnderTest) -> Checked {
    let (mut writer, mut reader) = (Node::start(engine).await?, Node::start(engine).await?);
    for number in 0..20 {
        let session = session(1)?;
        let (key, stored) = (session.pid, session.clone());
        let first = writer.send_numbered(|number| ClusterOutput::Store {
            session: stored,
            expires_in: HOUR,
            replaces: None,
            number,
        });
        writer.append_number(number)?;
        let id = writer.id.clone();
        reader
            .until("reads an entry", |node| {
                let read = node.stamped().filter_map(|(_, message)| message.as_ref());
                read.filter(|message| message.sender == id).count() == number + 1
            })
            .await?;
        let found = fetch(&mut reader, &key).await?;
        ensure(found.is_some(), || "an entry was read before what was stored before it".into())?;
        writer.answer(first).await?;
        // A take and then a store.
        let version = session.version;
        let taken = writer.send_numbered(|number| ClusterOutput::Take { key, version, number });
        store(&mut writer, &session, HOUR).await?;
        ensure(fetched(writer.answer(taken).await?)?.is_some(), || "it was not taken".into())?;
        let found = fetch(&mut reader, &session.pid).await?;
        ensure(found.is_some(), || "it was taken after it was stored again".into())?;
    }
    Ok(())
}

async fn expired(engine: &impl EngineUnderTest) -> Checked {
    let (mut owner, mut other) = (Node::start(engine).await?, Node::start(engine).await?);
    let session = session(1)?;
    store(&mut owner, &session, Duration::from_secs(1)).await?;
    let deadline = Instant::now() + PATIENCE;
    while fetch(&mut other, &session.pid).await?.is_some() {
        ensure(Instant::now() < deadline, || "it is kept".into())?;
        sleep(Duration::from_millis(50)).await;
    }
    ensure(take(&mut owner, &session).await?.is_none(), || "it can be taken".into())
}
