//! A file that was damaged, with what a real server has written, and the clients of that server.
//!
//! A server in a process of its own serves clients and writes their sessions ahead, and is killed. Its
//! files are then cut, overwritten and mixed up, a new server opens them, and the clients come back. Each
//! either goes on exactly where it was, or is refused with a reason.

mod check;
mod damage;
mod files;
#[path = "../../src/tests/folder.rs"]
mod folder;
mod site;
mod story;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Semaphore;

use self::{
    check::{End, come_back},
    damage::{Case, cases},
    files::Folder,
    site::{LONG_LOOKUP, LOOKUP},
    story::{Story, record},
};

/// How many damaged files are tried at the same time.
const AT_ONCE: usize = 40;
/// Where the places come from that are damaged, unless the environment says something else.
const SEED: u64 = 0x5e55_1045;
/// Sets it.
const SEED_VARIABLE: &str = "TORN_SEED";

fn seed() -> u64 {
    std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

/// Damages a copy of the files, and has everyone come back.
async fn play(story: &Story, case: &Case) -> End {
    let folder = story.last.copy();
    case.damage(&folder, story);
    come_back(story, &folder, &case.name, LOOKUP).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_never_contradicts_what_clients_have_seen() {
    let story = Arc::new(record().await);
    let whole = come_back(&story, &story.last.copy(), "nothing", LONG_LOOKUP).await;
    assert_eq!(
        whole,
        End::Continued { recovered: story.sessions() },
        "the file of a killed server"
    );

    let seed = seed();
    println!("{SEED_VARIABLE}={seed}");
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = cases(&story, seed)
        .into_iter()
        .map(|case| {
            let (story, turns) = (Arc::clone(&story), Arc::clone(&turns));
            tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                (case.kind, play(&story, &case).await)
            })
        })
        .collect();
    let (mut ends, mut faults) = (BTreeMap::<_, BTreeMap<_, usize>>::new(), Vec::new());
    for task in tasks {
        match task.await {
            Ok((kind, end)) => *ends.entry(kind).or_default().entry(end.name()).or_default() += 1,
            Err(fault) => faults.push(fault.to_string()),
        }
    }
    println!("{ends:?}");
    assert_eq!(faults, Vec::<String>::new(), "each of them");
    let lossy = ends.iter().filter(|(kind, _)| !kind.keeps_all());
    let lossy: Vec<_> = lossy.flat_map(|(_, ends)| ends).collect();
    let count = |is_counted: fn(&str) -> bool| -> usize {
        lossy.iter().filter(|(end, _)| is_counted(end)).map(|(_, times)| *times).sum()
    };
    let (all, refused) = (count(|_| true), count(|end| end != "continued"));
    assert!(refused > all / 3, "only {refused} of {all} were refused");
}

/// The process that is killed. See [`site::Child`].
#[tokio::test(flavor = "multi_thread")]
#[ignore = "another test starts it"]
async fn serve() {
    site::serve_in_child().await;
}

#[test]
fn folders_are_copied_whole() {
    let folder = Folder::new();
    std::fs::write(folder.file("-wal"), "w").unwrap();
    let copy = folder.copy();
    assert_eq!(std::fs::read(copy.file("-wal")).unwrap(), b"w");
}
