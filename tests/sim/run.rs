//! Plays runs, and reports failing runs.

use std::{cell::RefCell, time::Instant};

use socketio_proto_sim::{catch_panic, shrink};

use crate::{
    draw::tape,
    op::Step,
    plan::Plan,
    tally::Tally,
    transcript::Transcript,
    world::{Sabotage, World},
};

#[derive(Debug)]
pub struct Report {
    pub tally: Tally,
    pub transcript: Transcript,
}

#[derive(Debug)]
pub struct Failure {
    seed: u64,
    sabotage: Option<Sabotage>,
    steps: Vec<Step>,
    message: String,
}

pub fn play(seed: u64, sabotage: Option<Sabotage>) -> Result<Report, Failure> {
    let steps = tape(&Plan::draw(seed));
    let result = attempt(seed, sabotage, &steps, None);
    result.map_err(|message| Failure { seed, sabotage, steps, message })
}

/// Plays many runs. The first failure is explained.
pub fn play_all(seeds: impl IntoIterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        match play(seed, None) {
            Ok(report) => tally.add(&report.tally),
            Err(failure) => failure.explain(),
        }
    }
    tally
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is a matter of real time")]
pub fn play_for(seconds: u64, start: u64) {
    let begin = Instant::now();
    let (mut tally, mut seed, mut told) = (Tally::default(), start, 0);
    while begin.elapsed().as_secs() < seconds {
        tally.add(&play_all(seed..seed + 50));
        seed += 50;
        let elapsed = begin.elapsed().as_secs();
        if elapsed >= told + 30 {
            told = elapsed;
            println!("{elapsed} s: runs {}, recovered {}", tally.runs, tally.recovered);
        }
    }
    let millis = begin.elapsed().as_millis();
    println!("seeds {start} to {}, {millis} ms\n{tally}", seed - 1);
    let per_second = |count: u64| u128::from(count) * 1_000 / millis.max(1);
    let (steps, recovered) = (per_second(tally.steps), per_second(tally.recovered));
    println!("steps per second {steps}, recoveries per second {recovered}");
}

/// Plays one run and tells everything.
pub fn replay(seed: u64) {
    println!("seed {seed}: {}", Plan::draw(seed));
    match play(seed, None) {
        Ok(report) => println!("{}\n{:?}", report.tally, report.transcript),
        Err(failure) => failure.explain(),
    }
}

impl Failure {
    pub fn shrink(&self) -> Vec<Step> {
        // Another promise that is broken on the way is another story.
        let place = |message: &str| message.lines().next().map(str::to_owned);
        let mut fails = |steps: &[Step]| {
            let result = attempt(self.seed, self.sabotage, steps, None);
            result.is_err_and(|message| place(&message) == place(&self.message))
        };
        shrink(self.steps.clone(), &mut fails)
    }

    fn explain(self) -> ! {
        let seed = self.seed;
        println!("seed {seed} fails: {}", self.message);
        println!("{}", Plan::draw(seed));
        let steps = self.shrink();
        let story = RefCell::new(Vec::new());
        let message = attempt(seed, self.sabotage, &steps, Some(&story)).unwrap_err();
        for line in story.borrow().iter() {
            println!("{line}");
        }
        println!("shrunk to {} of {} operations:", steps.len(), self.steps.len());
        for step in &steps {
            println!("  {step:?}");
        }
        panic!(
            "{message}\nreplay: SIM_SEED={seed} cargo test --test sim random_worlds -- --nocapture"
        );
    }
}

/// Plays a run; a broken promise is a panic somewhere below.
fn attempt(
    seed: u64,
    sabotage: Option<Sabotage>,
    steps: &[Step],
    story: Option<&RefCell<Vec<String>>>,
) -> Result<Report, String> {
    let run = || {
        let mut world = World::new(Plan::draw(seed));
        world.sabotage = sabotage;
        world.story = story.map(|_| Vec::new());
        let mut teller = Teller { world, story };
        let world = &mut teller.world;
        for step in steps {
            world.apply(step);
        }
        world.finish();
        Report { tally: world.tally.clone(), transcript: world.transcript }
    };
    catch_panic(run)
}

/// Hands the story over, also when the run breaks off.
struct Teller<'a> {
    world: World,
    story: Option<&'a RefCell<Vec<String>>>,
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        if let (Some(story), Some(lines)) = (self.story, self.world.story.take()) {
            *story.borrow_mut() = lines;
        }
    }
}
