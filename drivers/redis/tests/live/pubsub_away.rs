//! Redis is away for a while, and keeps nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    pubsub::{KINDS, Kind},
    support::{Client, Redis, have_redis, in_time},
};

/// Redis keeps nothing: what a crash may have cost the sessions is said, and after a pause they go on.
/// What was accepted meanwhile is sent later.
#[tokio::test]
async fn while_redis_is_away_nothing_is_lost_unsaid() {
    if !have_redis() {
        return;
    }
    for kind in KINDS {
        check(kind).await;
    }
}

async fn check(kind: Kind) {
    let mut redis = Redis::start(&["--appendonly", "no"]).await;
    let (node, other) = (kind.impatient(&redis).await, kind.impatient(&redis).await);
    let (mut near, mut far) = (Client::connect(&node).await, Client::connect(&other).await);
    let mut sent = 0;
    for is_paused in [false, true] {
        node.emit_all(sent..sent + 50).await;
        if is_paused {
            redis.signal("-STOP");
        } else {
            redis.kill();
        }
        node.emit_all(sent + 50..sent + 60).await;
        sent = near.meanwhile(far.meanwhile(node.emit_while_away(sent + 60))).await;
        if is_paused {
            redis.signal("-CONT");
        } else {
            redis.delete_data();
            redis.start_again().await;
        }
        let back = Instant::now();
        // What comes is behind everything that was accepted before. The first may come between two
        // sessions.
        let accepted = sent;
        let all_told = async {
            while ![&near, &far].iter().all(|it| it.numbers.last() >= Some(&accepted)) {
                node.emit(sent).await;
                sent += 1;
                near.meanwhile(far.meanwhile(sleep(Duration::from_millis(50)))).await;
            }
        };
        in_time(all_told).await;
        println!("{accepted} events, the last {:?} after Redis was back", back.elapsed());
    }
    for client in [&near, &far] {
        client.check();
        assert!(!client.recovered.contains(&true), "a session that ends does not come back");
    }
    // Of those that were on their way when Redis crashed, nobody can tell.
    let lost = node.server().await.total.appends_lost;
    assert!(lost <= 60, "{lost} of the others are lost");
}
