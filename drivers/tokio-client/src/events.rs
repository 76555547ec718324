//! The events of a client, on their way to the application.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use socketio_proto::client::{BufferedEvent, ClientEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::WireError;

/// What each event costs besides its contents, in bytes.
const OVERHEAD: usize = 256;
/// The least room: for all events of an attempt to connect, which is waited for before the first event
/// is taken.
const LEAST: usize = 64 << 10;

/// The events of a client, in order. It is also a [`Stream`].
///
/// They wait here until they are taken, up to [`Options::event_bytes`](crate::Options::event_bytes).
/// Beyond that, nothing more is read from the server. If this is dropped, later events are dropped too.
/// [`next`](Self::next) has an example.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::UnboundedReceiver<Queued>,
    cause: Option<Arc<WireError>>,
}

#[derive(Debug)]
struct Queued {
    event: ClientEvent,
    cause: Option<Arc<WireError>>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Events {
    /// Waits for the next event. Returns `None` when the client has ended and no event is left. The
    /// future can be dropped at any time without losing an event.
    ///
    /// ```no_run
    /// use socketio_proto::client::ClientEvent;
    /// use socketio_proto_tokio_client::Events;
    ///
    /// async fn listen(mut events: Events) {
    ///     while let Some(event) = events.next().await {
    ///         match event {
    ///             ClientEvent::Received { event, .. } => println!("{event:?}"),
    ///             ClientEvent::ConnectionClosed { reason, .. } => println!("{reason}: {:?}", events.cause()),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn next(&mut self) -> Option<ClientEvent> {
        let queued = self.queue.recv().await;
        self.take(queued)
    }

    /// Returns the request or the WebSocket whose failure the last event follows from. `None` unless
    /// something failed, and the event is [`TransportFailed`](ClientEvent::TransportFailed),
    /// [`UpgradeFailed`](ClientEvent::UpgradeFailed) or [`ConnectionClosed`](ClientEvent::ConnectionClosed).
    /// [`next`](Self::next) has an example.
    pub fn cause(&self) -> Option<&Arc<WireError>> {
        self.cause.as_ref()
    }

    fn take(&mut self, queued: Option<Queued>) -> Option<ClientEvent> {
        let Queued { event, cause, .. } = queued?;
        self.cause = cause;
        Some(event)
    }
}

impl Stream for Events {
    type Item = ClientEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.queue.poll_recv(cx).map(|queued| self.take(queued))
    }
}

/// The other end of [`Events`].
pub(crate) struct EventSender {
    queue: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    limit: u32,
}

/// Room for an event.
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// For the last events of a client, which are few.
    pub(crate) const BEYOND: Self = Self(None);
}

impl EventSender {
    pub(crate) fn new(event_bytes: usize) -> (Self, Events) {
        let (queue, queued) = mpsc::unbounded_channel();
        let limit =
            u32::try_from(event_bytes.clamp(LEAST, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let room = Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS));
        let sender = Self { queue, room: Arc::new(room), limit };
        (sender, Events { queue: queued, cause: None })
    }

    /// Waits for room. An event that is larger than all the room waits until nothing else does.
    pub(crate) async fn reserve(&self, event: &ClientEvent) -> Room {
        let bytes = u32::try_from(size(event)).unwrap_or(u32::MAX).min(self.limit);
        Room(self.room.clone().acquire_many_owned(bytes).await.ok())
    }

    pub(crate) fn send(&self, event: ClientEvent, cause: Option<Arc<WireError>>, room: Room) {
        // If nobody listens any more, nobody misses it.
        self.queue.send(Queued { event, cause, _room: room.0 }).ok();
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }
}

fn size(event: &ClientEvent) -> usize {
    let contents = match event {
        ClientEvent::Received { event, .. } => weigh(event.json(), event.attachments()),
        ClientEvent::Acked { args, .. } => weigh(args.json(), args.attachments()),
        ClientEvent::BufferExpired { event, .. }
        | ClientEvent::Unconfirmed { event, .. }
        | ClientEvent::Undeliverable { event, .. } => weigh_buffered(event),
        _ => 0,
    };
    contents.saturating_add(OVERHEAD)
}

fn weigh_buffered(event: &BufferedEvent) -> usize {
    weigh(event.event().json(), event.event().attachments())
}

fn weigh(text: &str, attachments: &[Bytes]) -> usize {
    attachments.iter().map(Bytes::len).fold(text.len(), usize::saturating_add)
}
