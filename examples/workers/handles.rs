//! How threads reach each other.

use std::sync::{Arc, OnceLock};

use crate::driver::Handle;

/// The ways to the loops of all threads, as soon as there are any.
pub type Handles = Arc<OnceLock<Vec<Handle>>>;
