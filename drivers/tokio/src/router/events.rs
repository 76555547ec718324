//! Events of clients: their handlers, and what comes of them.

use socketio_proto::hub::AckError;

use super::{
    Router,
    ack::ErrorAnswer,
    call::{Panicked, Started, call, start, wait},
    error::EventError,
    handler::{self, Answer, Handler},
    received::Received,
};
use crate::app::Context;

impl<D: Default + Send + 'static> Router<D> {
    /// Has an event handled by the namespace at an index.
    pub(super) fn receive(&mut self, cx: &mut Context<'_, D>, index: usize, received: Received<D>) {
        let namespace = self.namespaces.get_mut(index);
        let handler = namespace.and_then(|namespace| namespace.handler(received.event.name()));
        let answer = match handler {
            None => return,
            Some(Handler::Sync(handler)) => flat(call(|| handler(cx, &received))),
            Some(Handler::Async(handler)) => {
                let connection = cx.server.connection(received.socket);
                match self.clients.take(connection, received.size()) {
                    None => Err(EventError::Busy),
                    Some(place) => match start(|| handler(received.clone())) {
                        Started::Done(answer) => flat(answer),
                        Started::Waiting(pending) => {
                            tokio::spawn(async move {
                                let answer = flat(wait(pending).await);
                                finish_later(index, received, answer).await;
                                drop(place);
                            });
                            return;
                        }
                    },
                }
            }
        };
        self.finish(cx, index, &received, answer);
    }

    /// Acknowledges an event, or withdraws it.
    fn finish(
        &mut self,
        cx: &mut Context<'_, D>,
        index: usize,
        received: &Received<D>,
        answer: Answer,
    ) {
        let Err(error) = reply(cx, received, answer) else { return };
        let Some(namespace) = self.namespaces.get_mut(index) else { return };
        let answer = flat(call(|| namespace.failed(cx, received, &error)));
        // What the application answers to an error can fail itself.
        let Err(error) = reply(cx, received, answer) else { return };
        reply(cx, received, handler::answer(ErrorAnswer::from(error))).ok();
    }
}

async fn finish_later<D: Default + Send + 'static>(
    index: usize,
    received: Received<D>,
    answer: Answer,
) {
    let handle = received.handle.clone();
    let finished = handle.with(move |router, cx| router.finish(cx, index, &received, answer));
    // If the server has ended, nobody waits for the answer.
    finished.await.ok();
}

fn reply<D: Default + Send + 'static>(
    cx: &mut Context<'_, D>,
    received: &Received<D>,
    answer: Answer,
) -> Result<(), EventError> {
    let answer = answer?;
    let Some(token) = received.take_ack() else { return Ok(()) };
    let Some(args) = answer else {
        cx.at().withdraw(token);
        return Ok(());
    };
    match cx.at().try_ack(token, &args) {
        // The client may be gone.
        Ok(_) => Ok(()),
        Err(AckError { token, cause }) => {
            received.give_back_ack(token);
            Err(EventError::Answer(cause))
        }
    }
}

fn flat(answer: Result<Answer, Panicked>) -> Answer {
    answer.unwrap_or(Err(EventError::Panicked))
}
