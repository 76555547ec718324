//! Typed arguments, what handlers return, and what nobody handles.

use bytes::Bytes;
use serde::Deserialize;
use socketio_proto::{
    Limits, ServerConfig,
    server::ServerEvent,
    socket::{Args, Binary},
};
use socketio_proto_tokio::{
    Context,
    router::{ErrorAnswer, EventError, Namespace, Received, Router},
};

use super::{Notes, Site};

#[derive(Deserialize)]
struct Optional {
    name: String,
    #[serde(default)]
    count: Option<u32>,
}

#[tokio::test]
async fn arguments_are_typed_and_the_result_is_the_acknowledgement() {
    let namespace = Namespace::<()>::new()
        .on("nothing", |_, _, (): ()| ())
        .on("add", |_, _, (a, b): (u32, u32)| (a + b, "sum"))
        .on("many", |_, _, numbers: Vec<u32>| (numbers.len(),))
        .on("optional", |_, _, Optional { name, count }| (name, count))
        .on("parse", |_, _, (text,): (String,)| -> Result<(u32,), ErrorAnswer> {
            Ok((text.parse()?,))
        })
        .on("none", |_, _, (): ()| None::<()>)
        .on("raw", |_, received, (): ()| received.event.args())
        .on_async("later", async |_, (text,): (String,)| {
            tokio::task::yield_now().await;
            (text,)
        });
    let site = Site::main(namespace).await;
    let mut client = site.connect().await;
    for (sent, answered) in [
        (r#"421["nothing",1]"#, "431[]"),
        (r#"422["add",2,3,"and more"]"#, r#"432[5,"sum"]"#),
        (r#"423["many",1,2,3]"#, "433[3]"),
        (r#"424["optional","a"]"#, r#"434["a",null]"#),
        (r#"425["optional","a",5]"#, r#"435["a",5]"#),
        (r#"426["parse","6"]"#, "436[6]"),
        (r#"427["parse","x"]"#, r#"437[{"error":"invalid digit found in string"}]"#),
        (r#"428["raw",{"a":[1]}]"#, r#"438[{"a":[1]}]"#),
        (r#"429["later","ü"]"#, r#"439["ü"]"#),
        // Nobody answers these, and the next one is answered.
        (r#"4210["none"]"#, ""),
        (r#"4211["unknown"]"#, ""),
        (r#"42["add",1,2]"#, ""),
        (r#"4212["nothing"]"#, "4312[]"),
    ] {
        client.send(sent).await;
        if !answered.is_empty() {
            assert_eq!(client.packet().await, answered, "{sent}");
        }
    }
}

fn never(_: &mut Context<'_, ()>, _: &Received<()>, _: (String,)) {
    unreachable!()
}

#[tokio::test]
async fn wrong_arguments_never_reach_a_handler() {
    let notes = Notes::default();
    let errors = notes.clone();
    let strict = Namespace::<()>::new()
        .on("say", never)
        .on_async("later", async |_, _: (String,)| -> () { unreachable!() });
    let told = Namespace::<()>::new().on("say", never).on_error(move |_, received, error| {
        errors.add(format!("{}: {error}", received.event.name()));
        assert!(matches!(error, EventError::Args(_)));
        ("my own words",)
    });
    let router = Router::new().namespace("/", strict).namespace("/told", told);
    let site = Site::start(ServerConfig::new(), router).await;
    let mut client = site.connect().await;
    for event in ["say", "later"] {
        for args in ["", ",1", ",{\"a\":1}", ",null"] {
            client.send(&format!("42[\"{event}\"{args}]")).await;
            client.send(&format!("421[\"{event}\"{args}]")).await;
            let answer = client.packet().await;
            assert!(answer.starts_with("431[{\"error\":\"unexpected argument: "), "{answer}");
        }
    }
    client.send("40/told").await;
    assert!(client.packet().await.starts_with("40/told,"));
    client.send("42/told,[\"say\",1]").await;
    client.send("42/told,2[\"say\",2]").await;
    assert_eq!(client.packet().await, "43/told,2[\"my own words\"]");
    let notes = notes.all();
    assert_eq!(notes.len(), 2, "also the one without an acknowledgement");
    assert!(notes[0].starts_with("say: unexpected argument: "), "{notes:?}");
}

#[tokio::test]
async fn attachments() {
    let namespace = Namespace::<()>::new()
        .on("size", |_, received, (name, file): (String, Binary)| {
            (name, file.resolve(&received.event).map(Bytes::len))
        })
        .on_async("size later", async |received, (file,): (Binary,)| {
            tokio::task::yield_now().await;
            (file.resolve(&received.event).map(Bytes::len),)
        });
    let site = Site::main(namespace).await;
    let mut client = site.connect().await;
    client.send(r#"451-1["size","a",{"_placeholder":true,"num":0}]"#).await;
    client.send_bytes(&[1, 2, 3]).await;
    assert_eq!(client.packet().await, r#"431["a",3]"#);
    client.send(r#"451-2["size later",{"_placeholder":true,"num":0}]"#).await;
    client.send_bytes(&[1, 2]).await;
    assert_eq!(client.packet().await, "432[2]");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error() {
    let notes = Notes::default();
    let errors = notes.clone();
    let namespace = Namespace::<()>::new().on("large", |_, _, (): ()| ("x".repeat(2_000),));
    let told = Namespace::<()>::new().on("large", |_, _, (): ()| ("x".repeat(2_000),));
    let told = told.on_error(move |_, _, error| {
        errors.add(error.to_string());
        // This one is too large as well.
        ("y".repeat(2_000),)
    });
    let router = Router::new().namespace("/", namespace).namespace("/told", told);
    let config = ServerConfig::new().limits(Limits::new().outgoing_bytes(1_000));
    let site = Site::start(config, router).await;
    let mut client = site.connect().await;
    client.send("421[\"large\"]").await;
    let answer = client.packet().await;
    assert!(answer.starts_with("431[{\"error\":\"the answer cannot be sent: "), "{answer}");
    client.send("40/told").await;
    client.packet().await;
    client.send("42/told,2[\"large\"]").await;
    let answer = client.packet().await;
    assert!(answer.starts_with("43/told,2[{\"error\":\"the answer cannot be sent: "), "{answer}");
    assert_eq!(notes.all().len(), 1);
}

#[tokio::test]
async fn a_handler_can_acknowledge_by_itself() {
    let namespace = Namespace::<()>::new()
        .on("ask", |cx, received, (): ()| {
            let token = received.take_ack().unwrap();
            assert!(received.take_ack().is_none());
            assert!(cx.at().ack(token, &Args::new(&("mine",)).unwrap()));
            ("not sent",)
        })
        .on_async("ask later", async |received, (): ()| {
            let token = received.take_ack().unwrap();
            let answer = Args::new(&("later",)).unwrap();
            received.handle.with(move |_, cx| cx.at().ack(token, &answer)).await.unwrap();
            ("not sent",)
        });
    let site = Site::main(namespace).await;
    let mut client = site.connect().await;
    for (sent, answered) in [
        ("421[\"ask\"]", "431[\"mine\"]"),
        ("422[\"ask later\"]", "432[\"later\"]"),
        ("423[\"ask\"]", "433[\"mine\"]"),
    ] {
        client.send(sent).await;
        assert_eq!(client.packet().await, answered);
    }
}

#[tokio::test]
async fn what_has_no_handler() {
    let notes = Notes::default();
    let others = notes.clone();
    let fallback = Namespace::<()>::new()
        .on("known", |_, _, (): ()| ("known",))
        .fallback(|_, received| (received.event.name().to_owned(), received.event.len()));
    let tenant = Namespace::<()>::new()
        .on("who", |_, received, (): ()| (received.namespace.as_str().to_owned(),));
    let router = Router::new()
        .namespace("/", fallback)
        .namespace("t-own", Namespace::new())
        .namespaces_matching(|name| name.starts_with("/t-"), tenant)
        .on_other(move |cx, event| match event {
            ServerEvent::ConnectRequested { request, namespace, .. } => {
                others.add(namespace.as_str());
                cx.at().accept(request);
            }
            ServerEvent::Received { event, .. } => others.add(event.name()),
            ServerEvent::ConnectionOpened { .. } => others.add("opened"),
            ServerEvent::ConnectionClosed { .. } => others.add("closed"),
            _ => {}
        });
    let site = Site::start(ServerConfig::new(), router).await;
    site.handle.with(|_, cx| cx.at().add_namespace("/by-hand").unwrap()).await.unwrap();
    let mut client = site.connect().await;
    client.send("421[\"known\"]").await;
    assert_eq!(client.packet().await, "431[\"known\"]");
    client.send("422[\"other\",1,2]").await;
    assert_eq!(client.packet().await, "432[\"other\",2]");

    client.send("40/t-1").await;
    assert!(client.packet().await.starts_with("40/t-1,"));
    client.send("42/t-1,3[\"who\"]").await;
    assert_eq!(client.packet().await, "43/t-1,3[\"/t-1\"]");
    client.send("40/t-own").await;
    assert!(client.packet().await.starts_with("40/t-own,"));
    client.send("42/t-own,4[\"who\"]").await;

    client.send("40/by-hand").await;
    assert!(client.packet().await.starts_with("40/by-hand,"), "the static one was asked");
    client.send("42/by-hand,[\"hello\"]").await;
    client.send("40/none").await;
    assert_eq!(client.packet().await, "44/none,{\"message\":\"Invalid namespace\"}");
    client.close().await;
    assert_eq!(notes.until(4).await, ["opened", "/by-hand", "hello", "closed"]);
}

#[tokio::test]
async fn a_namespace_of_nobody_is_refused() {
    let site = Site::main(Namespace::<()>::new()).await;
    site.handle.with(|_, cx| cx.at().add_namespace("/by-hand").unwrap()).await.unwrap();
    let mut client = site.connect().await;
    client.send("40/by-hand").await;
    assert_eq!(client.packet().await, "44/by-hand,{\"message\":\"Invalid namespace\"}");
}

#[tokio::test]
async fn a_panic_harms_nobody_else() {
    let notes = Notes::default();
    let errors = notes.clone();
    let namespace = Namespace::<()>::new()
        .on("panic", |_, _, (): ()| -> () { panic!("on purpose") })
        .on_async("panic at once", async |_, (): ()| -> () { panic!("on purpose") })
        .on_async("panic later", async |_, (): ()| -> () {
            tokio::task::yield_now().await;
            panic!("on purpose")
        })
        .on("well", |_, _, (): ()| ())
        .on_connect(|_, _| panic!("on purpose"))
        .on_disconnecting(|_, _| panic!("on purpose"));
    let worse = Namespace::<()>::new().on("panic", |_, _, (): ()| -> () { panic!("on purpose") });
    let worse = worse.on_error(move |_, _, error| -> () {
        errors.add(error.to_string());
        panic!("on purpose")
    });
    let router = Router::new().namespace("/", namespace).namespace("/worse", worse);
    let site = Site::start(ServerConfig::new(), router).await;
    let mut bystander = site.connect().await;
    let mut client = site.connect().await;
    for event in ["panic", "panic at once", "panic later"] {
        client.send(&format!("421[\"{event}\"]")).await;
        assert_eq!(client.packet().await, "431[{\"error\":\"internal error\"}]");
    }
    client.send("40/worse").await;
    client.packet().await;
    client.send("42/worse,1[\"panic\"]").await;
    assert_eq!(client.packet().await, "43/worse,1[{\"error\":\"internal error\"}]");
    assert_eq!(notes.all(), ["internal error"]);
    client.close().await;
    bystander.send("422[\"well\"]").await;
    assert_eq!(bystander.packet().await, "432[]");
}

#[test]
#[should_panic(expected = "`disconnecting` is reserved")]
fn an_event_that_no_client_can_emit() {
    drop(Namespace::<()>::new().on("disconnecting", |_, _, (): ()| ()));
}

#[test]
#[should_panic(expected = "`a,b` cannot be the name of a namespace")]
fn a_name_that_no_namespace_can_have() {
    drop(Router::<()>::new().namespace("a,b", Namespace::new()));
}

#[test]
#[should_panic(expected = "`chat` is served twice")]
fn a_namespace_with_two_sets_of_handlers() {
    let router = Router::<()>::new().namespace("/chat", Namespace::new());
    drop(router.namespace("chat", Namespace::new()));
}

#[tokio::test]
async fn namespaces_beyond_the_limit_are_not_served() {
    let router =
        Router::<()>::new().namespace("/", Namespace::new()).namespace("/second", Namespace::new());
    let config = ServerConfig::new().limits(Limits::new().namespaces(1));
    let site = Site::start(config, router).await;
    let mut client = site.connect().await;
    client.send("40/second").await;
    assert_eq!(client.packet().await, "44/second,{\"message\":\"Invalid namespace\"}");
}
