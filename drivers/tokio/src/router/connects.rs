//! Clients that ask to join: their middlewares, in order.

use socketio_proto::hub::Rejection;

use super::{
    Router,
    call::{Panicked, Started, call, start, wait},
    clients::Place,
    connecting::Connecting,
    handler::{Middleware, Verdict},
};
use crate::app::Context;

impl<D: Default + Send + 'static> Router<D> {
    /// Asks the middlewares of the namespace at an index whether a client may join.
    pub(super) fn connect(
        &mut self,
        cx: &mut Context<'_, D>,
        index: usize,
        connecting: Connecting<D>,
    ) {
        let bytes = connecting.auth.as_str().len();
        match self.clients.take(Some(connecting.connection), bytes) {
            Some(place) => self.ask(cx, (index, 0), connecting, place),
            None => drop(cx.at().reject(connecting.id, &Rejection::new("too many requests"))),
        }
    }

    /// Asks the middlewares from one on, and accepts the client if all let it pass.
    fn ask(
        &mut self,
        cx: &mut Context<'_, D>,
        (index, mut next): (usize, usize),
        connecting: Connecting<D>,
        place: Place,
    ) {
        let middlewares =
            self.namespaces.get_mut(index).map(|namespace| &mut namespace.middlewares);
        for middleware in middlewares.into_iter().flatten().skip(next) {
            next += 1;
            let verdict = match middleware {
                Middleware::Sync(middleware) => call(|| middleware(cx, &connecting)),
                Middleware::Async(middleware) => match start(|| middleware(connecting.clone())) {
                    Started::Done(verdict) => verdict,
                    Started::Waiting(pending) => {
                        tokio::spawn(async move {
                            let verdict = flat(wait(pending).await);
                            ask_later((index, next), connecting, verdict, place).await;
                        });
                        return;
                    }
                },
            };
            if let Err(rejection) = flat(verdict) {
                cx.at().reject(connecting.id, &rejection);
                return;
            }
        }
        // The client may be gone, or may have asked again.
        if let Some(socket) = cx.at().accept(connecting.id) {
            for change in connecting.take_changes() {
                // It is the application's own loss: its data is reset.
                call(|| cx.at().update_data(socket, change)).ok();
            }
        }
    }
}

async fn ask_later<D: Default + Send + 'static>(
    at: (usize, usize),
    connecting: Connecting<D>,
    verdict: Verdict,
    place: Place,
) {
    let handle = connecting.handle.clone();
    let asked = handle.with(move |router, cx| match verdict {
        Ok(()) => router.ask(cx, at, connecting, place),
        Err(rejection) => drop(cx.at().reject(connecting.id, &rejection)),
    });
    // If the server has ended, nobody waits for the answer.
    asked.await.ok();
}

fn flat(verdict: Result<Verdict, Panicked>) -> Verdict {
    verdict.unwrap_or_else(|Panicked| Err(Rejection::new("internal error")))
}
