//! What handlers return.

use serde::{Serialize, Serializer};
use socketio_proto::socket::{Args, EncodeError};

/// What a handler returns: the acknowledgement, if the client asked for one.
///
/// | a handler returns | the client gets |
/// | --- | --- |
/// | `()` | an acknowledgement without arguments: `callback()` |
/// | a tuple of `Serialize` values, up to eight | an argument for each: `callback(a, b)` |
/// | [`Args`] | them |
/// | `Some` of these | the same |
/// | `None` | nothing: the event is [withdrawn](socketio_proto::hub::At::withdraw), and a client with retries emits it again |
/// | `Result` of these | what is in it |
/// | [`ErrorAnswer`] | `callback({ error: "…" })` |
///
/// A handler that calls [`Received::take_ack`](super::Received::take_ack) acknowledges by itself, and
/// what it returns is not sent. Without a question of the client, nothing is sent either: an `Err`
/// is then seen by nobody.
///
/// An application can implement it for its own errors:
///
/// ```
/// use socketio_proto::socket::{Args, EncodeError};
/// use socketio_proto_tokio::router::IntoAck;
///
/// enum JoinError {
///     Full,
///     Private,
/// }
///
/// impl IntoAck for JoinError {
///     fn into_ack(self) -> Result<Option<Args>, EncodeError> {
///         let code = match self {
///             Self::Full => "full",
///             Self::Private => "private",
///         };
///         (serde_json::json!({ "error": code }),).into_ack()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "return `()`, a tuple such as `(value,)`, `Args`, or an `Option` or `Result` of these"
)]
pub trait IntoAck {
    /// Returns the arguments of the acknowledgement. `None` withdraws the event.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if they cannot be serialized.
    fn into_ack(self) -> Result<Option<Args>, EncodeError>;
}

impl IntoAck for () {
    fn into_ack(self) -> Result<Option<Args>, EncodeError> {
        Ok(Some(Args::empty()))
    }
}

impl IntoAck for Args {
    fn into_ack(self) -> Result<Option<Args>, EncodeError> {
        Ok(Some(self))
    }
}

impl<T: IntoAck> IntoAck for Option<T> {
    fn into_ack(self) -> Result<Option<Args>, EncodeError> {
        self.map_or(Ok(None), T::into_ack)
    }
}

impl<T: IntoAck, E: IntoAck> IntoAck for Result<T, E> {
    fn into_ack(self) -> Result<Option<Args>, EncodeError> {
        match self {
            Ok(answer) => answer.into_ack(),
            Err(error) => error.into_ack(),
        }
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Serialize),*> IntoAck for ($($name,)*) {
            fn into_ack(self) -> Result<Option<Args>, EncodeError> {
                Args::new(&self).map(Some)
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

/// An error as an answer: the client gets `{ "error": text }`.
///
/// Every error becomes one by `?`. So choose it only where the client may see the texts of these
/// errors.
///
/// ```
/// use socketio_proto_tokio::{Context, router::{ErrorAnswer, Received}};
///
/// fn divide(
///     _: &mut Context<'_, ()>,
///     _: &Received<()>,
///     (by,): (String,),
/// ) -> Result<(u32,), ErrorAnswer> {
///     let by: u32 = by.parse()?;
///     let quotient = 100_u32.checked_div(by).ok_or_else(|| ErrorAnswer::new("zero"))?;
///     Ok((quotient,))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer(String);

impl ErrorAnswer {
    /// Creates one with a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl<E: std::error::Error> From<E> for ErrorAnswer {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Serialize for ErrorAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("error", &self.0)])
    }
}

impl IntoAck for ErrorAnswer {
    fn into_ack(self) -> Result<Option<Args>, EncodeError> {
        (self,).into_ack()
    }
}
