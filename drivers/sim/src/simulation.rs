//! Many runs of one application: drawn, played, checked, and shrunk when they fail.

use std::{fmt, rc::Rc};

use socketio_proto::{ServerConfig, socket::Event};

use crate::{
    Application, Choices, Cluster, Data, Rng, Step, World, catch_panic, script::Draw, shrink,
    world::Trace,
};

/// Describes runs of an application: its configuration, its clients, what they emit, and how long a
/// run is.
///
/// A run consists of a seed and a script. The seed decides everything that the script does not say:
/// ids, transports, delays. There are three ways to get scripts:
///
/// * [`check`](Self::check) draws them from seeds, and shrinks those that fail.
/// * [`steps`](Self::steps) is a strategy for `proptest` (feature `proptest`).
/// * [`draw`](Self::draw) takes them from a fuzzer's bytes (feature `arbitrary`).
///
/// ```
/// use socketio_proto::server::{ServerEvent, Server};
/// use socketio_proto::socket::Event;
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_sim::Simulation;
///
/// fn echo(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
///     match event {
///         ServerEvent::ConnectRequested { request, .. } => {
///             server.at(now).accept(request);
///         }
///         ServerEvent::Received { event, .. } => {
///             server.at(now).all().emit(event.name(), &("to all",)).unwrap();
///         }
///         _ => {}
///     }
/// }
///
/// let config = ServerConfig::new().recovery(RecoveryConfig::default());
/// let simulation = Simulation::new(config, || echo)
///     .clients(3)
///     .events(|choices| Event::new("say", &(choices.below(100),)).unwrap());
/// simulation.check(0..10, |world| {
///     // The world has checked the promise of recovery. This is a check of the application.
///     assert!(world.received(0).iter().all(|received| received.event.name() == "say"));
/// });
/// ```
pub struct Simulation<A: Application<D>, D: Data = ()> {
    config: ServerConfig,
    cluster: Option<Cluster>,
    make: Rc<dyn Fn() -> A>,
    clients: usize,
    namespaces: Vec<String>,
    steps: usize,
    event: EventSource,
    data: std::marker::PhantomData<fn() -> D>,
}

type EventSource = Rc<dyn Fn(&mut dyn Choices) -> Event>;

/// A run that has failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The seed of the run.
    pub seed: u64,
    /// The shortest script that was found to fail in the same place.
    pub steps: Vec<Step>,
    /// The length of the script before.
    pub length: usize,
    /// What was wrong, and where in the source the check stands.
    pub message: String,
    /// What has happened in the shortest script, one thing per line.
    pub trace: Vec<String>,
}

impl<A: Application<D> + 'static, D: Data> Simulation<A, D> {
    /// Describes runs with two clients that join the main namespace, emit `message`, and take 40
    /// steps. `make` creates the application, again after each restart of the server.
    pub fn new(config: ServerConfig, make: impl Fn() -> A + 'static) -> Self {
        Self {
            config,
            cluster: None,
            make: Rc::new(make),
            clients: 2,
            namespaces: vec!["/".to_owned()],
            steps: 40,
            event: Rc::new(message),
            data: std::marker::PhantomData,
        }
    }

    /// Makes the server a cluster. Each connection of a client leads to any node. Scripts also contain
    /// failures of the engine and of single nodes.
    #[must_use]
    pub fn cluster(self, cluster: Cluster) -> Self {
        Self { cluster: Some(cluster), ..self }
    }

    /// Sets the number of clients.
    #[must_use]
    pub fn clients(self, clients: usize) -> Self {
        Self { clients, ..self }
    }

    /// Sets the namespaces that each client joins.
    #[must_use]
    pub fn namespaces(self, namespaces: &[&str]) -> Self {
        Self { namespaces: namespaces.iter().map(|it| (*it).to_owned()).collect(), ..self }
    }

    /// Sets how many steps a script has at most.
    #[must_use]
    pub fn length(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets what clients emit.
    #[must_use]
    pub fn events(self, event: impl Fn(&mut dyn Choices) -> Event + 'static) -> Self {
        Self { event: Rc::new(event), ..self }
    }

    /// Draws a step from a source of choices. `id` names its random numbers.
    pub fn draw(&self, choices: &mut dyn Choices, id: u64) -> Step {
        let (namespaces, event) = (&self.namespaces, &*self.event);
        let nodes = self.cluster.as_ref().map(|cluster| cluster.nodes);
        Draw { choices, clients: self.clients, nodes, namespaces, event }.step(id)
    }

    /// Draws the script of a seed.
    pub fn script(&self, seed: u64) -> Vec<Step> {
        let mut rng = Rng::keyed(seed, &[0x5c]);
        let steps = (0..self.steps as u64).map(|id| self.draw(&mut rng, id));
        steps.collect()
    }

    /// A strategy for scripts. They shrink by leaving steps out.
    #[cfg(feature = "proptest")]
    pub fn steps(&self) -> impl proptest::strategy::Strategy<Value = Vec<Step>> + use<A, D> {
        use proptest::{arbitrary::any, strategy::Strategy as _};
        let (clients, namespaces) = (self.clients, self.namespaces.clone());
        let event = Rc::clone(&self.event);
        let nodes = self.cluster.as_ref().map(|cluster| cluster.nodes);
        let step = any::<u64>().no_shrink().prop_map(move |seed| {
            let choices = &mut Rng::new(seed);
            Draw { choices, clients, nodes, namespaces: &namespaces, event: &*event }.step(seed)
        });
        proptest::collection::vec(step, 0..=self.steps)
    }

    /// Draws a script from the bytes of a fuzzer. It ends where the bytes end.
    #[cfg(feature = "arbitrary")]
    pub fn arbitrary(&self, bytes: &mut arbitrary::Unstructured<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        while !bytes.is_empty() && steps.len() < self.steps {
            let id = steps.len() as u64;
            steps.push(self.draw(bytes, id));
        }
        steps
    }

    /// Creates the world of a seed, with its clients. They connect as soon as time passes.
    pub fn world(&self, seed: u64) -> World<A, D> {
        let make = Rc::clone(&self.make);
        let (config, cluster) = (self.config.clone(), self.cluster.clone());
        let mut world = World::with_nodes(seed, config, cluster, move || make());
        let namespaces: Vec<&str> = self.namespaces.iter().map(|it| &**it).collect();
        for _ in 0..self.clients {
            world.add_client(&namespaces);
        }
        world
    }

    /// Lets all clients connect, plays a script, ends the failures, and waits until everything has come to rest
    /// ([`World::settle`]).
    ///
    /// # Panics
    ///
    /// If a promise is broken. The message contains the end of the trace.
    pub fn play(&self, seed: u64, steps: &[Step]) -> World<A, D> {
        let trace = Trace::default();
        let played = catch_panic(|| self.run(seed, steps, &trace, |_| ()));
        played.unwrap_or_else(|message| {
            let lines = trace.lines();
            let end = &lines[lines.len().saturating_sub(SHOWN)..];
            panic!("{message}\n{}", end.join("\n"))
        })
    }

    /// Plays the runs of many seeds, each followed by a check of your own.
    ///
    /// # Panics
    ///
    /// If a run fails, with the [`Failure`] as the message: the seed, a script that was shrunk to
    /// what is needed, and its trace.
    pub fn check(&self, seeds: impl IntoIterator<Item = u64>, check: impl Fn(&mut World<A, D>)) {
        if let Some(failure) = self.find_failure(seeds, check) {
            panic!("{failure}");
        }
    }

    /// Like [`check`](Self::check), but returns the first failure.
    pub fn find_failure(
        &self,
        seeds: impl IntoIterator<Item = u64>,
        check: impl Fn(&mut World<A, D>),
    ) -> Option<Failure> {
        let attempt = |seed: u64, steps: &[Step], trace: &Trace| {
            catch_panic(|| drop(self.run(seed, steps, trace, &check))).err()
        };
        let mut failures = seeds.into_iter().filter_map(|seed| {
            let script = self.script(seed);
            let message = attempt(seed, &script, &Trace::default())?;
            Some((seed, script, message))
        });
        let (seed, script, message) = failures.next()?;
        // A failure elsewhere is another one.
        let place = |message: &str| message.lines().next().map(str::to_owned);
        let length = script.len();
        let steps = shrink(script, &mut |steps| {
            let failed = attempt(seed, steps, &Trace::default());
            failed.is_some_and(|failed| place(&failed) == place(&message))
        });
        let trace = Trace::default();
        let message = attempt(seed, &steps, &trace).unwrap_or(message);
        Some(Failure { seed, steps, length, message, trace: trace.lines() })
    }

    fn run(
        &self,
        seed: u64,
        steps: &[Step],
        trace: &Trace,
        check: impl Fn(&mut World<A, D>),
    ) -> World<A, D> {
        let mut world = self.world(seed).traced(trace.clone());
        world.settle();
        for step in steps {
            world.apply(step);
        }
        world.settle();
        check(&mut world);
        world
    }
}

fn message(choices: &mut dyn Choices) -> Event {
    Event::new("message", &(choices.below(1_000),)).expect("a legal event")
}

/// How many lines of a trace a message shows.
const SHOWN: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.message)?;
        writeln!(f, "shrunk to {} of {} steps:", self.steps.len(), self.length)?;
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        let end = &self.trace[self.trace.len().saturating_sub(SHOWN)..];
        write!(f, "the end of what has happened:\n{}", end.join("\n"))
    }
}
