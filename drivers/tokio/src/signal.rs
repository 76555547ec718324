//! The request of the operator to end the program.

use tokio::sync::watch;

/// Becomes true once, when the program has to end. All parts of the driver wait for it.
pub type Shutdown = watch::Receiver<()>;

/// Ends the program on Ctrl-C or SIGTERM.
pub fn shutdown_on_signal() -> Shutdown {
    let (sender, shutdown) = watch::channel(());
    tokio::spawn(async move {
        signalled().await;
        // Every receiver learns of it by finding the channel closed.
        drop(sender);
    });
    shutdown
}

/// Waits for the request.
pub(crate) async fn requested(shutdown: &mut Shutdown) {
    while shutdown.changed().await.is_ok() {}
}

#[cfg(unix)]
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tokio::signal::ctrl_c().await.ok();
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signalled() {
    tokio::signal::ctrl_c().await.ok();
}
