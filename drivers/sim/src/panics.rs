//! Failures are panics; this turns them into values.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs something that may panic.
///
/// The first call installs a panic hook, so that a panic inside `run` is not printed. Other panics
/// are printed as before.
///
/// ```
/// use socketio_proto_sim::catch_panic;
///
/// assert_eq!(catch_panic(|| 7), Ok(7));
/// let message = catch_panic(|| assert_eq!(1, 2, "a wrong sum")).unwrap_err();
/// assert!(message.contains("a wrong sum"));
/// ```
///
/// # Errors
///
/// The place and the message of the panic.
pub fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_QUIET.get() {
                MESSAGE.set(info.to_string());
            } else {
                others(info);
            }
        }));
    });
    let was_quiet = IS_QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    IS_QUIET.set(was_quiet);
    result.map_err(|_| MESSAGE.take())
}
