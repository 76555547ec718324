//! The rules about messages that are not entries.

use socketio_proto::{
    cluster::{
        ClusterOutput,
        message::{Body, BroadcastOptions, Message, NodeId, OwnKind, RequestId, Value},
    },
    socket::{Args, Event, NamespaceName},
};

use super::{
    BrokenRule, Checked, EngineUnderTest, ensure,
    node::{Answer, Node, broadcast},
    rule,
};

pub(super) async fn check(engine: &impl EngineUnderTest) -> Result<(), BrokenRule> {
    let published = "a message reaches those that it is for, as soon as they are subscribed";
    rule(published, messages(engine).await)?;
    let again = "a subscription can end and begin again, and the connection stays";
    rule(again, subscribed_again(engine).await)?;
    rule("nodes are counted, or it is said that they cannot be", counted(engine).await)
}

async fn subscribed(engine: &impl EngineUnderTest) -> Checked<Node> {
    let mut node = Node::start(engine).await?;
    let is_subscribed = |node: &Node| node.subscribed.contains(&NamespaceName::ROOT);
    node.until("is told that it is subscribed", is_subscribed).await?;
    Ok(node)
}

async fn subscribed_again(engine: &impl EngineUnderTest) -> Checked {
    let mut node = subscribed(engine).await?;
    let connections = node.connections;
    node.subscribed.clear();
    node.send(ClusterOutput::Unsubscribe { namespace: NamespaceName::ROOT });
    node.send(ClusterOutput::Subscribe { namespace: NamespaceName::ROOT });
    let is_subscribed = |node: &Node| node.subscribed.contains(&NamespaceName::ROOT);
    node.until("is told that it is subscribed again", is_subscribed).await?;
    ensure(node.connections == connections, || "it was connected anew".into())
}

fn bodies() -> Checked<(Vec<Body>, Vec<Body>)> {
    let value = Value::new(&("é", 1)).map_err(|error| error.to_string())?;
    let packet = Args::new(&("hello", [1, 2])).map_err(|error| error.to_string())?;
    let event = Event::new("volatile", &(1,)).map_err(|error| error.to_string())?;
    let Body::Broadcast(mut volatile) = broadcast(event) else { return Err("a broadcast".into()) };
    volatile.options.flags.volatile = Some(true);
    let request = RequestId::new("0123456789abcdef").ok_or("a name")?;
    let to_all = vec![
        Body::InitialHeartbeat,
        Body::Heartbeat,
        Body::Broadcast(volatile.clone()),
        Body::Broadcast(volatile.with_request(request.clone())),
        Body::FetchSockets { options: BroadcastOptions::all().to("a"), request: request.clone() },
        Body::ServerSideEmit { packet, request: Some(request.clone()) },
    ];
    let to_one = vec![
        Body::FetchSocketsResponse { request: request.clone(), sockets: Vec::new() },
        Body::ServerSideEmitResponse { request: request.clone(), answer: value.clone() },
        Body::BroadcastClientCount { request: request.clone(), client_count: 3 },
        Body::BroadcastAck { request, answer: value.clone() },
        Body::Own { kind: OwnKind::RecordAbsent, data: value },
    ];
    Ok((to_all, to_one))
}

async fn messages(engine: &impl EngineUnderTest) -> Checked {
    let mut sender = subscribed(engine).await?;
    let (mut one, mut other) = (subscribed(engine).await?, subscribed(engine).await?);
    let (to_all, to_one) = bodies()?;
    for body in &to_one {
        sender.publish(Some(&one.id), body.clone());
    }
    for body in &to_all {
        sender.publish(None, body.clone());
    }
    // Each way keeps its order, so these are the last ones.
    sender.publish(Some(&one.id), Body::Heartbeat);
    sender.publish(None, Body::AdapterClose);
    let id = sender.id.clone();
    let kinds = |node: &Node| -> Vec<u64> { from(node, &id).map(|it| it.body.kind()).collect() };
    let mut of_all: Vec<u64> = to_all.iter().map(Body::kind).collect();
    of_all.push(Body::AdapterClose.kind());
    let mut of_one = of_all.clone();
    of_one.extend(to_one.iter().map(Body::kind));
    of_one.push(Body::Heartbeat.kind());
    for (node, wanted) in [(&mut one, &mut of_one), (&mut other, &mut of_all)] {
        let count = wanted.len();
        node.until("receives what is for it", |node| kinds(node).len() >= count).await?;
        wanted.sort_unstable();
        let mut received = kinds(node);
        received.sort_unstable();
        ensure(received == *wanted, || format!("of {wanted:?}, it has received {received:?}"))?;
    }
    ensure(from(&one, &id).all(|message| message.stamp.is_some()), || {
        "the mark of the sender is gone".into()
    })
}

fn from<'a>(node: &'a Node, sender: &'a NodeId) -> impl Iterator<Item = &'a Message> {
    node.messages.iter().filter(move |message| message.sender == *sender)
}

async fn counted(engine: &impl EngineUnderTest) -> Checked {
    let mut node = subscribed(engine).await?;
    let _other = subscribed(engine).await?;
    let count = |number| ClusterOutput::CountServers { namespace: NamespaceName::ROOT, number };
    match node.ask(count).await? {
        Answer::Counted(None) => Ok(()),
        // Those of earlier tests may not be gone yet.
        Answer::Counted(Some(servers)) => {
            ensure(servers >= 2, || format!("there are 2 nodes, and it counts {servers}"))
        }
        other => Err(format!("another answer: {other:?}")),
    }
}
