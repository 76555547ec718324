//! Arguments without a name.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    ArgsError, DecodeError, EncodeError, check,
    list::{self, Attachments, List},
    text,
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
    /// * [`EncodeError::NotAList`] for anything other than a tuple, a sequence or `()`.
    /// * [`EncodeError::Placeholder`] and [`EncodeError::TooDeep`], both only if there are
    ///   attachments.
    /// * [`EncodeError::Serialize`] if a `Serialize` implementation fails.
    pub fn new<T: Serialize + ?Sized>(args: &T) -> Result<Self, EncodeError> {
        let (text, attachments) = list::to_array(args)?;
        Ok(Self(List::whole(text, list::share(attachments))))
    }

    /// One argument, which is `null`.
    pub(crate) const NULL: Self = Self(List::constant("[null]"));

    /// Returns an empty list of arguments.
    pub const fn empty() -> Self {
        Self(List::empty())
    }

    /// Makes arguments from a text that may be any, and attachments.
    pub(crate) fn read(text: String, attachments: Vec<Bytes>) -> Result<Self, DecodeError> {
        let whole = check::value(&text, |first| first == b'[')?.len() == text.len();
        list::check_placeholders(&text, attachments.len())
            .map_err(|_| DecodeError::IllegalAttachments)?;
        let text = if whole { text } else { text::trim(&text).into() };
        Ok(Self(List::whole(text, list::share(attachments))))
    }

    /// Makes arguments from the text of an array and its attachments, if they match.
    pub(super) fn from_parts(json: Box<str>, attachments: Vec<Bytes>) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(&json).ok()?;
        let is_array = json.starts_with('[') && json.ends_with(']');
        let is_whole = list::check_placeholders(&json, attachments.len()).is_ok();
        let attachments = list::share(attachments);
        (is_array && is_whole).then(|| Self(List::whole(json.into(), attachments)))
    }

    /// Copies the arguments. Received arguments share the memory of the frame or body that they
    /// arrived in, which may be large.
    pub(crate) fn detached(&self) -> Self {
        Self(self.0.detached())
    }

    /// Bytes of the text and of all attachments.
    pub(crate) fn wire_len(&self) -> usize {
        self.0.wire_len()
    }

    pub(super) fn from_list(list: List) -> Self {
        Self(list)
    }

    pub(super) fn attach(&mut self, attachments: Vec<Bytes>) {
        self.0.attach(attachments);
    }

    /// Returns the number of arguments. It takes one pass over the text.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        list::elements(self.json()).is_none()
    }

    /// Reads one argument as `T`, which may borrow from the text.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Missing`] if there are fewer arguments, [`ArgsError::Mismatch`] if it is not
    /// of that type.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, ArgsError> {
        self.0.get(index)?.ok_or(ArgsError::Missing { index })
    }

    /// Reads all arguments, as a tuple or a sequence. Surplus arguments are ignored.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] if there are fewer arguments than in the tuple, or if they have
    /// other types.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ArgsError> {
        self.0.parse(0)
    }

    /// Returns the arguments without the first `count`, for example to forward them. Attachments
    /// that only the skipped arguments use are left out.
    ///
    /// ```
    /// use socketio_proto::socket::Args;
    ///
    /// let args = Args::new(&("room 1", "hello", 3))?;
    /// assert_eq!(args.skip(1).json(), r#"["hello",3]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        Self(self.0.skip(count))
    }

    /// The first argument alone, with the attachments that it uses; `None` if there is none.
    pub(crate) fn first(&self) -> Option<Self> {
        self.0.first().map(Self)
    }

    /// Returns the attachments. [`Binary`](super::Binary) handles inside the arguments refer to
    /// them.
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
