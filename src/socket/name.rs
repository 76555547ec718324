//! Names of namespaces.

use alloc::{borrow::Cow, string::String};
use core::{borrow::Borrow, fmt};

use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::InvalidName;

/// The name of a namespace, such as `/` or `/admin`. Cheap to clone.
///
/// It starts with a slash and contains no comma. Otherwise a received name can be anything: the
/// protocol does not interpret names, and a query string is part of the name.
///
/// ```
/// use socketio_proto::socket::NamespaceName;
///
/// assert_eq!(NamespaceName::new("admin")?, NamespaceName::new("/admin")?);
/// assert!(NamespaceName::new("a,b").is_err());
/// # Ok::<(), socketio_proto::socket::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NamespaceName(ByteString);

impl NamespaceName {
    /// The main namespace, `/`.
    pub const ROOT: Self = Self(ByteString::from_static("/"));

    /// Returns the main namespace, `/`.
    pub const fn root() -> Self {
        Self::ROOT
    }

    /// Makes a name. A missing leading slash is added, as in the reference.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for an empty name, and for a name with a comma (which ends a name on the
    /// wire) or a control character.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() || name.contains(|c: char| c == ',' || c.is_control()) {
            return Err(InvalidName);
        }
        if name.starts_with('/') {
            return Ok(Self::from_wire(name));
        }
        let mut text = String::with_capacity(name.len().saturating_add(1));
        text.push('/');
        text.push_str(name);
        Ok(Self(text.into()))
    }

    /// Makes a name from a text that may be any. It accepts what a decoder accepts.
    pub(crate) fn read(name: &str) -> Option<Self> {
        (name.starts_with('/') && !name.contains(',')).then(|| Self::from_wire(name))
    }

    /// Makes a name from the text in a packet. It is copied, because names are kept.
    pub(super) fn from_wire(name: &str) -> Self {
        debug_assert!(name.starts_with('/') && !name.contains(','), "cut out by the decoder");
        if name == "/" { Self::ROOT } else { Self(name.into()) }
    }

    /// Returns the name with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is the main namespace, `/`.
    pub fn is_root(&self) -> bool {
        self.as_str() == "/"
    }
}

impl fmt::Debug for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for NamespaceName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for NamespaceName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl<'de> Deserialize<'de> for NamespaceName {
    /// Accepts what a decoder accepts, so that every serialized name can be read again.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Self::read(&name).ok_or_else(|| D::Error::custom("not the name of a namespace"))
    }
}
