//! What libraries say went wrong, in the terms of this crate.

use std::{error::Error, io};

use crate::{WireError, resolver::ResolveError};

/// Why an exchange failed.
pub(crate) fn http_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> WireError {
    let source = error.into();
    let is_invalid = find(&*source).is_some_and(hyper::Error::is_parse);
    if is_invalid { WireError::InvalidResponse { source } } else { WireError::Lost { source } }
}

/// Why there is no TCP connection.
pub(crate) fn connect_error(host: &str, error: &(dyn Error + 'static)) -> WireError {
    let host = host.to_owned();
    if let Some(ResolveError(source)) = find(error) {
        return WireError::Resolve { host, source: same(source) };
    }
    let source = find::<io::Error>(error).map_or_else(|| io::Error::other(error.to_string()), same);
    WireError::Connect { host, source }
}

/// Finds an error of a type among the sources of another one.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// A copy of an error that belongs to somebody else.
fn same(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
