//! Servers around one file, with clients.

#[path = "../../src/tests/folder.rs"]
#[expect(dead_code, reason = "nothing is copied here")]
mod folder;
mod outages;
mod site;

use std::fs;

use self::{
    folder::Folder,
    site::{Client, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_two_servers_hear_the_same_in_the_same_order() {
    let folder = Folder::new();
    let (first, second) = (folder.server().await, folder.server().await);
    let (mut a, _) = Client::connect(first.0, None).await;
    let (mut b, _) = Client::connect(second.0, None).await;
    tokio::join!(
        async {
            for number in 0..50 {
                a.say(&format!("a{number}")).await;
            }
        },
        async {
            for number in 0..50 {
                b.say(&format!("b{number}")).await;
            }
        },
    );
    let mut heard = (Vec::new(), Vec::new());
    for _ in 0..100 {
        heard.0.push(a.hear().await);
        heard.1.push(b.hear().await);
    }
    assert_eq!(heard.0, heard.1);
    first.1.shutdown().await.unwrap();
    second.1.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_recovers_at_another_server() {
    let folder = Folder::new();
    let (first, second) = (folder.server().await, folder.server().await);
    let (mut a, _) = Client::connect(first.0, None).await;
    let (b, _) = Client::connect(second.0, None).await;
    b.say("before").await;
    assert_eq!(a.hear().await, "before");
    let snapshot = a.leave().await;
    for number in 0..20 {
        b.say(&format!("missed {number}")).await;
    }
    let (mut a, is_recovered) = Client::connect(second.0, Some(snapshot)).await;
    assert!(is_recovered);
    b.say("after").await;
    for number in 0..20 {
        assert_eq!(a.hear().await, format!("missed {number}"));
    }
    assert_eq!(a.hear().await, "after");
    first.1.shutdown().await.unwrap();
    second.1.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_leaves_nothing_but_its_file() {
    let folder = Folder::new();
    let (port, handle) = folder.server().await;
    let (a, _) = Client::connect(port, None).await;
    a.say("something").await;
    handle.shutdown().await.unwrap();
    let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["sessions.db", "sessions.db-lock", "sessions.db-tail"]);
}

/// As by a program that cleans up. Nobody can wake them then, and each takes the other one for dead.
#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn servers_whose_sockets_are_deleted_go_on_with_others() {
    let folder = Folder::new();
    let (first, second) = (folder.server().await, folder.server().await);
    let (mut a, _) = Client::connect(first.0, None).await;
    let (mut b, _) = Client::connect(second.0, None).await;
    let session = b.socket.session().await.unwrap().unwrap();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "sock") {
            fs::remove_file(path).unwrap();
        }
    }
    a.say("1").await;
    for handle in [&first.1, &second.1] {
        until(handle, |stats| stats.connected == 2 && stats.is_connected).await;
    }
    b.say("2").await;
    a.say("3").await;
    for text in ["1", "2", "3"] {
        assert_eq!((a.hear().await, b.hear().await), (text.into(), text.into()));
    }
    let now = b.socket.session().await.unwrap().unwrap();
    assert_eq!(now.id, session.id, "its session has not ended");
    first.1.shutdown().await.unwrap();
    second.1.shutdown().await.unwrap();
}
