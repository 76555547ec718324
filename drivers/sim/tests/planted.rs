//! Mistakes of an application are found, and their runs are shrunk to a few steps.

mod chat;

use socketio_proto::{RecoveryConfig, ServerConfig, socket::Event};
use socketio_proto_sim::{Failure, Simulation, World, client::Delivery};

use self::chat::{Chat, Mistake};

fn simulation(mistake: Mistake) -> Simulation<Chat> {
    let config = ServerConfig::new().recovery(RecoveryConfig::default());
    Simulation::new(config, move || Chat::new(mistake))
        .clients(3)
        .events(|choices| Event::new("say", &(choices.below(1_000),)).unwrap())
}

/// Everybody is in the lobby at the end.
fn all_hear_the_last_message(world: &mut World<Chat>) {
    for client in 0..world.clients() {
        world.join(client, "/");
    }
    world.settle();
    world.emit(0, "/", &Event::new("say", &(12_345,)).unwrap(), Delivery::Plain);
    world.settle();
    for client in 0..world.clients() {
        let last = world.received(client).last().map(|it| it.event.parse::<(u64,)>());
        assert_eq!(last, Some(Ok((12_345,))), "client {client} has not heard it");
    }
}

/// What was said reaches everybody who was there, also if they were away for a moment.
fn sessions_miss_nothing(world: &mut World<Chat>) {
    all_hear_the_last_message(world);
    // Those who have kept their first session have heard the same.
    let heard = |client: usize| -> Vec<_> {
        let received = world.received(client).iter();
        received.filter(|it| it.event.name() == "said").map(|it| it.event.clone()).collect()
    };
    let is_one = |client: &usize| {
        let sessions = world.sessions(*client);
        sessions.iter().all(|session| session.id == sessions[0].id)
    };
    let constant: Vec<usize> = (0..world.clients()).filter(is_one).collect();
    for pair in constant.windows(2) {
        let (one, other) = (heard(pair[0]), heard(pair[1]));
        assert_eq!(one, other, "clients {pair:?} have heard different things");
    }
}

fn each_session_is_greeted_once(world: &mut World<Chat>) {
    for client in 0..world.clients() {
        let received = world.received(client).iter();
        let greetings = received.filter(|it| it.event.name() == "welcome").count();
        let mut sessions: Vec<_> = world.sessions(client).iter().map(|it| &it.id).collect();
        sessions.dedup();
        assert!(greetings <= sessions.len(), "client {client} was greeted {greetings} times");
    }
}

fn find(mistake: Mistake, check: impl Fn(&mut World<Chat>)) -> Failure {
    let failure = simulation(mistake).find_failure(0..200, check);
    let failure = failure.expect("the mistake is found");
    println!("{failure}");
    failure
}

#[test]
fn a_correct_application_passes() {
    simulation(Mistake::None).check(0..100, |world| {
        each_session_is_greeted_once(world);
        sessions_miss_nothing(world);
    });
}

#[test]
fn who_forgets_to_join_again_is_found() {
    let failure = find(Mistake::ForgetsToJoinAgain, all_hear_the_last_message);
    assert!(failure.message.contains("has not heard it"), "{failure}");
    assert!(failure.steps.len() <= 2, "{failure}");
}

#[test]
fn volatile_events_that_must_not_be_lost_are_found() {
    let failure = find(Mistake::EmitsVolatile, sessions_miss_nothing);
    assert!(failure.steps.len() <= 3, "{failure}");
}

#[test]
fn greetings_that_are_repeated_are_found() {
    let failure = find(Mistake::GreetsTwice, each_session_is_greeted_once);
    assert!(failure.message.contains("was greeted 2 times"), "{failure}");
    assert!(failure.steps.len() <= 2, "{failure}");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    let simulation = simulation(Mistake::None);
    for seed in 0..5 {
        let script = simulation.script(seed);
        let (one, other) = (simulation.play(seed, &script), simulation.play(seed, &script));
        assert_eq!(one.trace(), other.trace());
        assert!(one.trace().contains("client 0"));
    }
}

/// The examples of the documentation are as short as it says, beside the application.
#[test]
fn the_examples_are_short() {
    let lines = |file: &str, start: &str, end: &str| {
        let (_, rest) = file.split_once(start).expect("it starts");
        rest.split_once(end).map_or(rest, |(example, _)| example).lines().count()
    };
    assert!(lines(include_str!("property.rs"), "type Chat", "// The end") < 40);
    assert!(lines(include_str!("fuzz_target.rs"), "fn target", "\n}\n") < 20);
}
