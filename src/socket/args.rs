//! Arguments without a name.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    ArgsError, EncodeError,
    list::{self, Attachments, List},
};

/// The arguments of an acknowledgement, or those of an event without its name.
///
/// ```
/// use socketio_proto::socket::Args;
///
/// let args = Args::new(&("ok", 3))?;
/// assert_eq!(args.json(), r#"["ok",3]"#);
/// assert_eq!(args.get::<u8>(1)?, 3);
/// assert_eq!(args.parse::<(String,)>()?, ("ok".to_owned(),));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Args(List);

impl Args {
    /// Serializes arguments: a tuple or sequence, or `()` for none. Bytes anywhere inside, such as
    /// a [`Bytes`], become attachments.
    ///
    /// # Errors
    ///
    /// * [`EncodeError::NotAList`] for anything else than a tuple, a sequence or `()`.
    /// * [`EncodeError::Placeholder`] and [`EncodeError::TooDeep`] only next to attachments.
    /// * [`EncodeError::Serialize`] if a `Serialize` implementation fails.
    pub fn new<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let (text, attachments) = list::to_array(args)?;
        Ok(Self(List::whole(text, list::share(attachments))))
    }

    /// Returns no arguments.
    pub const fn empty() -> Self {
        Self(List::empty())
    }

    /// Takes over the text of an array and its attachments, if they belong together.
    pub(super) fn from_parts(json: Box<str>, attachments: Vec<Bytes>) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(&json).ok()?;
        let is_array = json.starts_with('[') && json.ends_with(']');
        let is_whole = list::check_placeholders(&json, attachments.len()).is_ok();
        let attachments = list::share(attachments);
        (is_array && is_whole).then(|| Self(List::whole(json.into(), attachments)))
    }

    /// The same in memory of its own. Received ones share that of what they arrived in, which may be
    /// a large body.
    pub(crate) fn detached(&self) -> Self {
        Self(self.0.detached())
    }

    pub(super) fn from_list(list: List) -> Self {
        Self(list)
    }

    pub(super) fn attach(&mut self, attachments: Vec<Bytes>) {
        self.0.attach(attachments);
    }

    /// Counts the arguments, which takes a walk over the text.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        list::elements(self.json()).is_none()
    }

    /// Reads one argument as a type, which may borrow from the text.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Missing`] if there are fewer arguments, [`ArgsError::Mismatch`] if it is not
    /// of that type.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, ArgsError> {
        self.0.get(index)?.ok_or(ArgsError::Missing { index })
    }

    /// Reads all arguments, as a tuple or a sequence. Arguments beyond the last of a tuple are
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] if they are of other types or fewer than the tuple's.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ArgsError> {
        self.0.parse(0)
    }

    /// Returns the arguments without the first `count`, to be passed on. Attachments that only those
    /// name are left out.
    ///
    /// ```
    /// use socketio_proto::socket::{Args, Event};
    ///
    /// // A client says to whom an event is to go: socket.emit("to", "room 1", "hello", 3)
    /// let received = Event::new("to", &("room 1", "hello", 3))?;
    /// let event = Event::with_args("message", &received.args().skip(1))?;
    /// assert_eq!(event.json(), r#"["message","hello",3]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        Self(self.0.skip(count))
    }

    /// Returns the attachments that [`Binary`](super::Binary) handles inside the arguments name.
    pub fn attachments(&self) -> &[Bytes] {
        self.0.attachments()
    }

    /// Returns the text of the JSON array.
    pub fn json(&self) -> &str {
        self.0.json()
    }

    pub(super) fn share_attachments(&self) -> Attachments {
        self.0.share_attachments()
    }
}

impl Default for Args {
    fn default() -> Self {
        Self::empty()
    }
}

impl AsRef<[Bytes]> for Args {
    fn as_ref(&self) -> &[Bytes] {
        self.attachments()
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
