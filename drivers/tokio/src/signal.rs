//! The request of the operator to end the program.

/// Waits for Ctrl-C or, on Unix, SIGTERM. For the end of [`serve`](crate::serve()).
#[cfg(unix)]
pub async fn shutdown_signal() {
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

/// Waits for Ctrl-C. For the end of [`serve`](crate::serve()).
#[cfg(not(unix))]
pub async fn shutdown_signal() {
    tokio::signal::ctrl_c().await.ok();
}
