//! Runs an engine as long as its server is there.

use std::{any::Any, mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
#[cfg(feature = "engine-contract")]
use socketio_proto::cluster::ClusterInput;
use socketio_proto::cluster::message::NodeId;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Engine, EngineError,
    link::{EngineInputs, EngineLink},
    outputs::Outputs,
    stats::Figures,
};
#[cfg(feature = "tracing")]
use crate::trace;
use crate::{
    app::{App, Hosted},
    calls::WeakCalls,
    entropy,
};

/// The wait after the first failure.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest wait. A connection that has lasted for so long has not failed at once.
const LONGEST: Duration = Duration::from_secs(5);
/// How long an engine may take to finish.
const FINISH: Duration = Duration::from_secs(5);

/// The end of an engine.
#[derive(Clone)]
pub(crate) struct Ended(CancellationToken);

impl Ended {
    /// Waits for it, but not for longer than it may take.
    pub(crate) async fn wait(&self) {
        timeout(FINISH, self.0.cancelled()).await.ok();
    }
}

/// An engine that was not started yet.
pub(crate) struct Supervised<E> {
    engine: E,
    queue: mpsc::UnboundedReceiver<super::outputs::Queued>,
    figures: Arc<Figures>,
    ended: DropGuard,
}

/// Prepares an engine: the server's end of the way to it, and what says that it has ended.
pub(crate) fn supervise<E: Engine>(engine: E) -> (Supervised<E>, Outputs, Ended) {
    let figures = Arc::<Figures>::default();
    let (outputs, queue) = Outputs::new(Arc::clone(&figures));
    let ended = CancellationToken::new();
    let supervised = Supervised { engine, queue, figures, ended: ended.clone().drop_guard() };
    (supervised, outputs, Ended(ended))
}

impl<E: Engine> Supervised<E> {
    /// Starts the engine in a task.
    pub(crate) fn start<A: App>(self, node: NodeId, server: WeakCalls<Hosted<A>>) {
        let inputs = EngineInputs::new(server, Arc::clone(&self.figures));
        self.start_for(node, inputs);
    }

    /// The same for something that is not a server.
    #[cfg(feature = "engine-contract")]
    pub(super) fn start_to(self, node: NodeId, inputs: mpsc::UnboundedSender<ClusterInput>) {
        let inputs = EngineInputs::to(inputs, Arc::clone(&self.figures));
        self.start_for(node, inputs);
    }

    fn start_for(self, node: NodeId, inputs: EngineInputs) {
        let Self { engine, queue, figures, ended } = self;
        let link = EngineLink::new(node, queue, inputs, Arc::clone(&figures));
        tokio::spawn(async move {
            run(engine, link, &figures).await;
            drop(ended);
        });
    }
}

async fn run(mut engine: impl Engine, mut link: EngineLink, figures: &Figures) {
    let mut wait = SHORTEST;
    loop {
        let started = Instant::now();
        let ran = AssertUnwindSafe(engine.run(&mut link)).catch_unwind().await;
        let was_connected = figures.with(|stats| mem::take(&mut stats.is_connected));
        let failure = match ran {
            Ok(Ok(())) if link.is_closed() => return,
            Ok(Ok(())) => "the engine has ended".into(),
            Ok(Err(error)) => with_causes(&error),
            Err(panic) => {
                figures.with(|stats| stats.panics = stats.panics.wrapping_add(1));
                format!("panic: {}", message(&*panic))
            }
        };
        #[cfg(feature = "tracing")]
        trace::engine_failed(&failure);
        figures.with(|stats| {
            stats.failures = stats.failures.wrapping_add(1);
            stats.last_failure = Some(failure);
        });
        link.begin_anew().await;
        if was_connected && started.elapsed() >= LONGEST {
            wait = SHORTEST;
        }
        if is_closed_within(&mut link, shortened(wait)).await {
            return;
        }
        link.report_not_sent().await;
        wait = (wait * 2).min(LONGEST);
    }
}

/// Waits, unless the server ends. What the server outputs meanwhile, nobody carries out.
async fn is_closed_within(link: &mut EngineLink, wait: Duration) -> bool {
    let end = Instant::now() + wait;
    loop {
        tokio::select! {
            () = sleep_until(end) => return false,
            output = link.recv() => if output.is_none() { return true },
        }
    }
}

/// Takes a random part away, up to a half.
fn shortened(wait: Duration) -> Duration {
    let mut random = [0; 1];
    entropy(&mut random);
    wait.saturating_sub(wait * u32::from(random[0]) / 512)
}

/// The text of an error, and those of its causes.
fn with_causes(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors say what their cause says.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
