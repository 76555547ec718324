//! Events.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{fmt, ops::Range};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{
    Args, ArgsError, DecodeError, EncodeError, check,
    list::{self, Attachments, List},
    text,
};

/// An event: a name and arguments. Cheap to clone.
///
/// The arguments stay JSON text until they are read as a type. The arguments of a received event
/// share the memory of the message.
///
/// ```
/// use socketio_proto::socket::Event;
///
/// let event = Event::new("chat", &("hello", [1, 2, 3]))?;
/// assert_eq!(event.name(), "chat");
/// assert_eq!(event.json(), r#"["chat","hello",[1,2,3]]"#);
/// assert_eq!(event.len(), 2);
/// assert_eq!(event.get::<&str>(0)?, "hello");
/// assert_eq!(event.parse::<(&str, Vec<u8>)>()?, ("hello", vec![1, 2, 3]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The name and the arguments.
    list: List,
    name: Name,
}

impl Event {
    /// Serializes an event. The arguments are a tuple or sequence, or `()` for none. Bytes
    /// anywhere inside, such as a [`Bytes`], become attachments.
    ///
    /// # Errors
    ///
    /// * [`EncodeError::ReservedName`] for a reserved name.
    /// * [`EncodeError::NotAList`] for anything other than a tuple, a sequence or `()`.
    /// * [`EncodeError::Placeholder`] and [`EncodeError::TooDeep`], both only if there are
    ///   attachments.
    /// * [`EncodeError::Serialize`] if a `Serialize` implementation fails.
    pub fn new<T: Serialize + ?Sized>(name: &str, args: &T) -> Result<Self, EncodeError> {
        check_name(name)?;
        let (array, attachments) = list::to_array(args)?;
        Ok(Self::compose(name, &array, list::share(attachments)))
    }

    /// Makes an event from existing arguments. The text is kept as it is, and the attachments are
    /// shared. Use it to forward a received event.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ReservedName`] for a reserved name.
    ///
    /// ```
    /// use socketio_proto::socket::Event;
    ///
    /// let received = Event::new("say", &("hello",))?;
    /// let forwarded = Event::with_args("said", &received.args())?;
    /// assert_eq!(forwarded.json(), r#"["said","hello"]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_args(name: &str, args: &Args) -> Result<Self, EncodeError> {
        check_name(name)?;
        // Placeholders need no check here, because text and attachments come from the same
        // arguments. Without attachments nobody looks for placeholders; with attachments the
        // decoder or `Args::new` has checked them.
        Ok(Self::compose(name, args.json(), args.share_attachments()))
    }

    /// Makes an event from an array, unless its first element cannot be a name. The position of the
    /// name is known if it is a string without escapes.
    pub(super) fn from_list(list: List, name: Option<Range<usize>>) -> Option<Self> {
        if let Some(range) = name {
            let start = range.start;
            let contents = list.json().get(range)?;
            let name = (!is_reserved(contents)).then(|| Name::within(start, contents))?;
            return Some(Self { list, name });
        }
        let (token, _) = text::split_first(list.json())?;
        let contents = if token.starts_with('"') { text::unescape(token) } else { token.into() };
        let name = (!is_reserved(&contents)).then(|| Name::Apart(contents.into_boxed_str()))?;
        Some(Self { list, name })
    }

    /// Makes an event from a text that may be any, and attachments. It shares the text.
    pub(crate) fn read(text: ByteString, attachments: Vec<Bytes>) -> Result<Self, DecodeError> {
        let (json, name) = match check::named_array(&text) {
            Some((json, name)) => (json, Some(name)),
            None => (check::value(&text, |first| first == b'[')?, None),
        };
        list::check_placeholders(json, attachments.len())
            .map_err(|_| DecodeError::IllegalAttachments)?;
        let is_whole = json.len() == text.len();
        let text = if is_whole { text } else { text.slice_ref(json) };
        let list = List::within(text, 0);
        let mut event = Self::from_list(list, name).ok_or(DecodeError::InvalidPayload)?;
        event.attach(attachments);
        Ok(event)
    }

    /// Makes an event from a valid JSON text without white space, and attachments.
    pub(crate) fn of_json(json: ByteString, attachments: Vec<Bytes>) -> Result<Self, DecodeError> {
        debug_assert!(check::value(&json, |_| true).is_ok(), "written here: {json}");
        list::check_placeholders(&json, attachments.len())
            .map_err(|_| DecodeError::IllegalAttachments)?;
        let (first, _) = text::split_first(&json).ok_or(DecodeError::InvalidPayload)?;
        // Behind the bracket and the quote: there is no white space.
        let name = text::plain_contents(first).map(|name| 2..name.len().saturating_add(2));
        let mut event =
            Self::from_list(List::within(json, 0), name).ok_or(DecodeError::InvalidPayload)?;
        event.attach(attachments);
        Ok(event)
    }

    fn compose(name: &str, array: &str, attachments: Attachments) -> Self {
        let quoted = text::string_len(name);
        let is_plain = name.len().saturating_add(2) == quoted;
        let mut text = String::with_capacity(array.len().saturating_add(quoted).saturating_add(1));
        text.push('[');
        if is_plain {
            text.push('"');
            text.push_str(name);
            text.push('"');
        } else {
            text::push_string(&mut text, name);
        }
        if let Some(elements) = list::elements(array) {
            text.push(',');
            text.push_str(elements);
        } else {
            text.push(']');
        }
        let name = if is_plain { Name::within(2, name) } else { Name::Apart(name.into()) };
        Self { list: List::whole(text, attachments), name }
    }

    pub(super) fn attach(&mut self, attachments: Vec<Bytes>) {
        self.list.attach(attachments);
    }

    /// Returns the name. If a peer used a number as the name, this is its JSON text.
    pub fn name(&self) -> &str {
        self.name.resolve(self.json())
    }

    /// Returns the arguments without the name, as a copy of their text.
    pub fn args(&self) -> Args {
        if self.is_empty() && self.attachments().is_empty() {
            return Args::empty();
        }
        let elements = self.elements().unwrap_or("]");
        let mut text = String::with_capacity(elements.len().saturating_add(1));
        text.push('[');
        text.push_str(elements);
        Args::from_list(List::whole(text, self.share_attachments()))
    }

    /// Returns the arguments without the first `count`, for example to forward them. Attachments that
    /// only the skipped arguments use are left out. It copies the text once, [`args`](Self::args) with
    /// [`Args::skip`] twice.
    ///
    /// ```
    /// use socketio_proto::socket::Event;
    ///
    /// // A client says to whom an event is to go: socket.emit("to", "room 1", "hello", 3)
    /// let received = Event::new("to", &("room 1", "hello", 3))?;
    /// let event = Event::with_args("message", &received.skip(1))?;
    /// assert_eq!(event.json(), r#"["message","hello",3]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn skip(&self, count: usize) -> Args {
        match count {
            0 => self.args(),
            _ => Args::from_list(self.list.skip(count.saturating_add(1))),
        }
    }

    /// Returns the name and the arguments as one list.
    pub(crate) fn as_list(&self) -> Args {
        Args::from_list(self.list.clone())
    }

    /// Returns the number of arguments, without the name. It takes one pass over the text.
    pub fn len(&self) -> usize {
        self.list.len().saturating_sub(1)
    }

    /// Returns whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.elements().is_none()
    }

    /// Reads one argument as `T`, which may borrow from the text. The first argument behind the
    /// name has the index 0.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Missing`] if there are fewer arguments, [`ArgsError::Mismatch`] if it is not
    /// of that type.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, index: usize) -> Result<T, ArgsError> {
        self.list.get(index.saturating_add(1))?.ok_or(ArgsError::Missing { index })
    }

    /// Reads all arguments, as a tuple or a sequence. Surplus arguments are ignored, such as the
    /// offset that recovery appends.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] if there are fewer arguments than in the tuple, or if they have
    /// other types.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ArgsError> {
        self.list.parse(1)
    }

    /// Returns the attachments. [`Binary`](super::Binary) handles inside the arguments refer to
    /// them.
    pub fn attachments(&self) -> &[Bytes] {
        self.list.attachments()
    }

    /// Returns the text of the JSON array: the name and the arguments.
    pub fn json(&self) -> &str {
        self.list.json()
    }

    /// Returns the bytes of the text and of all attachments.
    pub fn wire_len(&self) -> usize {
        self.list.wire_len()
    }

    /// Tells whether the last argument is a string, which the official client takes for an offset.
    pub(crate) fn ends_with_string(&self) -> bool {
        let last = self.elements().and_then(|elements| elements.strip_suffix(']'));
        last.is_some_and(|last| last.trim_end_matches(text::is_space).ends_with('"'))
    }

    pub(super) fn share_attachments(&self) -> Attachments {
        self.list.share_attachments()
    }

    /// The arguments with the closing bracket; `None` if there are no arguments.
    fn elements(&self) -> Option<&str> {
        let (_, rest) = text::split_first(self.json())?;
        Some(rest.strip_prefix(',')?.trim_start_matches(text::is_space))
    }
}

impl AsRef<[Bytes]> for Event {
    fn as_ref(&self) -> &[Bytes] {
        self.attachments()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

/// The place of the name of an event.
#[derive(Clone, PartialEq, Eq)]
enum Name {
    /// In the array, where it needs no decoding.
    Within { start: u32, len: u32 },
    /// A separate copy, because it is a number, has escapes in the array, or is very long.
    Apart(Box<str>),
}

impl Name {
    fn within(start: usize, contents: &str) -> Self {
        match (u32::try_from(start), u32::try_from(contents.len())) {
            (Ok(start), Ok(len)) => Self::Within { start, len },
            _ => Self::Apart(contents.into()),
        }
    }

    fn resolve<'a>(&'a self, array: &'a str) -> &'a str {
        match self {
            Self::Within { start, len } => {
                let behind = usize::try_from(*start).ok().and_then(|start| array.get(start..));
                let name = usize::try_from(*len).ok().and_then(|len| behind?.get(..len));
                debug_assert!(name.is_some(), "measured in the same array");
                name.unwrap_or_default()
            }
            Self::Apart(name) => name,
        }
    }
}

fn check_name(name: &str) -> Result<(), EncodeError> {
    if is_reserved(name) { Err(EncodeError::ReservedName) } else { Ok(()) }
}

/// Whether implementations of the protocol use the name of an event themselves.
pub(super) fn is_reserved(name: &str) -> bool {
    // A list would compare all of them.
    matches!(
        name,
        "connect"
            | "connect_error"
            | "disconnect"
            | "disconnecting"
            | "newListener"
            | "removeListener"
    )
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use super::*;
    use crate::socket::check;

    fn decoded(json: &str) -> Option<Event> {
        let name = check::named_array(json).map(|(_, name)| name);
        Event::from_list(List::whole(json.into(), None), name)
    }

    #[test]
    fn a_trailing_string_is_noticed() {
        let vectors = [
            (r#"["a"]"#, false),
            (r#"[ "a" ]"#, false),
            (r#"["a","b"]"#, true),
            ("[\"a\",\"b\" \n]", true),
            (r#"[ "a" , "b\"" ]"#, true),
            (r#"["a",{"b":"c"}]"#, false),
            (r#"["a",["c"]]"#, false),
            (r#"["a",1]"#, false),
            (r#"["a","b",null]"#, false),
            (r#"[1,"b"]"#, true),
            ("[1]", false),
            (r#"["\u0061",""]"#, true),
        ];
        for (json, expected) in vectors {
            let event = decoded(json).unwrap();
            assert_eq!(event.ends_with_string(), expected, "{json}");
        }
        assert!(!Event::new("a", &()).unwrap().ends_with_string());
        assert!(Event::new("a", &("b",)).unwrap().ends_with_string());
    }

    #[test]
    fn a_text_that_was_written_here_is_the_event_that_would_be_received() {
        let texts = [
            r#"["a"]"#,
            r#"["a","b",{"c":[1]}]"#,
            r#"["",""]"#,
            r#"["a\nb",1]"#,
            r#"["\\","\""]"#,
            r#"["é"]"#,
            "[-1.5,2]",
            r#"["connect"]"#,
            r#"["conn\u0065ct"]"#,
            "[]",
            "[null]",
            r#"[["a"]]"#,
            r#"{"a":1}"#,
            r#""a""#,
            "7",
        ];
        let placeholder = r#"["a",{"_placeholder":true,"num":0}]"#;
        let bytes = || vec![Bytes::from_static(b"x")];
        for (text, attachments) in texts.map(|text| (text, vec![])).into_iter().chain([
            (placeholder, bytes()),
            (r#"["a"]"#, bytes()),
            (placeholder, vec![]),
        ]) {
            let received = Event::read(text.into(), attachments.clone());
            let written = Event::of_json(text.into(), attachments);
            assert_eq!(written, received, "{text}");
            let name =
                |event: &Result<Event, _>| event.as_ref().map(|it| it.name().to_owned()).ok();
            assert_eq!(name(&written), name(&received), "{text}");
        }
    }

    #[test]
    fn the_name_is_the_first_element() {
        let vectors = [
            (r#"["a"]"#, Some("a")),
            (r#"[ "a" , 1 ]"#, Some("a")),
            (r#"[""]"#, Some("")),
            (r#"["[a"]"#, Some("[a")),
            (r#"["\u0061\n",1]"#, Some("a\n")),
            ("[-1.50,2]", Some("-1.50")),
            (r#"["conn\u0065ct"]"#, None),
            (r#"["connect"]"#, None),
            ("[]", None),
            ("[true]", None),
            (r#"[["a"]]"#, None),
        ];
        for (json, expected) in vectors {
            let event = decoded(json);
            assert_eq!(event.as_ref().map(Event::name), expected, "{json}");
        }
    }
}
