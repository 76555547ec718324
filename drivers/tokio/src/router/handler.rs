//! Handlers and middlewares, whatever their types are.

use serde::de::DeserializeOwned;
use socketio_proto::{
    hub::{EmitError, Rejection},
    socket::Args,
};

use super::{
    ack::IntoAck, call::Pending, connecting::Connecting, error::EventError, received::Received,
};
use crate::app::Context;

/// What comes of an event. `None` withdraws it.
pub(super) type Answer = Result<Option<Args>, EventError>;

/// What a middleware says.
pub(super) type Verdict = Result<(), Rejection>;

type Now<D, T, R> = Box<dyn FnMut(&mut Context<'_, D>, &T) -> R + Send>;
type Later<T, R> = Box<dyn Fn(T) -> Pending<R> + Send>;

/// The handler of an event.
pub(super) enum Handler<D: Default + Send + 'static> {
    Sync(Now<D, Received<D>, Answer>),
    Async(Later<Received<D>, Answer>),
}

impl<D: Default + Send + 'static> Handler<D> {
    pub(super) fn typed<A, R>(
        mut handler: impl FnMut(&mut Context<'_, D>, &Received<D>, A) -> R + Send + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: IntoAck,
    {
        Self::Sync(Box::new(move |cx, received| {
            let args = received.event.parse()?;
            answer(handler(cx, received, args))
        }))
    }

    pub(super) fn typed_async<A, F>(handler: impl Fn(Received<D>, A) -> F + Send + 'static) -> Self
    where
        A: DeserializeOwned,
        F: Future<Output: IntoAck> + Send + 'static,
    {
        Self::Async(Box::new(move |received| match received.event.parse() {
            Ok(args) => {
                let answered = handler(received, args);
                Box::pin(async move { answer(answered.await) })
            }
            Err(error) => Box::pin(async move { Err(error.into()) }),
        }))
    }

    pub(super) fn untyped<R: IntoAck>(
        mut handler: impl FnMut(&mut Context<'_, D>, &Received<D>) -> R + Send + 'static,
    ) -> Self {
        Self::Sync(Box::new(move |cx, received| answer(handler(cx, received))))
    }
}

pub(super) fn answer(returned: impl IntoAck) -> Answer {
    returned.into_ack().map_err(|error| EventError::Answer(EmitError::from(error)))
}

/// A function that decides about a client.
pub(super) enum Middleware<D: Default + Send + 'static> {
    Sync(Now<D, Connecting<D>, Verdict>),
    Async(Later<Connecting<D>, Verdict>),
}
